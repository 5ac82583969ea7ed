"""Parameters without a gradient at the start: which of them get one, after what, and which never.

What a parameter waits for is read off the program of the gradients (`openings`), and the program
itself is asked whether it is so: it is measured once more, with all moved that ever will, and not
at all where every parameter has a gradient. A start whose zeros all open is settled by that.

Otherwise the program is measured at params moved by one step of descent after another, and what a
parameter waited for is found by steps of other sizes: so is what waits for something else than a
zero, as a gate `g - 1` at 1. What never gets a gradient is measured with zeros replaced.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.audits.descent import Flags, Program, Slot, moved
from initlab.audits.openers import find_openers
from initlab.audits.openings import Opening, find_openings, opened
from initlab.taps import Model
from initlab.types import OutputLoss, Params

__all__ = ["Blocked", "Found", "find_blocked"]

MAX_STEPS = 16
"""Zeros open one after the other; no model is known that has more than three in a row."""

SINGLY = 12
"""Up to so many candidates are left out one by one, more of them in sets."""


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
      opened: what was measured with all moved that ever gets a gradient, without the gradients; or
        None, where nothing was, or something never does.
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
    steps, by, ahead = np.zeros(sizes.shape, int), {}, leaves
    openings = find_openings(model, loss, slots, is_zero, alive)
    if openings is not None:
        ahead = opened(slots, leaves, start[1], is_zero, alive, openings, wide)
        after = measure(jax.tree.unflatten(tree, ahead))
        has_one = waiting & (_sizes(after, slots) != 0)
        steps, by = _explained(program, openings, has_one)
        # That a member has one is all that is asked of it.
        steps[has_one & is_member] = 1
    if (waiting & (steps == 0)).any():
        # Something else than zeros that open ends it, or nothing does: asked step by step.
        after = None
        steps, by, ahead = _descend(program, leaves, start, waiting, zero & ~is_member)
    never = waiting & (steps == 0)
    for number, slot in enumerate(slots):
        if slot.is_member:
            # What becomes of all of a parameter is told once.
            whole = [n for n, each in enumerate(slots) if each.leaf == slot.leaf]
            never[:, number] &= ~(never & ~is_member)[:, whole].any(axis=1)
    for where, names in _partners(program, ahead, never, never & zero).items():
        by[where] = names
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
    if never.any() or after is None:
        return Found(blocked)
    return Found(blocked, {name: after[name] for name in after if name != "gradients"})


def _explained(
    program: Program, openings: Sequence[dict[int, Opening]], has_one: Flags
) -> tuple[np.ndarray, dict[tuple[int, int], tuple[str, ...]]]:
    """Steps and names of those openings that are found to be so."""
    steps, by = np.zeros(has_one.shape, int), {}
    for seed, found in enumerate(openings):
        for number, opening in found.items():
            if has_one[seed, number]:
                steps[seed, number] = opening.steps
                if opening.leaf is not None:
                    by[seed, number] = (program.paths[opening.leaf],)
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


def _descend(
    program: Program,
    leaves: list[np.ndarray],
    start: tuple[np.ndarray, list[Any]],
    waiting: Flags,
    zero: Flags,
) -> tuple[np.ndarray, dict[tuple[int, int], tuple[str, ...]], list[np.ndarray]]:
    """Steps of descent until no further slot gets a gradient.

    Returns:
      After how many steps each slot has one ([seeds, slots], 0 for never or from the start), what
      each waited for, and the params in the end.
    """
    sizes, gradients = start
    # A member moves with its parameter.
    may_move = ~np.asarray([slot.is_member for slot in program.slots], bool)[None]
    steps, by = np.zeros(sizes.shape, int), {}
    was_moved = np.zeros(sizes.shape, bool)
    for step in range(1, MAX_STEPS):
        alive = (sizes != 0) & may_move
        before, fresh = leaves, alive & ~was_moved
        leaves = moved(program.slots, before, gradients, alive)
        now, ahead = program.run(leaves)
        opened = waiting & (now != 0) & (steps == 0)
        if not opened.any():
            break
        steps[opened] = step
        # First those at zero, as gates and ends of branches are; then whatever else has moved.
        for candidates in (fresh & zero, alive & ~zero):
            unknown = opened & ~_is_key(by, opened.shape)
            by |= find_openers(program, before, gradients, now, unknown, alive, candidates)
        was_moved |= alive
        sizes, gradients = now, ahead
        if not (waiting & (steps == 0)).any():
            break
    return steps, by, leaves


def _is_key(found: dict[tuple[int, int], Any], shape: tuple[int, ...]) -> Flags:
    flags = np.zeros(shape, bool)
    for where in found:
        flags[where] = True
    return flags


def _partners(
    program: Program, leaves: list[np.ndarray], never: Flags, zero: Flags
) -> dict[tuple[int, int], tuple[str, ...]]:
    """The zeros that keep each slot from ever getting a gradient: all that would have to change.

    All zeros are drawn at random in their place; then all but some. Whose gradient is gone when one
    of them is left at zero is blocked by that one.
    """
    numbers = np.asarray(np.nonzero(zero.any(axis=0))[0])
    paths = [program.slots[number].path for number in numbers.tolist()]
    if not paths:
        return {}
    rng = np.random.default_rng(0)
    chosen = {program.slots[number].leaf for number in numbers.tolist()}
    # Upwards: relu of a gate is open there.
    drawn = [
        -np.abs(rng.normal(size=leaf.shape if n in chosen else ())) for n, leaf in enumerate(leaves)
    ]
    every = never & (program.run(moved(program.slots, leaves, drawn, zero))[0] != 0)
    if not every.any():
        return {}
    closed, sets = [], _sets(len(numbers))
    for left_out in sets:
        kept = zero.copy()
        kept[:, numbers[left_out]] = False
        closed.append(every & (program.run(moved(program.slots, leaves, drawn, kept))[0] == 0))
    found = {}
    for seed, slot in zip(*np.nonzero(every), strict=True):
        needed = [
            path
            for n, path in enumerate(paths)
            if all(shut[seed, slot] for left, shut in zip(sets, closed, strict=True) if left[n])
        ]
        # Two ways past the same zeros: no one of them is needed.
        found[seed, slot] = tuple(needed or paths)
    return found


def _sets(count: int) -> list[Flags]:
    """Sets of candidates such that which of them matter shows where one or two do.

    One by one; or lines over a prime field, any two of which meet in one point at most (Kautz and
    Singleton 1964): 3 sqrt(count) sets, each candidate in three.
    """
    if count <= SINGLY:
        return list(np.eye(count, dtype=bool))
    prime = next(p for p in itertools.count(math.isqrt(count - 1) + 1) if _is_prime(p))
    slope, offset = np.divmod(np.arange(count), prime)
    return [(slope * x + offset) % prime == y for x in range(3) for y in range(prime)]


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % each for each in range(2, math.isqrt(number) + 1))
