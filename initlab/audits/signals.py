"""What is wrong with signals and gradients on their way through the layers."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from initlab.audits.evidence import Evidence, Signal
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds

__all__ = [
    "dead_units",
    "exploding_gradient",
    "exploding_signal",
    "non_finite",
    "rank_collapse",
    "saturated",
    "vanishing_gradient",
    "vanishing_signal",
]

Steps = list[tuple[Signal, float]]
"""Places, each with the logarithm of the quantity that is compared from place to place."""


def non_finite(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """NaN or infinity in a parameter, a signal or a gradient: the first place of each."""
    del thresholds
    weights = [w.path for w in evidence.weights if not math.isfinite(w.rms)]
    computed = [s for s in evidence.signals if s.is_computed]
    forward = [s.place for s in computed if not math.isfinite(s.rms)]
    # Backpropagation meets the last layer first, and a layer's signal before its parameters.
    backward = [
        s.place
        for s in reversed(evidence.signals)
        if s.has_gradient and not math.isfinite(s.gradient_norm)
    ]
    backward += [w.path for w in evidence.weights if not math.isfinite(w.gradient_rms)]
    # A signal that is not finite explains every gradient that is not.
    explained = bool(weights or forward)
    for what, places in (
        ("parameter", weights),
        ("signal", forward),
        ("gradient", [] if explained else backward),
    ):
        for place in places[:1]:
            yield Finding(
                "non_finite",
                "fail",
                place,
                math.nan,
                math.inf,
                f"the {what} here is NaN or infinite, and so is what depends on it",
                "make it smaller: a smaller scale of the weights before it, a norm, or a dtype "
                "with a larger range (bfloat16 for float16)",
            )


def _logarithm(value: float) -> float:
    return -math.inf if value == 0 else math.log(value)


def _last_run(evidence: Evidence) -> list[Signal]:
    """The places after the last normalization: what the rms was before it does not matter."""
    path = evidence.hidden
    start = [s for s in evidence.signals if s.kind == "input" and s.rms > 0][:1]
    outputs = [s.norms for s in evidence.signals if s.kind == "output"]
    norms = outputs[0] if outputs else 0
    return [s for s in [*start, *path] if s.norms == norms]


def vanishing_signal(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The rms falls by more than `max_efolds`, or steadily by `trend_efolds`, or to 0."""
    for signal in evidence.hidden:
        if signal.rms == 0:
            yield Finding(
                "vanishing_signal",
                "fail",
                signal.place,
                0.0,
                math.exp(-thresholds.max_efolds),
                "the signal is exactly zero here, and no later layer depends on the data",
                "draw the weights at and before this place at random, with variance gain^2/fan_in",
            )
            return
    steps = [(signal, _logarithm(signal.rms)) for signal in _last_run(evidence)]
    yield from _falls(
        "vanishing_signal",
        steps,
        thresholds,
        "the signal shrinks from layer to layer, and with it the outputs' dependence on the data",
        "draw weights with variance gain^2/fan_in (theory.gain of the activation), or add norms",
    )


