"""Steps along the chains of a network: how a quantity changes from place to place, and where."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from initlab.audits.dead import dead_layers
from initlab.audits.evidence import SMALL, Evidence, Signal
from initlab.audits.finding import SEVERITIES, Finding
from initlab.audits.thresholds import Thresholds
from initlab.taps import Chain

__all__ = [
    "Steps",
    "backward_steps",
    "distance_steps",
    "entry",
    "find_fall",
    "hidden_signals",
    "inverted",
    "is_hidden",
    "judged_chains",
    "logarithm",
    "once_each",
    "signal_steps",
]

Steps = list[tuple[Signal, float]]
"""Places, each with the logarithm of the quantity that is compared from place to place."""


def logarithm(value: float) -> float:
    """The natural logarithm; of zero minus infinity, of NaN NaN."""
    return -math.inf if value == 0 else math.log(value)


def judged_chains(evidence: Evidence) -> list[Chain]:
    """The chains that are no beginnings of others."""
    return [chain for chain in evidence.chains if not chain.is_part]


def hidden_signals(evidence: Evidence, chain: Chain) -> list[Signal]:
    """The signals of a chain without a last product: a readout may start at any size."""
    signals = [evidence.by_row[number] for number in chain.rows]
    return signals[:-1] if signals[-1].kind == "product" else signals


def _with_start(
    evidence: Evidence, chain: Chain, steps: Steps, value: Callable[[Signal], float]
) -> Steps:
    """The steps after the start that is nearest to the first of them.

    Where a place has several inputs, a change is counted from the one that shows the least of it.
    """
    starts = [(each, value(each)) for each in (evidence.by_row[n] for n in chain.starts)]
    usable = [(each, number) for each, number in starts if math.isfinite(number)]
    if not steps or not usable or not math.isfinite(steps[0][1]):
        return steps
    return [min(usable, key=lambda start: abs(start[1] - steps[0][1])), *steps]


def _over_time(
    signals: Sequence[Signal], value: Callable[[Signal], float], exponent: float = 0.0
) -> Steps:
    """Signals with their values, those in a loop over time step by step of the loop.

    Args:
      signals: in their order.
      value: the logarithm that is compared.
      exponent: values after t steps may differ by `exponent log(t)` at no cost: a sum of t terms
        grows like t, a distance between means of t draws falls like t^(-1/2); neither is a rate.
    """
    steps, allowed = [], 0.0
    for _, together in itertools.groupby(enumerate(signals), lambda each: each[1].loop or each[0]):
        group = [signal for _, signal in together]
        length = max((len(s.over_time["rms"]) for s in group if s.over_time), default=0)
        before = allowed
        for t in range(max(1, length)):
            allowed = before + exponent * math.log(t + 1)
            moment = [_at_step(signal, t) for signal in group] if length else group
            # A state starts at zero, or in a branch that is not taken.
            is_open = [not length or s.rms > 0 or (s.rms == 0 and bool(steps)) for s in moment]
            steps += [
                (signal, value(signal) - allowed)
                for signal, is_kept in zip(moment, is_open, strict=True)
                if is_kept
            ]
    return steps


def _at_step(signal: Signal, t: int) -> Signal:
    numbers = {name: float(each[t]) for name, each in signal.over_time.items()}
    return dataclasses.replace(signal, norms=signal.norms + t * signal.norms_gained, **numbers)


def signal_steps(evidence: Evidence, chain: Chain, *, growth: bool = False) -> list[Steps]:
    """Logarithms of the rms after the last normalization: what it was before does not matter.

    Args:
      evidence: with the signals.
      chain: of them.
      growth: whether a growth is looked for, of which a sum over time steps is none.

    Returns:
      Those of the chain without a readout; and of a readout that a loop over time repeats, which
      may start at any size but not change it, its steps alone.
    """

    def value(signal: Signal) -> float:
        return logarithm(signal.rms)

    steps = _over_time(hidden_signals(evidence, chain), value, float(growth))
    last = evidence.by_row[chain.rows[-1]]
    alone = _over_time([last], value, float(growth)) if last.over_time else []
    return [
        [(signal, number) for signal, number in each if signal.norms == chain.norms]
        for each in (_with_start(evidence, chain, steps, value), alone)
    ]


def distance_steps(evidence: Evidence, chain: Chain) -> Steps:
    """Logarithms of the distance of two examples, `sqrt(2 cosine_distance)`, but for a constant.

    The square root of a cosine distance is a distance of unit vectors, but for a factor: its
    e-folds are on the scale of an rms's.
    """

    def value(signal: Signal) -> float:
        return 0.5 * logarithm(max(0.0, signal.cosine_distance))

    steps = _over_time(hidden_signals(evidence, chain), value, -0.5)
    known = [(signal, number) for signal, number in steps if not math.isnan(number)]
    return _with_start(evidence, chain, known, value)


def backward_steps(evidence: Evidence, *, growth: bool = False) -> Iterator[Steps]:
    """Logarithms of gradient_norm of each chain, last layer first.

    Where a signal goes on along several chains its gradient is the sum of those along
    each: the step there is counted from the norm of all of them, not from that of one. None is
    counted across a parameter of zeros, behind which the gradient is measured on its own.

    Args:
      evidence: with the signals.
      growth: whether a growth is looked for. What a normalization takes may have any size, and its
        gradient is as much larger as it is small: that is the normalization's, and no growth.

    Yields:
      The steps of each chain.
    """
    chains = [
        (chain, [number for number in chain.rows if _has_gradient(evidence, number)])
        for chain in evidence.chains
    ]
    after: dict[int, set[int]] = {}
    for _, rows in chains:
        for one, other in itertools.pairwise(rows):
            after.setdefault(one, set()).add(other)
    for chain, rows in chains:
        if chain.is_part:
            continue
        steps: Steps = []
        shift, last = 0.0, None
        for number in reversed(rows):
            size, behind = _gradient(evidence, number)
            if last is not None:
                one, was_behind = _gradient(evidence, last)
                each = [_gradient(evidence, other) for other in after[number]]
                whole = size if behind != was_behind else math.hypot(*(norm for norm, _ in each))
                if one > 0 and whole > 0:
                    shift += math.log(one) - math.log(whole)
            signal = evidence.by_row[number]
            is_normalized = last is not None and evidence.by_row[last].norms > signal.norms
            small = _smallest(signal) if growth and is_normalized else 0.0
            steps.append((signal, logarithm(size) + shift + small))
            last = number
        # A readout may start small: it is then the first to grow, and no layer's gradient decays.
        yield steps[1:] if len(steps) > 1 and _is_small(evidence, steps[0][0]) else steps


def _smallest(signal: Signal) -> float:
    """Logarithm of a signal's rms, or of that of its smallest member, where it is under 1."""
    sizes = [signal.rms]
    if "rms" in signal.of_units:
        sizes += np.sqrt(np.square(signal.of_units["rms"]).mean(axis=-1)).ravel().tolist()
    return min([0.0, *(logarithm(size) for size in sizes if size > 0)])


