"""Copies among parameters: units that are identical, and slices along an axis that repeat."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from initlab import checks
from initlab.audits.draws import is_draw
from initlab.audits.duplicates import count_distinct
from initlab.symmetry import BlockAxis, UnitAxis, UnitGroup, in_block
from initlab.types import Params

__all__ = ["Copies", "Repeated", "find_copies"]


class Repeated(NamedTuple):
    """An axis of a parameter along which some indices hold the same random numbers.

    Attributes:
      path: the parameter.
      axis: the axis.
      distinct: how many indices differ.
      size: how many there are.
      alike: the indices of the largest set that agrees.
    """

    path: str
    axis: int
    distinct: int
    size: int
    alike: tuple[int, ...]


class Copies(NamedTuple):
    """The copies in one start.

    Attributes:
      widths: `{group of units, or group[block]: (different ones, all, paths of its parameters)}`.
      blocks: where the block of such a name lies.
      repeated: batched axes with slices that repeat.
    """

    widths: Mapping[str, tuple[int, int, tuple[str, ...]]]
    blocks: Mapping[str, str]
    repeated: Sequence[Repeated]


def find_copies(
    params: Params, groups: Sequence[UnitGroup], batched: Sequence[tuple[str, BlockAxis]]
) -> Copies:
    """Counts the different units of each group, and of each of its blocks where it has any.

    Args:
      params: one start.
      groups: of exchangeable units.
      batched: axes of parameters in each index of which units lie, as `read_symmetry` gives them.

    Returns:
      What was found; groups all of whose units differ are in `widths` too.
    """
    by_path = jax.tree_util.tree_leaves_with_path(params)
    leaves = {checks.path_name(path): np.asarray(leaf) for path, leaf in by_path}
    widths: dict[str, tuple[int, int, tuple[str, ...]]] = {}
    blocks: dict[str, str] = {}
    for group in groups:
        paths = tuple(unit.path for unit in group.axes)
        parts = [
            (index, in_block(group, index))
            for index in itertools.product(*map(range, group.blocks))
            if index
        ]
        counts = [count_distinct(params, leaves, part) for _, part in parts]
        if not parts or all(count < group.size for count in counts):
            # Without blocks, or with copies in every one of them: the group's own affair.
            distinct = min(counts) if counts else count_distinct(params, leaves, group)
            widths[group.name] = (distinct, group.size, paths)
            if group.axes[0].at:
                blocks[group.name] = _where(group.axes[0], group.axes[0].at)
            continue
        widths[group.name] = (group.size, group.size, paths)
        for (_, part), count in zip(parts, counts, strict=True):
            if count < group.size:
                widths[part.name] = (count, group.size, paths)
                blocks[part.name] = _where(part.axes[0], part.axes[0].at)
    repeated = [each for path, axis in batched for each in _repeated(path, axis, leaves[path])]
    return Copies(widths, blocks, repeated)


def _where(unit: UnitAxis, index: Sequence[int]) -> str:
    return " and ".join(
        f"index {number} of axis {block.axis} of {unit.path}"
        if block.outer == block.inner == 1 and not block.start and not block.rest
        else f"block {number} of axis {block.axis} of {unit.path}"
        for number, block in zip(index, unit.blocks, strict=False)
    )


def _repeated(path: str, axis: BlockAxis, leaf: np.ndarray) -> list[Repeated]:
    along = np.moveaxis(leaf, axis.axis, 0)
    inside = along[axis.start : along.shape[0] - axis.rest]
    parts = inside.reshape(axis.outer, axis.size, axis.inner, *along.shape[1:])
    slices = np.moveaxis(parts, 1, 0)
    labels: dict[bytes, list[int]] = {}
    for number, each in enumerate(slices):
        labels.setdefault(np.ascontiguousarray(each + 0.0).tobytes(), []).append(number)
    alike = max(labels.values(), key=len)
    if len(alike) == 1 or not is_draw(slices[alike[0]]):
        return []
    return [Repeated(path, axis.axis, len(labels), axis.size, tuple(alike))]
