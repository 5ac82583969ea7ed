"""Which parameter's step alone gives another one its first gradient."""

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from initlab.audits.descent import Flags, Program, moved

__all__ = ["find_openers"]

SHARES = tuple(2.0**-n for n in (1, 3, 5, 7, 9, 11, 13))
"""Shares of a step, by which candidates are told from each other.

Odd powers, so that what waits for two of them at once, an even one, is not taken for a third's.
"""

Found = dict[tuple[int, int], tuple[str, ...]]


def find_openers(
    program: Program,
    leaves: list[np.ndarray],
    gradients: list[Any],
    whole: np.ndarray,
    opened: Flags,
    moving: Flags,
    candidates: Flags,
) -> Found:
    """The candidate whose step alone gives each slot a gradient.

    In a run or two more, in which each candidate, a leaf with all its slices, takes a share of its
    step: by that share the gradient of what waits for it alone is smaller. What is not in
    proportion to one of them is asked in runs where only some candidates move.

    Args:
      program: the compiled measurement.
      leaves: params before the step, with a first axis of seeds.
      gradients: theirs.
      whole: the sizes of gradients after the whole step, [seeds, slots].
      opened: flags of the slots that have a gradient since.
      moving: flags of the slots that took the step.
      candidates: flags of those among them that may have given it.

    Returns:
      `{(seed, slot): (the candidate's path,)}`.
    """
    numbers = program.leaves_of(candidates)
    if not numbers or not opened.any():
        return {}
    runs = max(1, math.ceil(round(math.log(len(numbers), len(SHARES)), 9)))
    codes = list(itertools.islice(itertools.product(range(len(SHARES)), repeat=runs), len(numbers)))
    measured = []
    for digit in range(runs):
        factors = np.ones(len(program.slots))
        for leaf, code in zip(numbers, codes, strict=True):
            factors[program.within([leaf])[0]] = SHARES[code[digit]]
        factors = np.where(candidates.any(axis=0), factors, 1)
        sizes, _ = program.run(moved(program.slots, leaves, gradients, moving, factors))
        measured.append(sizes)
    found: Found = {}
    for seed, slot in zip(*np.nonzero(opened), strict=True):
        code = tuple(_share(float(each[seed, slot]), float(whole[seed, slot])) for each in measured)
        if code in codes:
            found[seed, slot] = (program.paths[numbers[codes.index(code)]],)
    left = opened.copy()
    for where in found:
        left[where] = False
    return found | _by_halves(program, leaves, gradients, left, candidates)


def _share(part: float, whole: float) -> int:
    """Which of SHARES a gradient has of another; -1 for none of them."""
    if not (part > 0 and np.isfinite(part) and np.isfinite(whole)):
        return -1
    power = -math.log2(part / whole)
    nearest = round((power - 1) / 2)
    is_near = abs(power - (2 * nearest + 1)) < 0.5
    return nearest if is_near and 0 <= nearest < len(SHARES) else -1


def _by_halves(
    program: Program,
    leaves: list[np.ndarray],
    gradients: list[Any],
    opened: Flags,
    candidates: Flags,
) -> Found:
    """The same by moving some candidates alone.

    Each candidate is moved in half of some runs, no two in the same half: log2 of their number, and
    a few more. A slot has a gradient in exactly the runs of the candidate that gives it one; in
    more of them if several do, which are then tried one by one.
    """
    if not opened.any():
        return {}
    numbers = program.leaves_of(candidates)
    runs = next(m for m in itertools.count(1) if math.comb(m, max(1, m // 2)) >= len(numbers))
    halves = itertools.combinations(range(runs), max(1, runs // 2))
    codes = {frozenset(code): leaf for code, leaf in zip(halves, numbers, strict=False)}

    def moving(chosen: Iterable[int]) -> Flags:
        which = candidates & program.within(chosen)
        return opened & (program.run(moved(program.slots, leaves, gradients, which))[0] != 0)

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
