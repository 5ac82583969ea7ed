"""Members of an ensemble, experts and heads, each judged as a network of its own."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterator

import numpy as np

from initlab.audits.evidence import Evidence, Signal
from initlab.audits.faint import Faint
from initlab.audits.finding import Finding
from initlab.audits.thresholds import Thresholds
from initlab.symmetry import BlockAxis
from initlab.taps import Chain

__all__ = ["behind_siblings", "by_member", "member_name", "slice_of"]

APART = 1.0
"""A member is judged on its own where its rms is e times its siblings' median, or a part of it."""

SATURATED_APART = 0.25
"""The same for the share of its slopes that are flat, over its siblings' median."""

Diagnostic = Callable[[Evidence, Thresholds], Iterator[Finding]]

OfMember = Callable[[Evidence, Thresholds, int, int], Iterator[Finding]]


def by_member(find: Diagnostic, besides: OfMember | None = None) -> Diagnostic:
    """A diagnostic that judges each member too which stands apart from its siblings.

    What is measured of a whole signal drowns one of several: the share of flat slopes of one member
    in four is a quarter at most, and three of them keep the rms of all.

    Args:
      find: the diagnostic of a whole network.
      besides: what is asked of a member in which it finds nothing.

    Returns:
      Its findings, and at other places those of a member with its index in their cause.
    """

    @functools.wraps(find)
    def found(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
        told = set()
        for each in find(evidence, thresholds):
            told.add(each.place)
            yield each
        for member in _apart(evidence):
            findings = [
                _of_member(evidence, each, *member)
                for each in find(_only(evidence, *member), thresholds)
            ]
            if besides is not None and not findings:
                findings = list(besides(evidence, thresholds, *member))
            for each in findings:
                if each.place not in told:
                    told.add(each.place)
                    yield each

    return found


def _of_member(evidence: Evidence, finding: Finding, index: int, size: int) -> Finding:
    signal = next(s for s in evidence.signals if s.place == finding.place)
    name = member_name(evidence, signal, index, size)
    return finding._replace(cause=f"in {name}, {finding.cause}")


def behind_siblings(
    evidence: Evidence, thresholds: Thresholds, index: int, size: int
) -> Iterator[Finding]:
    """A member whose rms, or a weight's, is under exp(-max_efolds) of its siblings' median.

    Heads lie on no path that every signal takes, so that no chain of places judges them, and where
    members are summed in the product that makes them, no signal is one's (`faint`). What is exactly
    zero is left out, as an expert that no data are sent to; so is a readout.

    Args:
      evidence: of one start.
      thresholds: the limits.
      index: of the member.
      size: how many there are.

    Yields:
      The first such place, as `vanishing_signal`.
    """
    line = math.exp(-thresholds.max_efolds)
    # What is normalized afterwards may have any size.
    normalized = functools.reduce(
        operator.or_,
        (
            1 << each.bit
            for each in evidence.faint
            if (each.index, each.axis.size) == (index, size) and not each.is_lost
        ),
        0,
    )
    ends = {chain.rows[-1] for chain in evidence.chains if chain.is_output}
    for signal in evidence.signals:
        parts = _parts(signal, "rms", size)
        if parts is None or signal.kind not in ("product", "sum") or signal.row in ends:
            continue
        if signal.names & normalized:
            continue
        others = np.delete(parts, index)
        others = others[(others > 0) & np.isfinite(others)]
        if len(others) and 0 < parts[index] < line * np.median(others):
            finding = _lost(signal.place, float(parts[index] / np.median(others)), line)
            yield _of_member(evidence, finding, index, size)
            return
    for each in evidence.faint:
        is_lost = each.is_lost and not _is_own_readout(evidence, each)
        if (each.index, each.axis.size) == (index, size) and is_lost:
            finding = _lost(_place_of(evidence, each), each.ratio, line, "weights are")
            name = _slice_name(each.path, each.axis, index)
            yield finding._replace(cause=f"in {name}, {finding.cause}")
            return


def _lost(place: str, ratio: float, line: float, what: str = "signal is") -> Finding:
    return Finding(
        "vanishing_signal",
        "fail",
        place,
        ratio,
        line,
        f"the {what} that much smaller than the median of its siblings, beside which what it says "
        "is lost",
        "draw the weights of all of them with one variance, gain^2/fan_in",
    )


def _place_of(evidence: Evidence, faint: Faint) -> str:
    """Where the weight is used first, by its own name where no product is called by it."""
    end = "" if faint.layer is None else f"[{faint.layer}]"
    used = [s.place for s in evidence.signals if s.names >> faint.bit & 1 and s.kind == "product"]
    return next((each for each in used if end in each), f"{faint.path}{end}")


def _is_own_readout(evidence: Evidence, faint: Faint) -> bool:
    """Whether a member has outputs of its own, made by this weight: they may start at any size."""
    ends = {chain.rows[-1] for chain in evidence.chains if chain.is_output}
    return any(
        s.row in ends and s.names >> faint.bit & 1 and _axis(s, faint.axis.size) is not None
        for s in evidence.signals
    )


def member_name(evidence: Evidence, signal: Signal, index: int, size: int) -> str:
    """One of several in words: "index 2 of axis 0 of a (a member, an expert or a head)".

    Args:
      evidence: which says on which axes of parameters such parts lie.
      signal: where it is seen.
      index: of the part.
      size: how many there are.

    Returns:
      The words.
    """
    axes = [(path, block) for path, block in evidence.batched if block.size == size]
    bits = {path: 1 << bit for bit, path in enumerate(evidence.model.paths)}
    near = [
        each for n in (signal.names, signal.biases) for each in axes if n & bits.get(each[0], 0)
    ]
    what = "(a member, an expert or a head)"
    for path, block in [*near, *axes]:
        return f"{_slice_name(path, block, index)} {what}"
    return f"slice {index} of {size} {what}"


def _slice_name(path: str, block: BlockAxis, index: int) -> str:
    is_whole = block.outer == block.inner == 1 and not block.start and not block.rest
    return f"{'index' if is_whole else 'block'} {index} of axis {block.axis} of {path}"


def slice_of(signal: Signal, name: str, index: int, size: int) -> float:
    """A statistic of one of several parts of a signal; NaN where it has no such parts.

    The rms of its units is their root mean square, a share the mean of their shares.
    """
    parts = _parts(signal, name, size)
    return math.nan if parts is None else float(parts[index])


def _axis(signal: Signal, size: int) -> int | None:
    """The first axis of units that is as long: the units themselves are usually on the last."""
    shape = next(iter(signal.of_units.values())).shape if signal.of_units else ()
    if "over_time" in signal.of_units:
        shape = signal.of_units["over_time"].shape[1:]
    return shape.index(size) if size in shape else None


def _parts(signal: Signal, name: str, size: int) -> np.ndarray | None:
    """[size], or of what is over time [steps, size]."""
    axis = _axis(signal, size)
    if axis is None or name not in signal.of_units:
        return None
    units = signal.of_units[name]
    before = name == "over_time"
    others = tuple(n for n in range(before, units.ndim) if n != axis + before)
    if name in ("rms", "over_time"):
        # Divided by the largest, so that no square under- or overflows.
        largest = units.max(axis=others, keepdims=True)
        with np.errstate(invalid="ignore"):  # Infinities: what they give is NaN.
            scaled = units / np.where(largest > 0, largest, 1)
            units = largest * np.sqrt(np.square(scaled).mean(axis=others, keepdims=True))
        return units.squeeze(others)
    return units.mean(axis=others)


def _apart(evidence: Evidence) -> list[tuple[int, int]]:
    """`(index, size)` of the members that stand apart from their siblings at some place."""
    sizes = {block.size for _, block in evidence.batched}
    for signal in evidence.signals:
        for name, units in signal.of_units.items():
            sizes.update(units.shape[name == "over_time" : -1])
    found = {(each.index, each.axis.size) for each in evidence.faint}
    for signal in evidence.signals:
        for size in sorted(sizes):
            rms, flat = (_parts(signal, name, size) for name in ("rms", "saturated"))
            if rms is not None:
                # Exactly zero is a member off, or an expert that no data are sent to.
                (open_,) = np.nonzero((rms > 0) & np.isfinite(rms))
                logs = np.log(rms[open_])
                far = abs(logs - np.median(logs)) > APART if len(open_) > 1 else []
                found.update((int(index), size) for index in open_[far])
            if flat is not None:
                usual = np.sort(flat)[(len(flat) - 1) // 2]
                (far,) = np.nonzero(flat - usual > SATURATED_APART)
                found.update((int(index), size) for index in far)
    return sorted(found)


def _only(evidence: Evidence, index: int, size: int) -> Evidence:
    """The evidence of one member: its parts of the signals, up to where members are joined."""
    signals = [_part(signal, index, size) for signal in evidence.signals]
    rows = {signal.row: n for n, signal in enumerate(signals)}
    chains: list[Chain] = []
    for chain in evidence.chains:
        own = [
            n for n, row in enumerate(chain.rows) if _axis(evidence.by_row[row], size) is not None
        ]
        if not own:
            continue
        if own[-1] < len(chain.rows) - 1 or not chain.is_output:
            last = rows[chain.rows[own[-1]]]
            # Something follows it: it is no readout, which may start at any size.
            signals[last] = dataclasses.replace(signals[last], kind="sum")
            norms = signals[last].norms
            chain = dataclasses.replace(chain, rows=chain.rows[: own[-1] + 1], norms=norms)
        chains.append(chain)
    return dataclasses.replace(evidence, signals=signals, chains=chains)


def _part(signal: Signal, index: int, size: int) -> Signal:
    """A member's part of a signal, or the signal where it has none."""
    changes = {name: slice_of(signal, name, index, size) for name in ("rms", "saturated", "dead")}
    changes = {name: value for name, value in changes.items() if not math.isnan(value)}
    if not changes:
        return signal
    steps = _parts(signal, "over_time", size)
    over_time = signal.over_time if steps is None else {**signal.over_time, "rms": steps[:, index]}
    return dataclasses.replace(signal, units=signal.units // size, over_time=over_time, **changes)
