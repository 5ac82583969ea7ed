"""Arrays that are known slice by slice: what each operation does to the slices, one by one."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from jax import lax

from initlab.programs.axes import dot_axes
from initlab.programs.equations import run_equation
from initlab.programs.primitives import (
    ARG_REDUCTIONS,
    CONTRACTIONS,
    CUMULATIVE,
    ELEMENTWISE,
    RAGGED,
    REDUCTIONS,
)

__all__ = [
    "Place",
    "Stack",
    "apart",
    "places_in",
    "run_on_slices",
    "squeezed",
    "stacked",
    "whole",
    "window",
]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where slices lie: an axis read as `[outer, size, inner]`, a slice for each middle index."""

    axis: int
    outer: int
    size: int
    inner: int

    def on(self, axis: int) -> "Place":
        """The same on another axis."""
        return dataclasses.replace(self, axis=axis)


@dataclasses.dataclass(frozen=True, eq=False)
class Stack:
    """An array as its slices; each may be a Stack again.

    Attributes:
      place: where they lie in the array.
      pieces: the slices, of the array's rank, `outer * inner` long on the place's axis.
    """

    place: Place
    pieces: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the whole array."""
        return _with_length(self.pieces[0].shape, self.place, self.place.size)

    @property
    def dtype(self) -> Any:
        """That of every slice."""
        return self.pieces[0].dtype


def stacked(pieces: Sequence[Any], place: Place) -> Any:
    """Slices as one array; a single one is the array itself."""
    return pieces[0] if len(pieces) == 1 else Stack(place, tuple(pieces))


def places_in(value: Any) -> set[Place]:
    """All places that a value has slices at; none for an array."""
    if not isinstance(value, Stack):
        return set()
    return {value.place}.union(*map(places_in, value.pieces))


def whole(value: Any) -> Any:
    """A value as one array.

    >>> import jax.numpy as jnp
    >>> whole(Stack(Place(0, 2, 2, 1), (jnp.zeros(2), jnp.ones(2)))).tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    if not isinstance(value, Stack):
        return value
    place, pieces = value.place, [whole(each) for each in value.pieces]
    if place.outer == 1:
        return lax.concatenate(pieces, place.axis)
    shape = pieces[0].shape
    split = (*shape[: place.axis], place.outer, 1, place.inner, *shape[place.axis + 1 :])
    apart = [lax.reshape(each, split) for each in pieces]
    return lax.reshape(lax.concatenate(apart, place.axis + 1), value.shape)


def apart(value: Any, place: Place) -> list[Any]:
    """The slices of any value at a place.

    >>> import jax.numpy as jnp
    >>> [each.tolist() for each in apart(jnp.arange(4), Place(0, 1, 2, 2))]
    [[0, 1], [2, 3]]
    """
    if isinstance(value, Stack):
        if value.place == place:
            return list(value.pieces)
        if value.place.axis != place.axis:
            inside = [apart(each, place) for each in value.pieces]
            return [Stack(value.place, pieces) for pieces in zip(*inside, strict=True)]
    array = whole(value)
    shape = array.shape
    if place.outer == 1:
        return [
            lax.slice_in_dim(array, n * place.inner, (n + 1) * place.inner, axis=place.axis)
            for n in range(place.size)
        ]
    split = (*shape[: place.axis], place.outer, place.size, place.inner, *shape[place.axis + 1 :])
    parts, short = lax.reshape(array, split), _with_length(shape, place, 1 / place.size)
    return [
        lax.reshape(lax.slice_in_dim(parts, n, n + 1, axis=place.axis + 1), short)
        for n in range(place.size)
    ]


