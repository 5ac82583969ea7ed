"""Duplicates among parameters: identical units of a group, tensors that are one draw."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initlab.audits.draws import DISTINCT, LEAST, is_draw
from initlab.symmetry import UnitAxis, UnitGroup, cut_down, unit_classes, whole
from initlab.types import Params

__all__ = ["count_distinct", "find_duplicates", "unit_hashes"]

PREFIX = 256
"""How many entries of a tensor are compared with another's."""


def count_distinct(params: Params, leaves: Mapping[str, np.ndarray], group: UnitGroup) -> int:
    """How many units of a group differ.

    Hashes that differ prove that units do. Where no leaf has the units on two axes, hashes that
    agree prove the rest, up to one chance in 2^64 a pair; where one has, as a recurrent weight,
    units whose hashes agree are compared bit by bit, in time quadratic in their number.

    Args:
      params: the params that the group lies in.
      leaves: the same by path, as "layer_1/weight".
      group: the units.

    Returns:
      The number of classes.
    """
    distinct = len(np.unique(unit_hashes(leaves, group)))
    parts = {(unit.path, unit.blocks[: len(unit.at)], unit.at) for unit in group.axes}
    if distinct == group.size or len(parts) == len(group.axes):
        return distinct
    return len(np.unique(np.asarray(unit_classes(params, group))))


def unit_hashes(leaves: Mapping[str, np.ndarray], group: UnitGroup) -> np.ndarray:
    """A hash for each unit, the same for units whose exchange leaves the params as they are.

    A sum over a unit's entries of mixed bits, each with its place among them; entries on two axes
    of the units are summed without a place, since an exchange permutes them too.

    Args:
      leaves: arrays by path.
      group: the units.

    Returns:
      [size] uint64.
    """
    hashes = np.zeros(group.size, np.uint64)
    parts: dict[Any, list[UnitAxis]] = {}
    for unit in group.axes:
        parts.setdefault((unit.path, unit.blocks[: len(unit.at)], unit.at), []).append(unit)
    for number, ((path, _, _), units) in enumerate(parts.items()):
        axes = list(map(whole, units))
        leaf = cut_down(leaves[path], units[0]) + 0.0  # -0.0 is 0.0
        bits = np.ascontiguousarray(leaf.astype(np.float64)).view(np.uint64)
        # A sum, not a hash of the sequence: it does not depend on the order of units along the
        # other axis, and wraps modulo 2^64 as NumPy's integers do.
        if len(axes) > 1:
            mixed = _mix(bits)
        else:
            mixed = _mix(bits ^ _places(leaf.shape, axes[0], group.size))
        for unit in axes:
            seed = np.full(group.size, number * 64 + unit.axis + 1, np.uint64)
            hashes += _mix(_summed(mixed, unit, group.size) ^ _mix(seed))
    return hashes


def _places(shape: tuple[int, ...], unit: Any, size: int) -> np.ndarray:
    """The place of each entry among its unit's entries, mixed."""
    before, after = shape[: unit.axis], shape[unit.axis + 1 :]
    axis = np.arange(shape[unit.axis])
    inside = axis[unit.start : shape[unit.axis] - unit.rest]
    block = np.zeros_like(axis)
    block[unit.start : shape[unit.axis] - unit.rest] = (
        np.arange(inside.size) // (size * unit.inner) * unit.inner
        + np.arange(inside.size) % unit.inner
    )
    rows = np.arange(int(np.prod(before))).reshape(*before, 1, *(1 for _ in after))
    columns = np.arange(int(np.prod(after))).reshape(*(1 for _ in before), 1, *after)
    per_row = unit.outer * unit.inner
    middle = block.reshape(*(1 for _ in before), -1, *(1 for _ in after))
    place = (rows * per_row + middle) * max(1, int(np.prod(after))) + columns
    return _mix(place.astype(np.uint64) + np.uint64(1))


def _summed(mixed: np.ndarray, unit: Any, size: int) -> np.ndarray:
    """Sums, modulo 2^64, over everything but the units of one axis."""
    along = np.moveaxis(mixed, unit.axis, 0)
    inside = along[unit.start : along.shape[0] - unit.rest]
    blocks = inside.reshape(unit.outer, size, unit.inner, -1)
    return blocks.sum(axis=(0, 2, 3), dtype=np.uint64)


def _mix(bits: np.ndarray) -> np.ndarray:
    """A bijection that spreads every bit over all (the finalizer of MurmurHash3)."""
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))


def find_duplicates(
    tensors: Sequence[tuple[str, np.ndarray]], correlation: float
) -> list[tuple[list[str], float]]:
    """Sets of tensors whose entries are one draw, up to a monotone function of each.

    A key that is used again gives the same numbers in every shape, row by row, under every scale,
    and in the same order from every distribution (normal, truncated and uniform draws are functions
    of one uniform number): the first entries are compared, and their ranks. Tables of a closed form
    (`is_draw`), which layers may share by design, are left out.

    Args:
      tensors: (name, values).
      correlation: from which two count as one, either sign.

    Returns:
      (names, largest correlation) of each set of two or more.
    """
    drawn = []
    for name, values in tensors:
        head = values.ravel()[:PREFIX].astype(np.float64)
        if head.size >= LEAST and len(np.unique(head)) >= DISTINCT and np.isfinite(head).all():
            drawn.append((name, head, values))
    found: list[tuple[list[str], float]] = []
    taken: set[int] = set()
    for n, (name, head, values) in enumerate(drawn):
        if n in taken:
            continue
        names, largest = [name], 0.0
        for m in range(n + 1, len(drawn)):
            other = drawn[m][1]
            shared = min(head.size, other.size)
            measured = _agreement(head[:shared], other[:shared])
            if m not in taken and measured > correlation:
                names.append(drawn[m][0])
                taken.add(m)
                largest = max(largest, measured)
        if len(names) > 1 and is_draw(values):
            found.append((names, largest))
    return found


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    """The size of the correlation of entries or of their ranks, whichever is larger."""
    measured = abs(_correlation(one, other))
    # The same numbers from another distribution are correlated too, if less (uniform and normal
    # ones by sqrt(3 / pi) = 0.98): only then are ranks worth sorting for.
    if measured < 0.5:
        return measured
    return max(measured, abs(_correlation(one.argsort().argsort(), other.argsort().argsort())))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt(np.sum(one**2) * np.sum(other**2))
    return float(np.sum(one * other) / size) if size > 0 else 0.0
