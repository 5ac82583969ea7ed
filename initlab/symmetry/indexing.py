"""Rules of the primitives that take arrays apart and put them together; see `primitive_rules`."""

from collections.abc import Mapping, Sequence

from initlab.symmetry.dimensions import Dimension, concatenation, cut, pin, product, unify
from initlab.symmetry.rule_types import Axes, Shapes, elementwise

__all__ = [
    "concatenate",
    "dynamic_slice",
    "dynamic_update",
    "gather",
    "pad",
    "scatter",
    "scatter_together",
    "slice_of",
    "split",
    "stack",
    "tile",
    "unstack",
]


def concatenate(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Axes concatenated."""
    place = params["dimension"]
    others = [tuple(a for n, a in enumerate(axes) if n != place) for axes in operands]
    shape = tuple(size for n, size in enumerate(outputs[0]) if n != place)
    (kept,) = elementwise(others, [shape], params)
    joined = concatenation(axes[place] for axes in operands)
    return [(*kept[:place], joined, *kept[place:])]


def split(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """An axis cut into the pieces that its results take."""
    place = params["axis"]
    pieces = cut(operands[0][place], [shape[place] for shape in outputs])
    return [(*operands[0][:place], piece, *operands[0][place + 1 :]) for piece in pieces]


def stack(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Arrays stacked along a new axis, in their order."""
    place = params["axis"]
    shape = (*outputs[0][:place], *outputs[0][place + 1 :])
    (kept,) = elementwise(operands, [shape], params)
    return [(*kept[:place], Dimension(outputs[0][place], pinned=True), *kept[place:])]


def unstack(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """An axis taken apart into its entries."""
    place = params["axis"]
    pin(operands[0][place])
    return [(*operands[0][:place], *operands[0][place + 1 :]) for _ in outputs]


def tile(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Axes repeated as a whole; the copies are equal."""
    del outputs
    repeated = zip(params["reps"], operands[0], strict=True)
    return [tuple(product((Dimension(count), axis)) for count, axis in repeated)]


def slice_of(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """A piece of an axis; one taken with a stride fixes its order."""
    axes = []
    strides = params["strides"] or (1,) * len(operands[0])
    for axis, start, length, stride in zip(
        operands[0], params["start_indices"], outputs[0], strides, strict=True
    ):
        if length == axis.size:
            axes.append(axis)
        elif stride != 1 or not length:
            pin(axis)
            axes.append(Dimension(length, pinned=True))
        else:
            sizes = (start, length, axis.size - start - length)
            axes.append(cut(axis, [size for size in sizes if size])[1 if start else 0])
    return [tuple(axes)]


def pad(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Equal entries before and after an axis."""
    axes = []
    for axis, length, (low, high, inside) in zip(
        operands[0], outputs[0], params["padding_config"], strict=True
    ):
        if inside or low < 0 or high < 0:
            pin(axis)
            axes.append(Dimension(length, pinned=True))
        else:
            axes.append(concatenation((Dimension(low), axis, Dimension(high))))
    return [tuple(axes)]


def _window(axis: Dimension, length: int) -> Dimension:
    """A window that data place on an axis: the axis itself if the window is all of it."""
    if axis.size == length:
        return axis
    pin(axis)
    return Dimension(length, pinned=True)


def dynamic_slice(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """A window that data place: an axis that it covers goes through, another is pinned."""
    del params
    return [tuple(map(_window, operands[0], outputs[0]))]


def dynamic_update(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """An array with such a window written into it."""
    del outputs, params
    array, update = operands[:2]
    for axis, piece in zip(array, update, strict=True):
        unify(_window(axis, piece.size), piece)
    return [array]


def gather(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Windows at places that data name; what they collapse is pinned."""
    array, indices = operands
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    *places, vector = indices
    pin(vector)
    batching = dict(
        zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    )
    windows = []
    for number, axis in enumerate(array):
        if number in batching:
            unify(axis, indices[batching[number]])
        elif number in numbers.collapsed_slice_dims:
            pin(axis)
        else:
            windows.append(_window(axis, sizes[number]))
    rest, window = iter(places), iter(windows)
    return [
        tuple(
            next(window) if number in numbers.offset_dims else next(rest)
            for number in range(len(outputs[0]))
        )
    ]


def scatter(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Updates written to places that data name; where they meet, the last one may win."""
    batched = params["dimension_numbers"].scatter_indices_batching_dims
    for number, axis in enumerate(operands[1][:-1]):
        if number not in batched:
            pin(axis)
    return scatter_together(operands, outputs, params)


def scatter_together(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Updates that are added up, or the like, at places that data name: their order is free."""
    del outputs
    array, indices, updates = operands
    numbers = params["dimension_numbers"]
    *places, vector = indices
    pin(vector)
    batching = dict(
        zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
    )
    window = [updates[number] for number in numbers.update_window_dims]
    rest = [a for n, a in enumerate(updates) if n not in numbers.update_window_dims]
    for place, axis in zip(places, rest, strict=True):
        unify(place, axis)
    for number, axis in enumerate(array):
        if number in batching:
            unify(axis, indices[batching[number]])
        elif number in numbers.inserted_window_dims:
            pin(axis)
        else:
            piece = window.pop(0)
            unify(_window(axis, piece.size), piece)
    return [array]