def run_on_slices(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Runs an equation, on slices where its result has them too, else on whole arrays.

    Args:
      equation: of a jaxpr; not a call, a loop or a branch.
      operands: arrays, some of them as Stacks.

    Returns:
      A value for each output.
    """
    for number, value in enumerate(operands):
        if isinstance(value, Stack):
            results = _by_slices(equation, operands, number, value)
            if results is not None:
                return results
    return run_equation(equation, [whole(each) for each in operands])


def _by_slices(
    equation: Any, operands: Sequence[Any], number: int, value: Stack
) -> list[Any] | None:
    """The results by the slices of one operand; None where the operation takes them together."""
    name, params, place = equation.primitive.name, equation.params, value.place
    if name in _MOVES and number == 0:
        return _MOVES[name](value, params)
    axes = _axes_of_operands(equation, operands, number, place.axis)
    if axes is None:
        return None
    taken, after = axes
    columns = [
        [each] * place.size if axis is None else apart(each, place.on(axis))
        for each, axis in zip(operands, taken, strict=True)
    ]
    results = [run_on_slices(equation, each) for each in zip(*columns, strict=True)]
    return [Stack(place.on(after), each) for each in zip(*results, strict=True)]


def _axes_of_operands(
    equation: Any, operands: Sequence[Any], number: int, axis: int
) -> tuple[list[int | None], int] | None:
    """The axis of each operand that lies along one operand's, and of the results."""
    name, params = equation.primitive.name, equation.params
    # Of scalars and of axes of length 1 every slice takes the same.
    along = [axis if len(each.shape) > axis and each.shape[axis] > 1 else None for each in operands]
    if name in ELEMENTWISE:
        return along, axis
    if name in REDUCTIONS or name in ARG_REDUCTIONS:
        gone = params["axes"]
        return None if axis in gone else (along, axis - sum(each < axis for each in gone))
    if name in CUMULATIVE:
        return None if axis == params["axis"] else (along, axis)
    if name in ("concatenate", "sort"):
        return None if axis == params["dimension"] else (along, axis)
    if name == "rev":
        return None if axis in params["dimensions"] else (along, axis)
    if name in CONTRACTIONS and name not in RAGGED | {"conv_general_dilated"}:
        return _axes_of_product(equation, operands, number, axis)
    return None


def _axes_of_product(
    equation: Any, operands: Sequence[Any], side: int, axis: int
) -> tuple[list[int | None], int] | None:
    axes = dot_axes(equation)
    if axis in axes.batch[side]:
        run = axes.batch[side].index(axis)
        return [axes.batch[0][run], axes.batch[1][run]], run
    free = [axes.free(n, len(each.shape)) for n, each in enumerate(operands)]
    if axis not in free[side]:
        return None
    after = len(axes.batch[0]) + free[side].index(axis) + (len(free[0]) if side else 0)
    return [axis if n == side else None for n in (0, 1)], after


def _transpose(value: Any, params: Any) -> list[Any]:
    order = tuple(params["permutation"])
    return [_moved(value, lambda each: lax.transpose(each, order), order.index)]


def _squeeze(value: Any, params: Any) -> list[Any]:
    return [squeezed(value, params["dimensions"])]


def squeezed(value: Any, axes: Sequence[int]) -> Any:
    """An array without some axes of length 1."""

    def after(axis: int) -> int:
        return axis - sum(each < axis for each in axes)

    return _moved(value, lambda each: lax.squeeze(each, axes), after)


def _moved(value: Any, move: Callable[[Any], Any], after: Callable[[int], int]) -> Any:
    """Slices moved one by one, by what does not depend on their length."""
    if not isinstance(value, Stack):
        return move(value)
    pieces = [_moved(each, move, after) for each in value.pieces]
    return Stack(value.place.on(after(value.place.axis)), tuple(pieces))


def _broadcast(value: Any, params: Any) -> list[Any]:
    return [_broadcast_to(value, params["shape"], params["broadcast_dimensions"])]


def _broadcast_to(value: Any, shape: Sequence[int], axes: Sequence[int]) -> Any:
    if not isinstance(value, Stack):
        return lax.broadcast_in_dim(value, shape, axes)
    place = value.place.on(axes[value.place.axis])
    short = _with_length(shape, place, 1 / place.size)
    return Stack(place, tuple(_broadcast_to(each, short, axes) for each in value.pieces))


def _reshape(value: Any, params: Any) -> list[Any] | None:
    return None if params["dimensions"] is not None else [_reshaped(value, params["new_sizes"])]


def _reshaped(value: Any, shape: Sequence[int]) -> Any:
    """Slices reshaped one by one, where the new axes leave each in one middle index of an axis."""
    if not isinstance(value, Stack):
        return lax.reshape(value, shape)
    place, before = value.place, value.shape
    outer = math.prod(before[: place.axis]) * place.outer
    for axis, length in enumerate(shape if math.prod(shape) else ()):
        ahead = math.prod(shape[:axis])
        if outer % ahead == 0 and length % (outer // ahead * place.size) == 0:
            within = outer // ahead
            there = Place(axis, within, place.size, length // (within * place.size))
            short = _with_length(shape, there, 1 / place.size)
            return Stack(there, tuple(_reshaped(each, short) for each in value.pieces))
    return lax.reshape(whole(value), shape)


def _slice(value: Any, params: Any) -> list[Any] | None:
    strides = params["strides"]
    if strides is not None and any(each != 1 for each in strides):
        return None
    return [window(value, params["start_indices"], params["limit_indices"])]


def _split(value: Any, params: Any) -> list[Any]:
    axis, start, found = params["axis"], 0, []
    shape = value.shape
    for size in params["sizes"]:
        starts = [start if n == axis else 0 for n in range(len(shape))]
        limits = [start + size if n == axis else each for n, each in enumerate(shape)]
        found.append(window(value, starts, limits))
        start += size
    return found


def window(value: Any, starts: Sequence[int], limits: Sequence[int]) -> Any:
    """A window of an array, by the slices that it takes."""
    if not isinstance(value, Stack):
        is_all = (*starts, *limits) == (*(0 for _ in value.shape), *value.shape)
        return value if is_all else lax.slice(value, starts, limits)
    place, axis = value.place, value.place.axis
    first, last = starts[axis], limits[axis]
    pieces, length = list(value.pieces), place.outer * place.inner
    if (first, last) == (0, value.shape[axis]):
        within = (0, length)
    elif place.outer == 1 and first % place.inner == last % place.inner == 0 and first < last:
        pieces = pieces[first // place.inner : last // place.inner]
        within = (0, length)
    elif place.outer == 1 and first < last and first // place.inner == (last - 1) // place.inner:
        start = first // place.inner * place.inner
        pieces = [pieces[first // place.inner]]
        within = (first - start, last - start)
    else:
        return lax.slice(whole(value), starts, limits)
    begin, end = list(starts), list(limits)
    begin[axis], end[axis] = within
    windows = [window(each, begin, end) for each in pieces]
    return stacked(windows, dataclasses.replace(place, size=len(windows)))


def _unstack(value: Any, params: Any) -> list[Any]:
    axis = params["axis"]
    windows = _split(value, {"axis": axis, "sizes": (1,) * value.shape[axis]})
    return [squeezed(each, (axis,)) for each in windows]


_MOVES: dict[str, Callable[[Any, Any], list[Any] | None]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "slice": _slice,
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "unstack": _unstack,
}


def _with_length(shape: Sequence[int], place: Place, factor: float) -> tuple[int, ...]:
    """A shape with the place's axis longer or shorter by a factor."""
    return tuple(
        round(length * factor) if n == place.axis else length for n, length in enumerate(shape)
    )
