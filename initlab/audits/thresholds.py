"""The thresholds of the diagnostics, and the reason for each."""

import dataclasses

from initlab import checks

__all__ = ["Thresholds"]


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What an audit compares its measurements with; every field can be set.

    Attributes:
      max_efolds: by how many factors of e an rms, a gradient or a distance between examples may
        change from the first layer to the last; beyond it a start fails. Schoenholz et al. 2017
        (arXiv:1611.01232, section 5) find networks trainable up to about six depth scales xi, over
        which what decays as e^(-l/xi) falls by e^-6 = 1/403.
      trend_efolds: the same at a steady rate, layer by layer: beyond it a warning; half of
        max_efolds. A rate is steady if three quarters of the layers have it, so that one wide step
        (from a small embedding) is none.
      saturated: share of units x examples with a flat slope, over what the activation has on inputs
        drawn from N(0, 1): a warning, a failure. The lab's main job has 24 % at scale 1, where 87 %
        of seeds train; 83 % at scale 10, where 52 % do; 97 % at scale 100, where 0.4 % do.
      dead: share of a layer's units that are flat on every example, a failure. A draw that is
        symmetric about 0 leaves each unit on for half of all directions, so that at most half can
        be off at once, whatever the correlation of the examples: more than that, by three standard
        errors, is a warning.
      excess_loss: how many nats a cross-entropy starts above that of the constant predictor
        (log K): a warning, a failure. Logits of standard deviation s cost s^2 / 2; two nats are
        s = 2, the right class being e^2 times less likely than by chance; six is e^6, as for
        max_efolds.
      prior_share: which share of the starting loss a bias alone would take off it, by predicting
        the classes' frequencies: a note, a warning. GPT-2 starts at log 50257 = 10.8 nats where its
        tokens' frequencies leave 7.7: a share of 0.29, learned in the first hundred steps. Three
        quarters are one positive in 25 or fewer (Lin et al. 2017, arXiv:1708.02002: such a detector
        diverges without that bias).
      update_ratio: the largest gradient_ratio of a weight, its gradient_rms / rms, over the
        smallest: a warning, a failure. Where one step of gradient descent changes the fastest layer
        by a tenth of its rms, it changes one 1e4 times slower by 1e-5: a whole training of 1e5
        steps replaces it once; at 1e7, about 1 / epsilon of float32, its steps are rounded off.
      attention_entropy: mean entropy of a head's attention over log of the number of its unmasked
        entries: below it a warning. Logits that are drawn with std s leave log n - s^2 / 2 nats
        (Derrida 1981, the random energy model), until at s = sqrt(2 log n), 3.7 of 1024 entries, a
        few hold all the weight. Unscaled dot products of 64 features have s = 8 and 0.1 to 0.2 of
        log n. Zhai et al. 2023 (arXiv:2303.06296) see training diverge as the entropy collapses.
      attention_collapse: the same, a failure: at 0.05, an s over 20, nearly every softmax is
        one-hot and passes its logits no gradient.
      attention_entries: a head that attends to as many effective entries, exp(entropy), is not
        sharp however many there are: one that looks nearby by design (ALiBi, Press et al. 2022,
        with slopes up to 1) has 2.8 or more.
      router_load: where a token chooses k of n experts, (exp(entropy of the load) - k) / (n - k), 1
        of a balanced load and 0 where all choose the same: below it a warning. Capacities are 1.25
        to 2 times the fair share (Fedus et al. 2021, arXiv:2101.03961; Lepikhin et al. 2020,
        arXiv:2006.16668): with half of the experts idle the others get twice theirs. It never
        fails: a network trains with the experts that it uses.
      dropped_choices: the share of the tokens' choices that a capacity written in the model drops,
        above which is a warning: what a capacity of 1.25 drops where half of the experts are idle.
      branch_ratio: rms of a residual branch over rms of its stream: a warning, a failure. At 100
        all that the layers before have to say is 1 % of the stream; at 1000 it is under the
        rounding of bfloat16 (2^-8) and near that of float16 (2^-11). GPT-2's first block has 2.
      forgetting: e-folds of a recurrent state that a step may lose; beyond it a warning. At 1 a
        step keeps 37 %, and six steps 1/403. A forget gate that starts half open keeps 50 % (0.7).
      remembering: e-folds of a diagonal state that a step must lose at least, if it decays; below
        it a warning. Structured state spaces start with time steps of 1e-3 to 1e-1 (Gu et al. 2022,
        arXiv:2206.11893, section 5.1), whose slowest mode, decaying at 1/2, keeps 2000 steps.
      duplicate_correlation: correlation of two tensors' entries from which they count as one draw.
        Of 16 independent normal entries it exceeds 0.999 with probability under 1e-15.
      fan_ratio: the std of a weight over what its siblings' scheme gives for the fans of its use,
        either way, beyond which a wrong fan is named. By a factor of 1.25 in every layer a signal
        grows or falls by e in five layers; standard errors of variances and 1 % tell it from 1.
      draw_values: the effective number of values of a random draw, below which it is coarse.
        bfloat16's uniform numbers, and normal ones made of them, take 128 equally likely values;
        numbers drawn in float32 and rounded to bfloat16 at least 258, a binade having 128.
      stuck_share: share of a draw's entries at one end of its range. Clipping a normal draw at two
        standard deviations puts 2.3 % there, at 1.28 of them 10 %; a truncated normal drawn in
        bfloat16 had 30 % (torchtitan, pull request 2269).
      descent_share: of the decrease of the loss that its gradient predicts for the optimizer's
        first step, the share that comes true on the same batch; less is a warning. On a quadratic
        loss it is 1 - step / (2 / curvature): at 0.1 the step is within a tenth of the length from
        which on descent diverges.
      loss_rise: by how much, relative to the loss, that step may raise it before it is a failure;
        20 is e^3.
      update_share: share of a weight's entries whose gradient is under the optimizer's epsilon or
        whose update is rounded off, or of its update that weight decay makes up: at one half the
        data no longer decide most of the step.
    """

    max_efolds: float = 6.0
    trend_efolds: float = 3.0
    saturated: tuple[float, float] = (0.5, 0.9)
    dead: float = 0.9
    excess_loss: tuple[float, float] = (2.0, 6.0)
    prior_share: tuple[float, float] = (0.1, 0.75)
    update_ratio: tuple[float, float] = (1e4, 1e7)
    attention_entropy: float = 0.25
    attention_collapse: float = 0.05
    attention_entries: float = 2.5
    router_load: float = 0.5
    dropped_choices: float = 0.375
    branch_ratio: tuple[float, float] = (100.0, 1000.0)
    forgetting: float = 1.0
    remembering: float = 3e-4
    duplicate_correlation: float = 0.999
    fan_ratio: float = 1.25
    draw_values: float = 200.0
    stuck_share: float = 0.1
    descent_share: float = 0.1
    loss_rise: float = 20.0
    update_share: float = 0.5

    def __post_init__(self) -> None:
        """Raises unless every threshold is a number, or two of them in order."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            pair = isinstance(field.default, tuple)
            if pair and (not isinstance(value, tuple) or len(value) != 2):
                raise TypeError(f"{field.name} must be (warning, failure), got {value!r}")
            for each in value if pair else (value,):
                checks.check_scale(field.name, each)
            if pair and value[0] > value[1]:
                raise ValueError(f"{field.name} must be (warning, failure) in order, got {value}")
