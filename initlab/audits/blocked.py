"""Parameters without a gradient at the start: which of them get one, after what, and which never.

The program itself is asked: it is measured again at params moved by one step of descent, and again,
until no further parameter gets a gradient. What a parameter waited for is found by moving one
candidate alone; what never gets a gradient is measured with zeros replaced. All are runs of the one
compiled program, and none is made where every parameter has a gradient.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab.taps import Model
from initlab.types import Params

__all__ = ["Blocked", "find_blocked"]

STEP = 0.05
"""A step of descent changes a tensor by this share of its rms."""

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


class _Slot(NamedTuple):
    """One parameter, or one slice of a stacked one: which leaf, and which of its slices."""

    leaf: int
    row: int | None
    path: str


class _Program(NamedTuple):
    """The compiled measurement: leaves with a first axis of seeds to `(alive, gradients)`.

    `alive` [seeds, slots] says which slots have a gradient that is not exactly zero.
    """

    paths: Sequence[str]
    slots: Sequence[_Slot]
    run: Callable[[list[np.ndarray]], tuple[np.ndarray, list[Any]]]


Flags = np.ndarray


def find_blocked(
    model: Model, measure: Callable[[Params], Any], starts: Params, measured: Any
) -> list[dict[str, Blocked]]:
    """What becomes of each parameter that has no gradient though outputs depend on it.

    Args:
      model: the model.
      measure: params with a first axis of seeds to what `taps.measure` gives of each.
      starts: such params.
      measured: what `measure` gives of them.

    Returns:
      For each seed `{path: Blocked}`; empty where every parameter has a gradient.
    """
    slots = _slots(model)
    leaves, tree = jax.tree.flatten(starts)
    leaves = [np.asarray(leaf) for leaf in leaves]

    def run(leaves: list[np.ndarray]) -> tuple[np.ndarray, list[Any]]:
        return _alive(found := measure(jax.tree.unflatten(tree, leaves))), _gradients(found)

    alive = _alive(measured)
    waiting = ~alive & np.asarray([model.trained >> slot.leaf & 1 for slot in slots], bool)[None]
    if not waiting.any():
        return [{} for _ in alive]
    program = _Program(model.paths, slots, run)
    is_factor = [model.notes.multiplied >> slot.leaf & 1 for slot in slots]
    zero = _zeros(leaves, slots) & np.asarray(is_factor, bool)[None]
    steps, by, leaves = _descend(program, leaves, (alive, _gradients(measured)), waiting, zero)
    never = waiting & (steps == 0)
    for where, names in _partners(program, leaves, never, never & zero).items():
        by[where] = names
    return [
        {
            slot.path: Blocked(int(steps[seed, n]), by.get((seed, n), ()))
            for n, slot in enumerate(slots)
            if waiting[seed, n]
        }
        for seed in range(len(alive))
    ]


def _slots(model: Model) -> list[_Slot]:
    slots = []
    for leaf, (path, shape) in enumerate(zip(model.paths, model.shapes, strict=True)):
        if not math.prod(shape):
            continue
        if model.notes.stacked >> leaf & 1:
            slots += [_Slot(leaf, row, f"{path}[{row}]") for row in range(shape[0])]
        else:
            slots.append(_Slot(leaf, None, path))
    return slots


def _alive(measured: Any) -> Flags:
    sizes = [np.asarray(each["gradient_rms"]) for each in measured["params"]]
    return np.concatenate(sizes, axis=1) != 0


def _gradients(measured: Any) -> list[Any]:
    return jax.tree.leaves(measured["gradients"])


def _zeros(leaves: Sequence[np.ndarray], slots: Sequence[_Slot]) -> Flags:
    columns = []
    for slot in slots:
        part = leaves[slot.leaf] if slot.row is None else leaves[slot.leaf][:, slot.row]
        columns.append(~part.reshape(len(part), -1).any(axis=1))
    return np.stack(columns, axis=1)


def _descend(
    program: _Program,
    leaves: list[np.ndarray],
    start: tuple[Flags, list[Any]],
    waiting: Flags,
    zero: Flags,
) -> tuple[np.ndarray, dict[tuple[int, int], tuple[str, ...]], list[np.ndarray]]:
    """Steps of descent until no further slot gets a gradient.

    Returns:
      After how many steps each slot has one ([seeds, slots], 0 for never or from the start), what
      each waited for, and the params in the end.
    """
    alive, gradients = start
    steps, by = np.zeros(alive.shape, int), {}
    was_moved = np.zeros_like(alive)
    for step in range(1, MAX_STEPS):
        before, fresh = leaves, alive & ~was_moved
        leaves = _moved(program.slots, before, gradients, alive)
        now, ahead = program.run(leaves)
        opened = waiting & now & (steps == 0)
        if not opened.any():
            break
        steps[opened] = step
        # First those at zero, as gates and ends of branches are; then whatever else has moved.
        for candidates in (fresh & zero, alive & ~zero):
            unknown = opened & ~_is_key(by, opened.shape)
            if unknown.any() and candidates.any():
                by |= _openers(program, before, gradients, unknown, candidates)
        was_moved |= alive
        alive, gradients = now, ahead
        if not (waiting & (steps == 0)).any():
            break
    return steps, by, leaves


def _is_key(found: dict[tuple[int, int], Any], shape: tuple[int, ...]) -> Flags:
    flags = np.zeros(shape, bool)
    for where in found:
        flags[where] = True
    return flags


def _openers(
    program: _Program,
    leaves: list[np.ndarray],
    gradients: list[Any],
    opened: Flags,
    candidates: Flags,
) -> dict[tuple[int, int], tuple[str, ...]]:
    """The candidate whose step alone gives each slot a gradient.

    Each candidate, a leaf with all its slices, is moved in half of some runs, no two in the same
    half: log2 of their number, and a few more. A slot has a gradient in exactly the runs of the
    candidate that gives it one; in more of them if several do, which are then tried one by one.
    """
    of_leaf = np.asarray([slot.leaf for slot in program.slots])
    numbers = np.unique(of_leaf[candidates.any(axis=0)]).tolist()
    runs = next(m for m in itertools.count(1) if math.comb(m, max(1, m // 2)) >= len(numbers))
    halves = itertools.combinations(range(runs), max(1, runs // 2))
    codes = {frozenset(code): leaf for code, leaf in zip(halves, numbers, strict=False)}

    def moving(chosen: Iterable[int]) -> Flags:
        which = candidates & np.isin(of_leaf, list(chosen))[None]
        return opened & program.run(_moved(program.slots, leaves, gradients, which))[0]

    seen = [moving(leaf for code, leaf in codes.items() if n in code) for n in range(runs)]
    alone: dict[int, Flags] = {}
    found = {}
    for where in zip(*np.nonzero(opened), strict=True):
        pattern = frozenset(n for n in range(runs) if seen[n][where])
        fitting = [leaf for code, leaf in codes.items() if code <= pattern]
        if pattern not in codes:
            for leaf in fitting:
                if leaf not in alone:
                    alone[leaf] = moving([leaf])
            fitting = [leaf for leaf in fitting if alone[leaf][where]]
        if fitting:
            found[where] = (program.paths[fitting[0]],)
    return found


def _partners(
    program: _Program, leaves: list[np.ndarray], never: Flags, zero: Flags
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
    every = never & program.run(_moved(program.slots, leaves, drawn, zero))[0]
    if not every.any():
        return {}
    closed, sets = [], _sets(len(numbers))
    for left_out in sets:
        kept = zero.copy()
        kept[:, numbers[left_out]] = False
        closed.append(every & ~program.run(_moved(program.slots, leaves, drawn, kept))[0])
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


def _moved(
    slots: Sequence[_Slot], leaves: list[np.ndarray], directions: Sequence[Any], which: Flags
) -> list[np.ndarray]:
    """Leaves after a step against some directions, each slot's as long as a share of its rms.

    What is zero moves by that share of 1 / sqrt(its longest axis), the size of a usual weight.
    """
    moved = list(leaves)
    for n, slot in enumerate(slots):
        if not which[:, n].any():
            continue
        if moved[slot.leaf] is leaves[slot.leaf]:
            moved[slot.leaf] = leaves[slot.leaf].copy()
        place = (slice(None),) if slot.row is None else (slice(None), slot.row)
        part = leaves[slot.leaf][place]
        rows = part.reshape(len(part), -1).astype(np.float32)
        direction = np.asarray(directions[slot.leaf])[place].reshape(rows.shape).astype(np.float32)
        largest = np.abs(direction).max(axis=1, keepdims=True)
        unit = direction / np.where(largest > 0, largest, 1)
        unit /= np.sqrt(np.mean(unit**2, axis=1, keepdims=True)) + np.float32(1e-30)
        usual = max(part.shape[1:], default=1) ** -0.5
        size = np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
        stepped = rows - STEP * np.where(size > 0, size, usual) * unit
        chosen = which[:, n] & np.isfinite(stepped).all(axis=1)
        part = np.where(chosen[:, None], stepped, rows).astype(part.dtype).reshape(part.shape)
        moved[slot.leaf][place] = part
    return moved