def _is_small(evidence: Evidence, signal: Signal) -> bool:
    """Whether a place's own weight is small on purpose."""
    own = [w for w in evidence.weights if signal.kind == "product" and signal.names >> w.bit & 1]
    shapes = evidence.model.shapes
    return any(0 < w.rms < SMALL * max(shapes[w.bit], default=1) ** -0.5 for w in own)


def _gradient(evidence: Evidence, number: int) -> tuple[float, bool]:
    """The norm of a gradient, and whether zeros hide it."""
    signal = evidence.by_row[number]
    if signal.gradient_norm == 0 and signal.gradient_behind_zeros > 0:
        return signal.gradient_behind_zeros, True
    return signal.gradient_norm, False


def _has_gradient(evidence: Evidence, number: int) -> bool:
    signal = evidence.by_row[number]
    # Where no parameter lies upstream, the gradient would train nothing.
    is_trained = signal.upstream & evidence.model.trained
    if not is_trained or math.isnan(signal.gradient_norm):
        return False
    if signal.gradient_norm == 0 and dead_layers(evidence):
        return False  # Reported by `dead_units`: a layer that is off is no decay.
    return not is_hidden(evidence, signal)


def is_hidden(evidence: Evidence, signal: Signal) -> bool:
    """Whether a gradient is zero for parameters of zeros, and is not known behind them."""
    if signal.gradient_norm != 0 or signal.gradient_behind_zeros > 0:
        return False
    contracted = evidence.model.notes.contracted
    return any(w.rms == 0 for w in evidence.weights if contracted >> w.bit & 1)


