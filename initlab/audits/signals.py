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
"""Places with the logarithm of what is followed."""


def non_finite(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """NaN or infinity in a parameter, a signal or a gradient: the first place of each."""
    del thresholds
    weights = [w.path for w in evidence.weights if not math.isfinite(w.length)]
    computed = [s for s in evidence.signals if s.is_computed]
    forward = [s.place for s in computed if not math.isfinite(s.length)]
    # What comes back meets the last layer first, and parameters behind all layers.
    backward = [
        s.place
        for s in reversed(evidence.signals)
        if s.has_gradient and not math.isfinite(s.gradient)
    ]
    backward += [w.path for w in evidence.weights if not math.isfinite(w.gradient)]
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
    """The places after the last normalization on the way: what comes before it is rescaled."""
    path = evidence.hidden
    start = [s for s in evidence.signals if s.kind == "input" and s.length > 0][:1]
    outputs = [s.norms for s in evidence.signals if s.kind == "output"]
    norms = outputs[0] if outputs else 0
    return [s for s in [*start, *path] if s.norms == norms]


def vanishing_signal(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The length falls by more than `depth` e-folds, or steadily by `trend`, or to 0."""
    for signal in evidence.hidden:
        if signal.length == 0:
            yield Finding(
                "vanishing_signal",
                "fail",
                signal.place,
                0.0,
                math.exp(-thresholds.depth),
                "the signal is exactly zero here, and what is behind it sees nothing of the data",
                "draw the weights at and before this place at random, with variance gain^2/fan_in",
            )
            return
    steps = [(signal, _logarithm(signal.length)) for signal in _last_run(evidence)]
    yield from _falls(
        "vanishing_signal",
        steps,
        thresholds,
        "the signal shrinks from layer to layer, and with it what the outputs say of the data",
        "draw weights with variance gain^2/fan_in (theory.gain of the activation), or add norms",
    )


def exploding_signal(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The length grows by more than `depth` e-folds, or steadily by `trend`."""
    steps = [(signal, -_logarithm(signal.length)) for signal in _last_run(evidence)]
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
    """From the last layer to the first the gradient falls by `depth` e-folds, or by `trend`."""
    yield from _falls(
        "vanishing_gradient",
        _backward(evidence),
        thresholds,
        "the gradient shrinks on its way back, so that the first layers learn more slowly or "
        "not at all",
        "bring the slope of the length map to 1 (initializers.critical, theory.gain), shorten the "
        "way with residual branches, or put norms in front of the branches",
    )


def exploding_gradient(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """From the last layer to the first the gradient grows by `depth` e-folds, or by `trend`."""
    steps = [(signal, -value) for signal, value in _backward(evidence)]
    for finding in _falls(
        "exploding_gradient",
        steps,
        thresholds,
        "the gradient grows on its way back, so that no learning rate serves first and last layers",
        "draw weights with a smaller variance: chi = 1 (initializers.critical) keeps a gradient's "
        "size",
    ):
        yield _inverted(finding)


def _backward(evidence: Evidence) -> Steps:
    """The gradient's logarithms, last layer first; zeros that a start at zero explains left out."""
    signals = [s for s in evidence.path if not math.isnan(s.gradient)]
    contracted = evidence.model.notes.contracted
    at_zero = any(w.length == 0 for w in evidence.weights if contracted >> w.bit & 1)
    has_path = [s for s in signals if s.upstream]
    kept = [s for s in has_path if s.gradient > 0 or not at_zero]
    return [(s, _logarithm(s.gradient)) for s in reversed(kept)]


def _falls(
    code: str, steps: Steps, thresholds: Thresholds, cause: str, remedy: str
) -> Iterator[Finding]:
    """A fall by `depth` in all is a failure; by `trend`, layer by layer alike, a warning."""
    values = [value for _, value in steps]
    if len(values) < 2 or any(math.isnan(value) or value == math.inf for value in values):
        return
    if values[0] == -math.inf:
        return
    total = values[-1] - values[0]
    if total < -thresholds.depth:
        crossed = next(s for s, value in steps if value - values[0] < -thresholds.depth)
        ratio, line = math.exp(total), math.exp(-thresholds.depth)
        yield Finding(code, "fail", crossed.place, ratio, line, cause, remedy)
        return
    each = np.diff(values)
    # What three quarters of the layers do at least: a few wide steps are no trend.
    steady = min(0.0, float(np.quantile(each, 0.75))) * len(each)
    if len(each) >= 3 and max(steady, total) < -thresholds.trend:
        ratio, line = math.exp(total), math.exp(-thresholds.trend)
        yield Finding(code, "warn", steps[-1][0].place, ratio, line, cause, remedy)


def _inverted(finding: Finding) -> Finding:
    value = math.inf if finding.value == 0 else 1 / finding.value
    return finding._replace(value=value, threshold=1 / finding.threshold)


def rank_collapse(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The distance of two examples, `sqrt(1 - c)`, falls by `depth` e-folds, or by `trend`."""
    start = [s for s in evidence.signals if s.kind == "input"]
    told = [s for s in [*start, *evidence.hidden] if not math.isnan(s.dissimilarity)]
    if len(told) < 2 or told[0].dissimilarity <= 0:
        return
    values = [0.5 * _logarithm(max(0.0, s.dissimilarity)) for s in told]
    total = values[-1] - values[0]
    for severity, line in (("fail", thresholds.depth), ("warn", thresholds.trend)):
        if total < -line:
            crossed = next(
                s for s, value in zip(told, values, strict=True) if value - values[0] < -line
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
    """More slopes are flat than the activation has on N(0, 1) inputs."""
    for signal in _activations(evidence):
        if signal.dead >= thresholds.dead or not signal.usual < 0.95:
            continue
        # Units are draws: a layer of few may be flat by chance.
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
    """More units are flat on every example than a symmetric draw can leave so."""
    for signal in _activations(evidence):
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
