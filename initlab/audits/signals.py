"""What is wrong with signals and gradients on their way through the layers."""

import functools
import itertools
import math
from collections.abc import Iterator

from initlab.audits.balance import explained
from initlab.audits.dead import activations, dead_layers
from initlab.audits.evidence import Evidence, Signal
from initlab.audits.finding import Finding, listed
from initlab.audits.remedies import LARGER, finite, multiplied_by_others, over_time
from initlab.audits.steps import (
    Steps,
    backward_steps,
    distance_steps,
    entry,
    find_fall,
    hidden_signals,
    inverted,
    judged_chains,
    once_each,
    signal_steps,
)
from initlab.audits.thresholds import Thresholds
from initlab.taps import Chain

__all__ = [
    "exploding_gradient",
    "exploding_signal",
    "has_collapsed",
    "non_finite",
    "rank_collapse",
    "saturated",
    "vanishing_gradient",
    "vanishing_signal",
]


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
    # A signal that is not finite explains every gradient that is not; a function that the model
    # takes of a parameter's zeros explains both (`coarse_draw`).
    forward = [] if evidence.broken else forward
    explained = bool(weights or forward or evidence.broken)
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
                finite(evidence, what, place),
            )


def vanishing_signal(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The rms falls by more than `max_efolds`, or steadily by `trend_efolds`, or to 0."""
    for finding in once_each(
        finding
        for chain in judged_chains(evidence)
        for finding in _vanishing_signal(evidence, chain, thresholds)
    ):
        is_other = "at this place" in finding.cause and multiplied_by_others(evidence, finding)
        yield finding._replace(remedy=LARGER) if is_other else over_time(evidence, finding)


def _vanishing_signal(
    evidence: Evidence, chain: Chain, thresholds: Thresholds
) -> Iterator[Finding]:
    hidden = hidden_signals(evidence, chain)
    zeros = [signal for signal in hidden if signal.rms == 0]
    told = bool(zeros) and (_has_died(evidence, zeros[0]) or _stays_zero(evidence, zeros[0]))
    if zeros and chain.is_output and not told:
        yield Finding(
            "vanishing_signal",
            "fail",
            zeros[0].place,
            0.0,
            math.exp(-thresholds.max_efolds),
            "the signal is exactly zero here, and no later layer depends on the data",
            "draw the weights at and before this place at random, with variance gain^2/fan_in",
        )
    if zeros:
        # Zeros at the end of one of several towers may be meant, as those of a zero gate.
        return
    for steps in signal_steps(evidence, chain):
        yield from find_fall(
            "vanishing_signal",
            steps,
            thresholds,
            "the signal shrinks {where}, and with it the outputs' dependence on the data",
            "draw weights with variance gain^2/fan_in (theory.gain of the activation), or add "
            "norms",
        )


def _has_died(evidence: Evidence, signal: Signal) -> bool:
    """Whether a layer before it is off on every example: that is the cause, `dead_units`."""
    return any(dead.row < signal.row for dead, _ in dead_layers(evidence))


def _stays_zero(evidence: Evidence, signal: Signal) -> bool:
    """Whether a weight of zeros that never gets a gradient is the cause: `unused_parameter`."""
    never = {
        weight.path
        for weight in evidence.weights
        if weight.rms == 0
        and (found := evidence.blocked.get(weight.path)) is not None
        and found.by
        and not found.steps
    }
    return not never.isdisjoint(signal.place.split())


def exploding_signal(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The rms grows by more than `max_efolds`, or steadily by `trend_efolds`."""
    for finding in once_each(
        finding
        for chain in judged_chains(evidence)
        for steps in signal_steps(evidence, chain, growth=True)
        for finding in find_fall(
            "exploding_signal",
            _negated(steps),
            thresholds,
            "the signal grows {where}, and with it the outputs and every gradient",
            "draw weights with variance gain^2/fan_in; scale residual branches by 1/sqrt(depth), "
            "start them at zero, or add norms",
        )
    ):
        biases = _drowning(evidence, finding)
        remedy = over_time(evidence, finding).remedy
        remedy = f"start {listed(biases)} at zero" if biases else remedy
        yield inverted(finding)._replace(remedy=remedy)


def _drowning(evidence: Evidence, finding: Finding) -> list[str]:
    """The biases that are nearly all of the signal at a place: no weight there is too large."""
    return [
        weight.path
        for signal in evidence.signals
        if signal.place == finding.place and signal.kind == "product"
        for weight in evidence.weights
        if (signal.biases & ~signal.names) >> weight.bit & 1 and weight.rms > 0.9 * signal.rms
    ]


def _negated(steps: Steps) -> Steps:
    return [(signal, -value) for signal, value in steps]


def vanishing_gradient(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The gradient_norm falls from the last layer to the first by as much as a signal may."""
    yield from explained(evidence, functools.partial(_vanishing_gradient, thresholds=thresholds))


def _vanishing_gradient(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    yield from once_each(
        finding
        for steps in backward_steps(evidence)
        for finding in find_fall(
            "vanishing_gradient",
            steps,
            thresholds,
            "the backpropagated gradient shrinks {where}, so that the first layers learn more "
            "slowly or not at all",
            "bring chi_1, a layer's factor on the squared gradient, to 1 (initializers.critical, "
            "theory.gain), shorten the path with residual branches, or put norms in front of the "
            "branches",
            backward=True,
        )
    )


def exploding_gradient(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The gradient_norm grows from the last layer to the first by as much as a signal may."""
    for finding in once_each(
        finding
        for steps in backward_steps(evidence, growth=True)
        for finding in find_fall(
            "exploding_gradient",
            _negated(steps),
            thresholds,
            "the backpropagated gradient grows {where}, so that no learning rate suits both the "
            "first layers and the last",
            "draw weights with a smaller variance: chi_1 = 1 (initializers.critical) preserves the "
            "gradient's norm",
            backward=True,
        )
    ):
        yield inverted(finding)


def rank_collapse(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """The distance of two examples, `sqrt(2 cosine_distance)`, falls by as much as an rms may."""
    yield from explained(evidence, functools.partial(_rank_collapse, thresholds=thresholds))


def has_collapsed(evidence: Evidence, thresholds: Thresholds) -> bool:
    """Whether examples or gradients are lost on their way, as they are behind small gates."""
    found = itertools.chain(
        _rank_collapse(evidence, thresholds), _vanishing_gradient(evidence, thresholds)
    )
    return any(True for _ in found)


def _rank_collapse(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    yield from once_each(
        finding
        for chain in judged_chains(evidence)
        for finding in _collapse_of(
            _until_told(evidence, distance_steps(evidence, chain)), thresholds
        )
    )


def _until_told(evidence: Evidence, steps: Steps) -> Steps:
    """The steps before a layer that is off, or a weight that stays zero: these are told as such."""
    kept = itertools.takewhile(lambda step: not _stays_zero(evidence, step[0]), steps)
    # What a dead layer is given belongs to it: a bias that switches all units off also drowns the
    # data, and is one fault.
    dead = {signal.names for signal, _ in dead_layers(evidence)} - {0}
    return [step for step in kept if step[0].names not in dead and not _has_died(evidence, step[0])]


def _collapse_of(steps: Steps, thresholds: Thresholds) -> Iterator[Finding]:
    if len(steps) < 2 or steps[0][1] == -math.inf:
        return
    total = steps[-1][1] - steps[0][1]
    for severity, line in (("fail", thresholds.max_efolds), ("warn", thresholds.trend_efolds)):
        if total < -line:
            yield Finding(
                "rank_collapse",
                severity,
                entry(steps, line)[0].place,
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
    for signal in activations(evidence):
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
