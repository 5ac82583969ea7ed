"""Exchanges that are restricted to one block: which entries of a leaf they may move."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from initlab import checks
from initlab.symmetry.groups import BlockAxis, UnitAxis

__all__ = ["cut_down", "entries_of", "whole"]


def entries_of(shape: Sequence[int], unit: UnitAxis) -> list[np.ndarray]:
    """For each axis of a leaf the positions that hold entries of the unit axis's block.

    Args:
      shape: of the leaf.
      unit: restricted to a block by its `at`, or not.

    Returns:
      Positions in ascending order, for `leaf[numpy.ix_(*positions)]`; all of them where nothing
      restricts an axis.

    >>> from initlab.symmetry.groups import BlockAxis
    >>> unit = UnitAxis("w", 0, outer=2, blocks=(BlockAxis(0, 2, inner=3),), at=(1,))
    >>> [each.tolist() for each in entries_of((6,), unit)]
    [[3, 4, 5]]
    """
    masks = [np.ones(length, bool) for length in shape]
    for block, index in zip(unit.blocks, unit.at, strict=False):
        masks[block.axis] &= _index_in(block, shape[block.axis]) == index
    return [np.flatnonzero(mask) for mask in masks]


@checks.checked
def cut_down(leaf: np.ndarray, unit: UnitAxis) -> np.ndarray:
    """A leaf's entries of the unit axis's block; a view of it wherever they are adjacent.

    Numbers of any kind are taken, complex ones too: only their places matter.

    Raises:
      ValueError: if the leaf lacks the unit axis.

    >>> from initlab.symmetry.groups import BlockAxis
    >>> cut_down(np.arange(6).reshape(3, 2), UnitAxis("w", 1, blocks=(BlockAxis(0, 3),), at=(2,)))
    array([[4, 5]])
    """
    if not 0 <= unit.axis < np.ndim(leaf):
        raise ValueError(
            f"leaf must have axis {unit.axis}, where the units of {unit.path!r} lie, got shape "
            f"{np.shape(leaf)}"
        )
    for axis, positions in enumerate(entries_of(leaf.shape, unit) if unit.at else []):
        first, last = positions[0], positions[-1] + 1
        if last - first == positions.size:
            leaf = leaf[(slice(None),) * axis + (slice(first, last),)]
        else:
            leaf = leaf.take(positions, axis)
    return leaf


@checks.checked
def whole(unit: UnitAxis) -> UnitAxis:
    """The same unit axis on the leaf cut down to `entries_of`, where it is restricted no more.

    >>> from initlab.symmetry.groups import BlockAxis
    >>> whole(UnitAxis("w", 0, outer=2, blocks=(BlockAxis(0, 2, inner=3),), at=(1,)))
    UnitAxis(path='w', axis=0, outer=1, inner=1, start=0, rest=0, blocks=(), at=())
    """
    if not unit.at:
        return unit
    outer, inner, start, rest = unit.outer, unit.inner, unit.start, unit.rest
    for block in unit.blocks[: len(unit.at)]:
        if block.axis == unit.axis:
            # Whatever holds no block index, before and after, is cut off with the other blocks.
            start = rest = 0
            if block.inner > unit.inner:
                outer //= block.size
            else:
                inner //= block.size
    return dataclasses.replace(
        unit, outer=outer, inner=inner, start=start, rest=rest, blocks=(), at=()
    )


def _index_in(block: BlockAxis, length: int) -> np.ndarray:
    """The index of each position of an axis, -1 where it has none."""
    index = np.full(length, -1)
    inside = np.arange(length - block.start - block.rest)
    index[block.start : length - block.rest] = inside // block.inner % block.size
    return index
