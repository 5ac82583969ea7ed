"""What a parameter without a gradient waits for, asked of the program by one run after another."""

import itertools
import math
from typing import Any

import numpy as np

from initlab.audits.descent import Flags, Program, moved
from initlab.audits.openers import find_openers

__all__ = ["descend", "find_partners"]

MAX_STEPS = 16
"""Zeros open one after the other; no model is known that has more than three in a row."""

SINGLY = 12
"""Up to so many candidates are left out one by one, more of them in sets."""


def descend(
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


def find_partners(
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
