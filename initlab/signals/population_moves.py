"""What moves entries does to samples of units: axes of sites are moved, those of units renamed."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.signals.population import SIZE, Kind, Sampled, Unfollowed

__all__ = ["MOVED"]


def _transpose(equation: Any, x: Sampled, _: Sequence[Any]) -> Sampled:
    order = tuple(map(int, equation.params["permutation"]))
    return Sampled(
        jnp.transpose(x.values, (0, *(axis + 1 for axis in order))),
        tuple(x.shape[axis] for axis in order),
        tuple(x.kinds[axis] for axis in order),
        x.place,
    )


def _broadcast(equation: Any, x: Sampled, _: Sequence[Any]) -> Sampled:
    shape = tuple(equation.params["shape"])
    axes = tuple(map(int, equation.params["broadcast_dimensions"]))
    sizes, kinds = [1] * len(shape), [Kind.SAME] * len(shape)
    for axis, own in enumerate(axes):
        sizes[own] = x.values.shape[axis + 1]
        kinds[own] = x.kinds[axis] if x.shape[axis] == shape[own] else Kind.SAME
    return Sampled(x.values.reshape(len(x.values), *sizes), shape, tuple(kinds), x.place)


def _squeeze(equation: Any, x: Sampled, _: Sequence[Any]) -> Sampled:
    gone = {int(axis) for axis in equation.params["dimensions"]}
    kept = [axis for axis in range(len(x.shape)) if axis not in gone]
    values = x.values.reshape(len(x.values), *(x.values.shape[axis + 1] for axis in kept))
    return Sampled(
        values, tuple(x.shape[n] for n in kept), tuple(x.kinds[n] for n in kept), x.place
    )


def _reshape(equation: Any, x: Sampled, _: Sequence[Any]) -> Any:
    new = tuple(equation.params["new_sizes"])
    sizes: list[int] = []
    kinds: list[Kind] = []
    values = x.values
    for old_axes, new_axes in _groups(x.shape, new):
        found = {x.kinds[axis] for axis in old_axes if x.shape[axis] > 1}
        own = [new[axis] for axis in new_axes]
        if len(old_axes) == len(new_axes) == 1:
            sizes.append(x.values.shape[old_axes[0] + 1])
            kinds.append(x.kinds[old_axes[0]])
        elif found <= {Kind.SAME}:
            sizes += [1] * len(own)
            kinds += [Kind.SAME] * len(own)
        elif found <= {Kind.UNIT, Kind.SAME}:
            sizes += [1] * len(own)
            kinds += [Kind.UNIT if size > 1 else Kind.SAME for size in own]
        elif found <= {Kind.SITE, Kind.SAME}:
            for axis in old_axes:
                values = jnp.repeat(values, x.shape[axis] // values.shape[axis + 1], axis + 1)
            sizes += own
            kinds += [Kind.SITE if size > 1 else Kind.SAME for size in own]
        elif sum(size > 1 for size in own) == 1:
            sites = math.prod(x.values.shape[axis + 1] for axis in old_axes)
            sizes += [sites if size > 1 else 1 for size in own]
            kinds += [Kind.FLAT if size > 1 else Kind.SAME for size in own]
        else:
            return Unfollowed("sites and units in one axis that is taken apart")
    return Sampled(values.reshape(len(values), *sizes), new, tuple(kinds), x.place)


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest sets of neighbouring axes of one size, before and after a reshape."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        mine, theirs = ([i] if i < len(old) else []), ([j] if j < len(new) else [])
        i, j = i + len(mine), j + len(theirs)
        while True:
            before = math.prod(old[axis] for axis in mine)
            after = math.prod(new[axis] for axis in theirs)
            if before == after:
                break
            if before < after:
                mine.append(i)
                i += 1
            else:
                theirs.append(j)
                j += 1
        groups.append((mine, theirs))
    return groups


def _slice(equation: Any, x: Sampled, _: Sequence[Any]) -> Any:
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    steps = equation.params["strides"] or [1] * len(starts)
    index: list[slice] = [slice(None)]
    values, place = x.values, x.place
    for axis, bounds in enumerate(zip(starts, limits, steps, strict=True)):
        is_whole = bounds == (0, x.shape[axis], 1)
        if x.kinds[axis] == Kind.FLAT and not is_whole:
            return Unfollowed("a part of an axis of sites and units")
        if x.kinds[axis] == Kind.UNIT and not is_whole:
            values, place = _other_units(values, bounds[0]), None
        index.append(slice(*bounds) if x.kinds[axis] == Kind.SITE else slice(None))
    return Sampled(values[tuple(index)], equation.outvars[0].aval.shape, x.kinds, place)


def _split(equation: Any, x: Sampled, _: Sequence[Any]) -> Any:
    axis, sizes = equation.params["axis"], equation.params["sizes"]
    if x.kinds[axis] == Kind.FLAT:
        return Unfollowed("a part of an axis of sites and units")
    starts = np.cumsum([0, *sizes])[:-1].tolist()
    if x.kinds[axis] == Kind.SITE:
        parts = jnp.split(x.values, starts[1:], axis + 1)
    elif x.kinds[axis] == Kind.UNIT:
        parts = [_other_units(x.values, start) for start in starts]
    else:
        parts = [x.values] * len(sizes)
    return [
        Sampled(part, variable.aval.shape, x.kinds)
        for part, variable in zip(parts, equation.outvars, strict=True)
    ]


def _other_units(values: jax.Array, start: int) -> jax.Array:
    """Units from `start` on: independent of the first, the same ones wherever they are taken."""
    if len(values) == 1 or not start:
        return values
    order = np.random.default_rng(start).permutation(SIZE // 2)
    # Samples of opposite signs stay pairs.
    return values[np.concatenate([order, order + SIZE // 2])]


MOVED: dict[str, Callable[[Any, Sampled, Sequence[Any]], Any]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
