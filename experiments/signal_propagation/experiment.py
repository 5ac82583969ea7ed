"""Length, correlation and gradient, layer by layer: predicted beside measured, over many seeds.

    python -m experiments.signal_propagation

Networks are drawn and not trained. Two inputs of a given length and angle are propagated, and a
random cotangent is backpropagated from the last hidden layer. What theory predicts for wide
networks, with its first correction for their width, stands beside the mean over seeds, and the
table says by how many standard errors they differ. What a first correction leaves out shows in the
exact law of networks of this width, sampled without their weights. Exits 1 if too many layers
disagree and nothing explains it.
"""

import functools
from collections.abc import Callable

import xarray

from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.signal_propagation.tables import show, summarize, verdict
from initlab import figures, initializers, signals, theory
from initlab.types import Activation, Initializer, Network, Role

__all__ = ["EXPERIMENT"]

PLAIN = "gaussian"

RECURSIONS: dict[str, Callable[[Activation, signals.Start], signals.Prediction]] = {
    "mlp": signals.predict_mlp,
    "residual_mlp": signals.predict_residual,
    "residual_mlp_norm": functools.partial(signals.predict_residual, pre_norm=True),
}
"""By network. The others mix positions or tokens: there is no closed recursion of their signals."""

GAUSSIAN = frozenset(
    {
        *(PLAIN, "normal", "variance_scaling", "critical"),
        *("lecun_normal", "glorot_normal", "he_normal"),
        *("gpt2", "small_readout", "ntk", "mup", "mean_field"),
    }
)
"""Initializers of independent Gaussian weights in hidden layers: those of the finite-width term."""

ACTIVATION = flags.define_names(
    "activation", ("tanh", "relu", "gelu", "sigmoid"), names.ACTIVATIONS, "Activations"
)
NETWORK = flags.define_name("network", "mlp", names.NETWORKS, "Network")
INITIALIZER = flags.define_name(
    "initializer",
    PLAIN,
    {PLAIN: None, **names.INITIALIZERS},
    "Initializer; gaussian is N(0, sigma_w2 / fan_in) with biases N(0, sigma_b2)",
)
SIGMA_W2 = flags.define_scale(
    "sigma_w2", None, "Of gaussian weights; with --sigma_b2, else the critical point."
)
SIGMA_B2 = flags.define_scale("sigma_b2", None, "Variance of gaussian biases; with --sigma_w2.")
WIDTH = flags.define_count("width", 1000, "Units of each hidden layer, or channels.", least=2)
DEPTH = flags.define_count(
    "depth", 50, "Hidden layers, or blocks.", least=2, most=flags.MOST_LAYERS
)
INPUTS = flags.define_count("inputs", 100, "Entries of an input.", least=2)
LENGTH = flags.define_scale("length", 1.0, "Mean squared entry of the inputs.")
CORRELATION = flags.define_between("correlation", 0.5, "Cosine of two inputs.", least=0.0, most=1.0)
SEEDS = flags.define_count("seeds", 256, "Networks of each activation.", least=2)
DRAWS = flags.define_count("draws", 4096, "Networks drawn of the exact law.", least=2)
# Read by table and figure, from the settings.
flags.define_scale("errors", 3.0, "Standard errors within which a layer agrees.")
flags.define_share("share", 0.95, "Share of the layers that must agree.")
SMOKE = {
    "width": 32,
    "depth": 4,
    "inputs": 9,
    "seeds": 16,
    "draws": 256,
    "activation": ["tanh"],
}


def measure() -> xarray.Dataset:
    """A sweep over activations and seeds, and what theory predicts of it."""

    def describe(activation):
        width, depth, inputs = WIDTH.value, DEPTH.value, INPUTS.value
        network = names.NETWORKS[NETWORK.value](inputs, width, depth, 1, activation)
        initializer = _initializer(activation, network)
        return signals.signal_run(
            network,
            lambda point: initializer,
            inputs,
            length=LENGTH.value,
            correlation=CORRELATION.value,
        )

    activations = {name: names.ACTIVATIONS[name] for name in ACTIVATION.value}
    results = harness.sweep(
        describe, {"seed": range(SEEDS.value)}, structure={"activation": activations}
    )
    results = results.isel(step=0, drop=True).load()
    parts = [
        _predict(results.sel(activation=name), function)
        for name, function in harness.track(list(activations.items()), "predictions")
    ]
    predicted = xarray.concat(parts, results["activation"])
    own = {"width": WIDTH.value, "theory": _say_theory()}
    return signals.compare(results.merge(predicted)).assign_attrs(own)


def _predict(measured: xarray.Dataset, activation: Activation) -> xarray.Dataset:
    variances = signals.mean_variances(measured)
    start = signals.Start(LENGTH.value, CORRELATION.value, variances, WIDTH.value, DEPTH.value)
    recursion = RECURSIONS.get(NETWORK.value)
    wide = recursion(activation, start) if recursion else None
    finite = sample = None
    if _has_finite_width(start):
        finite = signals.predict_finite_width(activation, start)
        sample = signals.sample_signals(activation, start, DRAWS.value)
    return signals.prediction_dataset(measured["layer"].values, wide, finite, sample)


def _has_finite_width(start: signals.Start) -> bool:
    """Whether the correction is of these networks, and exists: equal inputs have no angle."""
    if NETWORK.value != "mlp" or INITIALIZER.value not in GAUSSIAN:
        return False
    return start.variances[Role.WEIGHT][0] > 0 and start.correlation < 1


def _say_theory() -> str:
    if NETWORK.value not in RECURSIONS:
        return f"No closed recursion predicts the signals of {NETWORK.value}: measured alone."
    if INITIALIZER.value not in GAUSSIAN:
        return (
            f"The weights of {INITIALIZER.value} are not independent Gaussians: predicted is what "
            "such weights of the same\nvariance would do, and the difference a finding."
        )
    if NETWORK.value != "mlp":
        return f"The correction for the width is that of an mlp; there is none for {NETWORK.value}."
    return "Predicted from the variances of the weights drawn."


def _initializer(activation: Activation, network: Network) -> Initializer:
    given = SIGMA_W2.value, SIGMA_B2.value
    if INITIALIZER.value == PLAIN:
        if (given[0] is None) != (given[1] is None):
            raise ValueError("--sigma_w2 and --sigma_b2 require each other")
        variances = given if None not in given else theory.critical_variances(activation)
        return initializers.ntk(*variances)
    if given != (None, None):
        raise ValueError(
            f"--sigma_w2 and --sigma_b2 are those of --initializer={PLAIN}, got {INITIALIZER.value}"
        )
    branches = names.count_branches(network, DEPTH.value)
    return names.INITIALIZERS[INITIALIZER.value](activation, branches)


def draw(results: xarray.Dataset, settings: Settings):
    """A column for each activation."""
    sizes = "{network} of width {width}, {initializer} weights".format_map(settings)
    return figures.draw_signal(
        results,
        title=f"How far signals reach: {sizes},\n{settings['seeds']} networks of each activation",
        errors=settings["errors"],
    )


EXPERIMENT = harness.Experiment(
    "signal_propagation",
    measure,
    summarize,
    show,
    draw,
    SMOKE,
    verdict,
    judging=frozenset({"errors", "share"}),
)
