"""Units that are off on every example, and the parameters that get no gradient because of them."""

import math
from collections.abc import Iterator, Sequence

from initlab.audits.evidence import Evidence, Signal, Weight
from initlab.audits.finding import Finding, listed
from initlab.audits.members import member_name, slice_of
from initlab.audits.thresholds import Thresholds

__all__ = ["activations", "dead_layers", "dead_units"]

EXAMPLES = 8
"""On fewer examples a narrow layer may be off by chance: a warning only."""


def activations(evidence: Evidence) -> Sequence[Signal]:
    """The activations that were measured."""
    return [s for s in evidence.signals if s.kind == "activation" and not math.isnan(s.dead)]


def dead_layers(evidence: Evidence) -> list[tuple[Signal, list[Weight]]]:
    """The activations all of whose units are off on every example, first causes only.

    Returns:
      Each with the parameters that never get a gradient because of it: those in front of it, and
      those behind it, whose input is zero.
    """
    causes = [s for s in activations(evidence) if s.dead == 1 and not _is_given_zero(evidence, s)]
    found: list[tuple[Signal, list[Weight]]] = [(signal, []) for signal in causes]
    for weight in evidence.weights:
        blocked = evidence.blocked.get(weight.path)
        if weight.gradient_rms != 0 or blocked is None or blocked.steps or blocked.by:
            continue
        first = next((s for s in evidence.signals if s.upstream >> weight.bit & 1), None)
        for signal, kept in found:
            is_in_front = signal.upstream >> weight.bit & 1
            is_behind = (
                first is not None
                and first.row > signal.row
                and not signal.upstream & ~first.upstream
            )
            if is_in_front or is_behind:
                kept.append(weight)
                break
    return found


def _is_given_zero(evidence: Evidence, signal: Signal) -> bool:
    """Whether what it is given is exactly zero, so that the cause lies before it."""
    before = _product(evidence, signal)
    return before is not None and before.rms == 0


def _dead_parts(evidence: Evidence, signal: Signal) -> list[tuple[int, int]]:
    """The members that are off though they are given data, as not all experts always are."""
    before = _product(evidence, signal)
    given = [
        math.nan if before is None else slice_of(before, "rms", *part)
        for part in signal.dead_slices
    ]
    return [part for part, rms in zip(signal.dead_slices, given, strict=True) if rms != 0]


def _product(evidence: Evidence, signal: Signal) -> Signal | None:
    """The product or sum whose activation it is."""
    before = [s for s in evidence.signals if s.kind in ("product", "sum") and s.row < signal.row]
    return next((s for s in reversed(before) if s.names == signal.names), None)


def dead_units(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """Units that are flat on every example: all of a layer or member, or more than a draw's."""
    causes = {id(signal): weights for signal, weights in dead_layers(evidence)}
    for signal in activations(evidence):
        share = signal.dead
        # Half, and three standard errors of a share of one half: see `Thresholds.dead`.
        chance = 0.5 + 3 * math.sqrt(0.25 / max(1, signal.units))
        is_seen = evidence.model.notes.batch >= EXAMPLES or signal.units >= EXAMPLES
        what = (
            "these units have slope zero on every example, so that no gradient reaches the weights "
            "into them"
        )
        if signal.dead == 1:
            if id(signal) not in causes:
                continue
            kept = [weight.path for weight in causes[id(signal)]]
            what = "every unit has slope zero on every example, so that no gradient passes" + (
                f", and none ever reaches {listed(kept)}" if kept else ""
            )
            failed, line = is_seen, thresholds.dead
        elif is_seen and (parts := _dead_parts(evidence, signal)):
            name = member_name(evidence, signal, *parts[0])
            more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
            what = (
                f"every unit of {name}{more} has slope zero on every example, so that it is never "
                "trained"
            )
            failed, line = True, thresholds.dead
        elif signal.dead > chance:
            failed = signal.dead >= thresholds.dead
            line = thresholds.dead if failed else chance
        elif is_seen and signal.half_dead:
            *part, share = max(signal.half_dead, key=lambda each: each[-1])
            more = f" and of {len(signal.half_dead) - 1} more" * (len(signal.half_dead) > 1)
            what = f"most units of {member_name(evidence, signal, *part)}{more} are dead: {what}"
            failed = share >= thresholds.dead
            line = thresholds.dead if failed else 0.5
        else:
            continue
        yield Finding(
            "dead_units",
            "fail" if failed else "warn",
            signal.place,
            share,
            line,
            what,
            _remedy(evidence, signal),
        )


def _remedy(evidence: Evidence, signal: Signal) -> str:
    """What to change in this layer: its biases, its weights' mean, or its width."""
    before = _product(evidence, signal)
    if before is not None:
        biases = _named(evidence, before, before.biases & ~before.names)
        if any(weight.smallest < 0 for weight in biases):
            return f"start {listed([weight.path for weight in biases])} at zero"
        weights = _named(evidence, before, before.names)
        # Few entries have one sign by chance.
        drawn = [w for w in weights if math.prod(evidence.model.shapes[w.bit]) >= EXAMPLES]
        if any(w.smallest >= 0 or w.largest <= 0 for w in drawn if w.rms > 0):
            return f"draw {listed([weight.path for weight in weights])} with mean zero"
    if before is not None and signal.usual < 0.25:
        # Flat at both ends, as tanh is.
        return f"draw the weights before it smaller: its inputs have rms {before.rms:.2g}"
    return (
        "widen the layer (theory.dying_relu_probability says how likely one of so few units dies), "
        "or use an activation with a slope on both sides, as a leaky relu"
    )


def _named(evidence: Evidence, at: Signal, bits: int) -> list[Weight]:
    """The parameters of a place: of stacked ones the slice that is the place's own."""
    weights = [weight for weight in evidence.weights if bits >> weight.bit & 1]
    index = at.place[at.place.find("[") :].split(" ")[0] if "[" in at.place else ""
    own = [weight for weight in weights if index and weight.path.endswith(index)]
    return own or weights