def exploding_signal(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The rms grows by more than `max_efolds`, or steadily by `trend_efolds`."""
    steps = [(signal, -_logarithm(signal.rms)) for signal in _last_run(evidence)]
    for finding in _falls(
        "exploding_signal",
        steps,
        thresholds,
        "the signal grows from layer to layer, and with it the outputs and every gradient",
        "draw weights with variance gain^2/fan_in; scale residual branches by 1/sqrt(depth), start "
        "them at zero, or add norms",
    ):
        yield _inverted(finding)


def vanishing_gradient(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The gradient_norm falls from the last layer to the first by as much as a signal may."""
    yield from _falls(
        "vanishing_gradient",
        _backward(evidence),
        thresholds,
        "the backpropagated gradient shrinks from layer to layer, so that the first layers learn "
        "more slowly or not at all",
        "bring chi_1, a layer's factor on the squared gradient, to 1 (initializers.critical, "
        "theory.gain), shorten the path with residual branches, or put norms in front of the "
        "branches",
    )


def exploding_gradient(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The gradient_norm grows from the last layer to the first by as much as a signal may."""
    steps = [(signal, -value) for signal, value in _backward(evidence)]
    for finding in _falls(
        "exploding_gradient",
        steps,
        thresholds,
        "the backpropagated gradient grows from layer to layer, so that no learning rate suits "
        "both the first layers and the last",
        "draw weights with a smaller variance: chi_1 = 1 (initializers.critical) preserves the "
        "gradient's norm",
    ):
        yield _inverted(finding)


def _backward(evidence: Evidence) -> Steps:
    """Logarithms of gradient_norm, last layer first; zeros below a weight of zeros left out."""
    signals = [s for s in evidence.path if not math.isnan(s.gradient_norm)]
    contracted = evidence.model.notes.contracted
    at_zero = any(w.rms == 0 for w in evidence.weights if contracted >> w.bit & 1)
    # Where no parameter lies upstream, the gradient would train nothing.
    has_path = [s for s in signals if s.upstream]
    # Below a weight of zeros, as a zero readout, a gradient of zero is no decay from layer to
    # layer: `unused_parameter` reports it, and whether a step ends it.
    kept = [s for s in has_path if s.gradient_norm > 0 or not at_zero]
    return [(s, _logarithm(s.gradient_norm)) for s in reversed(kept)]


def _falls(
    code: str, steps: Steps, thresholds: Thresholds, cause: str, remedy: str
) -> Iterator[Finding]:
    """A fall by `max_efolds` in all is a failure; a steady one by `trend_efolds` a warning."""
    values = [value for _, value in steps]
    if len(values) < 2 or any(math.isnan(value) or value == math.inf for value in values):
        return
    # Nothing falls from zero, and differences from it are infinite.
    if values[0] == -math.inf:
        return
    total = values[-1] - values[0]
    if total < -thresholds.max_efolds:
        crossed = next(s for s, value in steps if value - values[0] < -thresholds.max_efolds)
        ratio, line = math.exp(total), math.exp(-thresholds.max_efolds)
        yield Finding(code, "fail", crossed.place, ratio, line, cause, remedy)
        return
    each = np.diff(values)
    # The 75 % quantile of the steps times their number, not the total: a few wide steps (a small
    # embedding, one narrow layer) are no trend that deeper networks would continue.
    steady = min(0.0, float(np.quantile(each, 0.75))) * len(each)
    if len(each) >= 3 and max(steady, total) < -thresholds.trend_efolds:
        ratio, line = math.exp(total), math.exp(-thresholds.trend_efolds)
        yield Finding(code, "warn", steps[-1][0].place, ratio, line, cause, remedy)


def _inverted(finding: Finding) -> Finding:
    value = math.inf if finding.value == 0 else 1 / finding.value
    return finding._replace(value=value, threshold=1 / finding.threshold)


def rank_collapse(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The distance of two examples, `sqrt(2 cosine_distance)`, falls by as much as an rms may."""
    start = [s for s in evidence.signals if s.kind == "input"]
    compared = [s for s in [*start, *evidence.hidden] if not math.isnan(s.cosine_distance)]
    if len(compared) < 2 or compared[0].cosine_distance <= 0:
        return
    # The square root of a cosine distance is a distance (of unit vectors, but for a factor): its
    # e-folds are on the scale of an rms's.
    values = [0.5 * _logarithm(max(0.0, s.cosine_distance)) for s in compared]
    total = values[-1] - values[0]
    for severity, line in (("fail", thresholds.max_efolds), ("warn", thresholds.trend_efolds)):
        if total < -line:
            crossed = next(
                s for s, value in zip(compared, values, strict=True) if value - values[0] < -line
            )
            yield Finding(
                "rank_collapse",
                severity,
                crossed.place,
                math.exp(total),
                math.exp(-line),
                "all inputs are mapped to nearly one direction, so that the outputs hardly depend "
                "on the data",
                "larger weights or smaller biases (the edge of chaos: initializers.critical), an "
                "activation that is odd, or residual branches",
            )
            return


def saturated(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A larger share of slopes is flat than the activation has on inputs drawn from N(0, 1)."""
    for signal in _activations(evidence):
        # A dead layer is a finding of `dead_units`. Where nearly all slopes are flat by design, as
        # of a step, or the usual share is NaN (`not <`), there is nothing to compare with.
        if signal.dead >= thresholds.dead or not signal.usual < 0.95:
            continue
        # Units are draws: in a layer of few the share strays by its standard error, three of which
        # are allowed.
        chance = 3 * math.sqrt(signal.usual * (1 - signal.usual) / max(1, signal.units))
        excess = (signal.saturated - signal.usual - chance) / (1 - signal.usual)
        for severity, line in (
            ("fail", thresholds.saturated[1]),
            ("warn", thresholds.saturated[0]),
        ):
            if excess > line:
                yield Finding(
                    "saturated",
                    severity,
                    signal.place,
                    excess,
                    line,
                    "most slopes are under 1 % of the activation's largest, so that hardly any "
                    "gradient passes",
                    "draw the weights before it smaller, or put a norm in front of the activation",
                )
                break


def dead_units(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """More units are flat on every example than a draw symmetric about 0 leaves flat."""
    for signal in _activations(evidence):
        # Half, and three standard errors of a share of one half: see `Thresholds.dead`.
        chance = 0.5 + 3 * math.sqrt(0.25 / max(1, signal.units))
        if signal.dead > chance:
            failed = signal.dead >= thresholds.dead
            yield Finding(
                "dead_units",
                "fail" if failed else "warn",
                signal.place,
                signal.dead,
                thresholds.dead if failed else chance,
                "these units have slope zero on every example, so that no gradient reaches the "
                "weights into them",
                "start the biases before it at zero and the weights with mean zero, or use an "
                "activation with a slope on both sides",
            )


def _activations(evidence: Evidence) -> Sequence[Signal]:
    return [s for s in evidence.signals if s.kind == "activation" and not math.isnan(s.dead)]
