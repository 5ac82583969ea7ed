"""Parameters without a gradient at the start: which of them get one, after what, and which never.

What a parameter waits for is read off the program of the gradients (`openings`), and the program
itself is asked whether it is so: it is measured once more, with all moved that ever will, and zeros
replaced that never do; not at all where every parameter has a gradient.

Where a gradient appears that nothing explains, as of terms that cancel, the program is measured at
params moved by one step of descent after another, and what a parameter waited for is found by steps
of other sizes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.audits.descent import Flags, Program, Slot
from initlab.audits.openings import SMALL_STEP, Opening, find_openings, opened
from initlab.audits.step_by_step import descend, find_partners
from initlab.taps import Model
from initlab.types import OutputLoss, Params

__all__ = ["Blocked", "Found", "find_blocked"]


class Blocked(NamedTuple):
    """What becomes of a parameter whose gradient is exactly zero at the start.

    Attributes:
      steps: after how many steps of descent it has a gradient; 0 for never.
      by: what it waits for: the one parameter whose step alone gives it a gradient; or, if it never
        has one, all those that would have to start elsewhere than at zero.
    """

    steps: int
    by: tuple[str, ...]


class Found(NamedTuple):
    """What was found out of some starts.

    Attributes:
      blocked: for each seed `{path: Blocked}`; empty where every parameter has a gradient.
      opened: what was measured with all moved that ever gets a gradient, and zeros replaced that
        never do, without the gradients; or None, where nothing was.
    """

    blocked: list[dict[str, Blocked]]
    opened: Any = None


def find_blocked(
    model: Model,
    loss: OutputLoss | None,
    measure: Callable[[Params], Any],
    starts: Params,
    measured: Any,
    members: Sequence[tuple[str, int]] = (),
    wide: int = 0,
) -> Found:
    """What becomes of each parameter that has no gradient though outputs depend on it.

    Args:
      model: the model.
      loss: of its outputs, or None.
      measure: params with a first axis of seeds to what `taps.measure` gives of each.
      starts: such params.
      measured: what `measure` gives of them.
      members: parameters and an axis of theirs whose slices are members, as of an ensemble: one of
        zeros that has no gradient, where others of its parameter have one, is asked about as well.
      wide: bit set of the parameters that are opened to a usual size, if they are (`Found.opened`).

    Returns:
      What was found out.
    """
    slots = _slots(model, members)
    leaves, tree = jax.tree.flatten(starts)
    leaves = [np.asarray(leaf) for leaf in leaves]

    def run(leaves: list[np.ndarray]) -> tuple[np.ndarray, list[Any]]:
        found = measure(jax.tree.unflatten(tree, leaves))
        return _sizes(found, slots), _gradients(found)

    sizes = _sizes(measured, slots)
    waiting = (sizes == 0) & _flags(model.trained, slots)
    is_zero = _zeros(leaves, slots)
    zero = is_zero & _flags(model.notes.multiplied, slots)
    is_member = np.asarray([slot.is_member for slot in slots], bool)[None]
    waiting &= zero | ~is_member
    if not waiting.any():
        return Found([{} for _ in sizes])
    program = Program(model.paths, slots, run)
    start, alive, after = (sizes, _gradients(measured)), sizes != 0, None
    openings = find_openings(model, loss, slots, leaves, is_zero, zero, alive, waiting)
    found = None
    if openings is not None:
        # What never opens is drawn at random as well, so that one run asks for all of it.
        drawn = (_never(openings, sizes.shape) | _flags(wide, slots) & ~is_member) & zero & waiting
        drawn &= ~_with(openings, sizes.shape, lambda each: each.steps)
        # What zeros do not explain may end with a step: a whole one, or it is said never to end.
        is_read = _with(openings, sizes.shape, lambda each: each.steps or each.needs)
        share = 1.0 if (waiting & ~is_member & ~is_read).any() else SMALL_STEP

        def moving(drawn: Flags) -> tuple[Any, Flags]:
            ahead = opened(slots, leaves, start[1], is_zero, alive, openings, drawn, wide, share)
            after = measure(jax.tree.unflatten(tree, ahead))
            return after, waiting & (_sizes(after, slots) != 0)

        after, has_one = moving(drawn)
        is_clear = not drawn.any() or not _may_be_either(openings, slots, has_one)
        by_steps = has_one if is_clear else moving(np.zeros_like(drawn))[1]
        found = _explained(program, openings, has_one, by_steps, drawn)
    if found is None:
        # Something else than zeros ends it: asked step by step.
        after = None
        steps, by, ahead = descend(program, leaves, start, waiting, zero & ~is_member)
        never = _once(slots, waiting & (steps == 0))
        by |= find_partners(program, ahead, never, never & zero)
    else:
        steps, by = found
        never = _once(slots, waiting & (steps == 0))
    # A member without a gradient for another reason is no fault: an expert that no token chose.
    told = waiting & (~is_member | never)
    blocked = [
        {
            slot.path: Blocked(int(steps[seed, n]), by.get((seed, n), ()))
            for n, slot in enumerate(slots)
            if told[seed, n] and (not slot.is_member or (seed, n) in by)
        }
        for seed in range(len(sizes))
    ]
    if after is None:
        return Found(blocked)
    return Found(blocked, {name: after[name] for name in after if name != "gradients"})


def _never(openings: Sequence[dict[int, Opening]], shape: tuple[int, ...]) -> Flags:
    """The zeros that keep some slot from ever having a gradient."""
    flags = np.zeros(shape, bool)
    for seed, found in enumerate(openings):
        for opening in found.values():
            flags[seed, list(opening.needs)] = True
    return flags


def _with(
    openings: Sequence[dict[int, Opening]], shape: tuple[int, ...], holds: Callable[[Opening], Any]
) -> Flags:
    """The slots of whose opening something holds."""
    flags = np.zeros(shape, bool)
    for seed, found in enumerate(openings):
        flags[seed, [number for number, opening in found.items() if holds(opening)]] = True
    return flags


def _once(slots: Sequence[Slot], never: Flags) -> Flags:
    """Without the members of a parameter that as a whole never gets a gradient: told once."""
    once = never.copy()
    for number, slot in enumerate(slots):
        if slot.is_member:
            whole = [n for n, s in enumerate(slots) if s.leaf == slot.leaf and not s.is_member]
            once[:, number] &= ~never[:, whole].any(axis=1)
    return once


def _may_be_either(
    openings: Sequence[dict[int, Opening]], slots: Sequence[Slot], has_one: Flags
) -> bool:
    """Whether a gradient may be there for the steps or for the zeros that were drawn."""
    each = [(openings[seed].get(n), slots[n]) for seed, n in np.argwhere(has_one).tolist()]
    return any(
        not slot.is_member if opening is None else not opening.is_sure for opening, slot in each
    )


def _explained(
    program: Program,
    openings: Sequence[dict[int, Opening]],
    has_one: Flags,
    by_steps: Flags,
    drawn: Flags,
) -> tuple[np.ndarray, dict[tuple[int, int], tuple[str, ...]]] | None:
    """Steps and names of what is found to have a gradient once all that is said to open has moved.

    Args:
      program: the compiled measurement.
      openings: what each slot waits for.
      has_one: flags of the slots that have a gradient now and had none, [seeds, slots].
      by_steps: the same without zeros drawn at random.
      drawn: flags of those zeros.

    Returns:
      As `descend`, without the params; None if one has a gradient that nothing explains.
    """
    steps, by = np.zeros(has_one.shape, int), {}
    cancels: set[int] = set()
    for seed, number in np.argwhere(has_one).tolist():
        opening = openings[seed].get(number)
        if opening is None and program.slots[number].is_member:
            # That a member has one is all that is asked of it.
            steps[seed, number] = 1
        elif opening is None and not by_steps[seed, number]:
            cancels.add(seed)
        elif opening is not None and opening.steps and by_steps[seed, number]:
            steps[seed, number] = opening.steps
            if opening.leaf is not None:
                by[seed, number] = (program.paths[opening.leaf],)
        elif opening is not None and opening.needs:
            by[seed, number] = tuple(program.slots[n].path for n in opening.needs)
        else:
            return None
    for seed in cancels:
        # As of a last bias, over which the slopes of a loss cancel while its data are cut off: it
        # waits for all zeros on their way, and so does what is before it.
        every = tuple(np.flatnonzero(drawn[seed]).tolist())
        if every not in {opening.needs for opening in openings[seed].values()}:
            return None
        for number in np.flatnonzero(has_one[seed] & (steps[seed] == 0)).tolist():
            by[seed, number] = tuple(program.slots[n].path for n in every)
    return steps, by


def _flags(bits: int, slots: Sequence[Slot]) -> Flags:
    return np.asarray([bits >> slot.leaf & 1 for slot in slots], bool)[None]


def _slots(model: Model, members: Sequence[tuple[str, int]]) -> list[Slot]:
    """A slot for each parameter or slice of a loop, then one for each member of some."""
    slots = []
    for leaf, (path, shape) in enumerate(zip(model.paths, model.shapes, strict=True)):
        if not math.prod(shape):
            continue
        if model.notes.stacked >> leaf & 1:
            slots += [Slot(leaf, row, f"{path}[{row}]") for row in range(shape[0])]
        else:
            slots.append(Slot(leaf, None, path))
    for path, axis in members:
        leaf = model.paths.index(path)
        size = model.shapes[leaf][axis]
        before = ":, " * axis
        if not model.notes.stacked >> leaf & 1:
            slots += [
                Slot(leaf, row, f"{path}[{before}{row}]", axis, is_member=True)
                for row in range(size)
            ]
    return slots


def _sizes(measured: Any, slots: Sequence[Slot]) -> np.ndarray:
    found = [np.concatenate([np.asarray(each["gradient_rms"]) for each in measured["params"]], 1)]
    gradients = _gradients(measured)
    for leaf, axis in sorted({(slot.leaf, slot.axis) for slot in slots if slot.is_member}):
        each = jnp.abs(gradients[leaf])
        others = [n for n in range(1, each.ndim) if n != axis + 1]
        found.append(np.asarray(jnp.max(each, axis=others), np.float32))
    return np.concatenate(found, axis=1)


def _gradients(measured: Any) -> list[Any]:
    return jax.tree.leaves(measured["gradients"])


def _zeros(leaves: Sequence[np.ndarray], slots: Sequence[Slot]) -> Flags:
    columns = []
    for slot in slots:
        part = leaves[slot.leaf][slot.place]
        columns.append(~part.reshape(len(part), -1).any(axis=1))
    return np.stack(columns, axis=1)