def entry(steps: Steps, limit: float, *, backward: bool = False) -> tuple[Signal, bool]:
    """Where a fall enters, and whether it does so in one step.

    One step that falls by more than twice what is usual, and e, is where: the first such step, if
    there are several. Where it takes more than three of them it is no one step. A fall of many
    equal steps is reported where it passes the limit.

    Args:
      steps: places with logarithms, which fall by more than limit in all.
      limit: in factors of e.
      backward: whether the steps go from the last layer to the first. A gradient is multiplied by
        a layer's weight on its way from that layer to the one before: the layer is where.

    Returns:
      The place, and whether it is one step.
    """
    values = [value for _, value in steps]
    crossed = next(n for n, value in enumerate(values) if value - values[0] < -limit)
    if -math.inf in values:
        return steps[crossed - backward][0], True
    falls = -np.diff(values)
    largest = int(np.argmax(falls))
    usual = max(0.0, float(np.median(np.delete(falls, largest)))) if len(falls) > 1 else 0.0
    if falls[largest] <= 2 * usual + 1:
        return steps[crossed][0], False
    first = int(np.flatnonzero(falls >= falls[largest] / 2)[0])
    return steps[first + (not backward)][0], 3 * falls[largest] > values[0] - values[-1]


def find_fall(
    code: str,
    steps: Steps,
    thresholds: Thresholds,
    cause: str,
    remedy: str,
    *,
    backward: bool = False,
) -> Iterator[Finding]:
    """A fall by `max_efolds` in all is a failure; a steady one by `trend_efolds` a warning.

    Args:
      code: the finding's.
      steps: places with logarithms.
      thresholds: the limits.
      cause: with {where}, which becomes "from layer to layer" or "at this place".
      remedy: the finding's.
      backward: as for `entry`.

    Yields:
      At most one finding.
    """
    values = [value for _, value in steps]
    if len(values) < 2 or any(math.isnan(value) or value == math.inf for value in values):
        return
    # Nothing falls from zero, and differences from it are infinite.
    if values[0] == -math.inf:
        return
    total = values[-1] - values[0]
    if total < -thresholds.max_efolds:
        place, is_one = entry(steps, thresholds.max_efolds, backward=backward)
        cause = cause.format(where="at this place" if is_one else "from layer to layer")
        ratio, line = math.exp(total), math.exp(-thresholds.max_efolds)
        yield Finding(code, "fail", place.place, ratio, line, cause, remedy)
        return
    each = np.diff(values)
    # The 75 % quantile of the steps times their number, not the total: a few wide steps (a small
    # embedding, one narrow layer) are no trend that deeper networks would continue.
    steady = min(0.0, float(np.quantile(each, 0.75))) * len(each)
    if len(each) >= 3 and max(steady, total) < -thresholds.trend_efolds:
        ratio, line = math.exp(total), math.exp(-thresholds.trend_efolds)
        cause = cause.format(where="from layer to layer")
        yield Finding(code, "warn", steps[-1][0].place, ratio, line, cause, remedy)


def inverted(finding: Finding) -> Finding:
    """A fall of a reciprocal as a growth."""
    value = math.inf if finding.value == 0 else 1 / finding.value
    return finding._replace(value=value, threshold=1 / finding.threshold)


def once_each(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The worst finding at each place: chains that begin together find a fault of it each."""
    kept: dict[str, Finding] = {}
    for finding in findings:
        rank = SEVERITIES.index(finding.severity)
        if finding.place not in kept or rank < SEVERITIES.index(kept[finding.place].severity):
            kept[finding.place] = finding
    yield from kept.values()
