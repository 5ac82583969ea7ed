"""Slices of a weight that are far smaller than their siblings, as those of one expert or head."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from initlab.symmetry import BlockAxis
from initlab.taps import Model
from initlab.types import Params

__all__ = ["Faint", "find_faint"]

ENTRIES = 8
"""Fewer draws may all be near zero by chance: eight under 1/403 have a probability below 1e-20."""

SIBLINGS = 3
"""Along an axis that is not known to hold members: of two slices one may be meant to be small."""


@dataclasses.dataclass(frozen=True)
class Faint:
    """A slice of a weight beside which its siblings are much larger.

    Attributes:
      path: the weight.
      bit: its bit in sets of parameters.
      axis: where such slices lie in it.
      index: which one.
      ratio: its rms over the median of its siblings'.
      layer: of weights that a loop over layers scans, which of them; else None.
      is_lost: whether it matters as little to the loss, as it does not where it is normalized.
    """

    path: str
    bit: int
    axis: BlockAxis
    index: int
    ratio: float
    layer: int | None
    is_lost: bool


def find_faint(
    model: Model,
    starts: Params,
    gradients: Params,
    batched: Sequence[tuple[str, BlockAxis]],
    max_efolds: float,
) -> list[list[Faint]]:
    """The slices whose rms is under exp(-max_efolds) of their siblings' median, but not zero.

    Where experts or heads are summed within the product that makes them, as in
    `einsum("be,bd,edo->bo", gates, x, w)`, no signal is one of theirs, and behind a drawn bias one
    that vanishes leaves no mark on an rms: the weights say it. What is normalized afterwards may
    have any size, and then its gradient is as much larger: a slice is lost only where its
    gradient_rms times its rms, by how much the loss changes with its scale, is as far behind.

    Args:
      model: the model.
      starts: params with a first axis of seeds.
      gradients: theirs.
      batched: axes of parameters in each index of which units lie, as `read_symmetry` gives them.
      max_efolds: the limit.

    Returns:
      Of each seed the slices, in the order of the parameters.
    """
    leaves, slopes = jax.tree.leaves(starts), jax.tree.leaves(gradients)
    places = [
        (bit, axis, outer)
        for bit, path in enumerate(model.paths)
        if (model.notes.contracted | model.notes.multiplied) & model.trained & 1 << bit
        for axis, outer in _axes(model, bit, [axis for other, axis in batched if other == path])
    ]
    found: list[list[Faint]] = [[] for _ in leaves[0]]
    share = math.exp(-max_efolds)
    for seed, slices in enumerate(found):
        for bit, axis, outer in places:
            is_stacked = bool(model.notes.stacked >> bit & 1)
            sizes = _sizes(np.asarray(leaves[bit])[seed], axis, outer)
            usual = _usual(sizes)
            is_faint = (sizes > 0) & (sizes < share * usual)
            if not is_faint.any():
                continue
            # Read here alone: gradients are as large as the params.
            effects = sizes * _sizes(np.asarray(slopes[bit])[seed], axis, outer)
            among = _usual(effects)
            # Zeros may hide all of them, which leaves the weights' word.
            is_lost = (effects < share * among) | (among == 0)
            for layer, index in np.argwhere(is_faint).tolist():
                ratio = float(sizes[layer, index] / usual[layer, 0])
                own, lost = layer if is_stacked and not outer else None, bool(is_lost[layer, index])
                slices.append(Faint(model.paths[bit], bit, axis, index, ratio, own, lost))
    return found


def _axes(model: Model, bit: int, known: Sequence[BlockAxis]) -> list[tuple[BlockAxis, int | None]]:
    """The axes of members, and all others of a weight that has three or more.

    Each with the axis in each index of which its slices are compared, if there is one: that of a
    loop's layers, or another one of members, as of heads in each member.
    """
    shape, first = model.shapes[bit], model.notes.stacked >> bit & 1
    if len(shape) - first < 3 and not model.notes.contracted >> bit & 1:
        return []  # A gate may be small.
    # Layers of a stack are places of their own.
    axes = [axis for axis in known if axis.axis >= first]
    whole = [axis.axis for axis in axes if axis == BlockAxis(axis.axis, axis.size)]
    if len(shape) - first > 2:
        taken = {axis.axis for axis in axes}
        axes += [
            BlockAxis(n, size)
            for n, size in enumerate(shape)
            if n >= first and n not in taken and size >= SIBLINGS
        ]
    outer = {axis: [0 if first else None, *(n for n in whole if n != axis.axis)] for axis in axes}
    return [
        (axis, other)
        for axis, others in outer.items()
        for other in others
        if axis.size > 1
        and math.prod(shape) >= ENTRIES * axis.size * (1 if other is None else shape[other])
    ]


def _sizes(leaf: Any, axis: BlockAxis, outer: int | None) -> np.ndarray:
    """The rms of each slice, [indices of the outer axis, slices]; without one [1, slices]."""
    array = np.asarray(leaf).astype(np.float64)
    array = array[None] if outer is None else np.moveaxis(array, outer, 0)
    # Where the axis lies now.
    moved = axis.axis + (outer is None or outer > axis.axis)
    along = np.moveaxis(array, moved, 1)
    inside = along[:, axis.start : along.shape[1] - axis.rest]
    parts = inside.reshape(len(along), axis.outer, axis.size, axis.inner, *along.shape[2:])
    others = tuple(n for n in range(1, parts.ndim) if n != 2)
    return np.sqrt(np.mean(np.square(parts), axis=others))


def _usual(sizes: np.ndarray) -> np.ndarray:
    """Of each layer the median of what is not zero, the upper of two: that of all but a faint one.

    0 where everything is zero.
    """
    counted = (sizes > 0) & np.isfinite(sizes)
    middle = counted.sum(axis=1, keepdims=True) // 2
    ordered = np.sort(np.where(counted, sizes, np.inf), axis=1)
    return np.where(counted.any(axis=1, keepdims=True), np.take_along_axis(ordered, middle, 1), 0)
