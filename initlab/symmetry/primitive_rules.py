"""How each primitive ties the axes of its operands to those of its results: one rule each.

Every rule errs towards pinning, and a primitive without one pins all it touches.
"""

from collections.abc import Mapping, Sequence

from initlab.programs import primitives
from initlab.programs.axes import DotAxes, product_axes
from initlab.symmetry import indexing
from initlab.symmetry.dimensions import Dimension, pin, product, unify
from initlab.symmetry.rule_types import Axes, Rule, Shapes, elementwise, fresh, pinned, refuse

__all__ = ["RULES"]


def _unchanged(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del params
    return operands[: len(outputs)]


def _reduce(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    kept = [axis for number, axis in enumerate(operands[0]) if number not in params["axes"]]
    return [tuple(kept) for _ in outputs]


def _reduce_in_order(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """A reduction by a program of its own, which may depend on the order."""
    arrays = operands[: len(outputs)]
    for axes in arrays:
        for number in params["dimensions"]:
            pin(axes[number])
    shape = tuple(axis.size for axis in arrays[0])
    merged = elementwise(arrays, [shape for _ in outputs], params)
    return _reduce(merged, outputs, {"axes": params["dimensions"]})


def _arg_reduce(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    # The answer is a position.
    for number in params["axes"]:
        pin(operands[0][number])
    return _reduce(operands, outputs, params)


def _along(name: str) -> Rule:
    """Operations whose result depends on the order along one axis."""

    def rule(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
        merged = elementwise(operands, outputs, params)
        pin(merged[0][params[name]])
        return merged

    return rule


def _reverse(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del outputs
    for number in params["dimensions"]:
        pin(operands[0][number])
    return operands


def _top_k(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    place = params.get("axis", -1) % len(operands[0])
    pin(operands[0][place])
    axes = list(operands[0])
    axes[place] = Dimension(outputs[0][place], pinned=True)
    return [tuple(axes) for _ in outputs]


def _bitcast(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del params
    kept = operands[0][: len(outputs[0])]
    # Where widths differ, the last axis of the wider side holds the pieces of one entry.
    for axis in operands[0][len(kept) :]:
        pin(axis)
    return [(*kept, *(Dimension(size, pinned=True) for size in outputs[0][len(kept) :]))]


def _transpose(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del outputs
    return [tuple(operands[0][number] for number in params["permutation"])]


def _reshape(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    if params.get("dimensions") is not None:
        operands = [tuple(operands[0][number] for number in params["dimensions"])]
    if 0 in outputs[0]:
        return refuse("", operands, outputs)
    axes = fresh(outputs[0])
    unify(product(axes), product(operands[0]))
    return [axes]


def _broadcast(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    axes = list(fresh(outputs[0]))
    for axis, place in zip(operands[0], params["broadcast_dimensions"], strict=True):
        if axis.size == axes[place].size:
            axes[place] = axis
    return [tuple(axes)]


def _squeeze(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    return _reduce(operands, outputs, {"axes": params["dimensions"]})


def _dot_general(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del outputs
    return _dot(operands, DotAxes(*params["dimension_numbers"]))


def _dot(operands: Sequence[Axes], axes: DotAxes) -> Sequence[Axes]:
    left, right = operands[:2]
    # Summands pair up, and runs go along: a permutation of the one side's is one of the other's.
    for ones, others in axes:
        for one, other in zip(ones, others, strict=True):
            unify(left[one], right[other])
    batch = [left[number] for number in axes.batch[0]]
    free = [
        operand[number]
        for side, operand in enumerate((left, right))
        for number in axes.free(side, len(operand))
    ]
    return [(*batch, *free)]


def _lab_product(name: str) -> Rule:
    """One of the lab's own matrix products, runs in front."""

    def rule(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
        del outputs, params
        return _dot(operands, product_axes(name, len(operands[0])))

    return rule


def _convolve(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    if params["batch_group_count"] != 1:
        return refuse("conv_general_dilated over groups of examples", operands, outputs)
    image, kernel = operands
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    batch, channels, *places = (image[number] for number in numbers.lhs_spec)
    out, inputs, *window = (kernel[number] for number in numbers.rhs_spec)
    if groups == 1:
        unify(channels, inputs)
    else:
        group = Dimension(groups)
        unify(channels, product((group, inputs)))
        unify(out, product((group, Dimension(out.size // groups))))
    axes = dict(zip(numbers.out_spec[:2], (batch, out), strict=True))
    for number, place, offset in zip(numbers.out_spec[2:], places, window, strict=True):
        pin(place)
        pin(offset)
        axes[number] = Dimension(outputs[0][number], pinned=True)
    return [tuple(axes[number] for number in range(len(axes)))]


def _pool(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    # Where an operation takes start values too, they are scalars.
    arrays = [axes for axes in operands if len(axes) == len(outputs[0])]
    merged = []
    for axes, length, window, padding in zip(
        zip(*arrays, strict=True),
        outputs[0],
        params["window_dimensions"],
        params["padding"],
        strict=True,
    ):
        result = Dimension(length)
        for axis in axes:
            if window == 1 and axis.size == length and tuple(padding) == (0, 0):
                unify(axis, result)
            else:
                pin(axis)
                pin(result)
        merged.append(result)
    return [tuple(merged) for _ in outputs]


def _fourier(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """A fixed matrix along the last axes: frequencies are no places that may be exchanged."""
    kept = len(outputs[0]) - len(params["fft_lengths"])
    for axis in operands[0][kept:]:
        pin(axis)
    return [(*operands[0][:kept], *pinned(outputs[0][kept:]))]


def _iota(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del operands
    axes = fresh(outputs[0])
    pin(axes[params["dimension"]])
    return [axes]


def _random(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    del params
    return refuse("", operands, outputs)


RULES: dict[str, Rule] = {
    **dict.fromkeys(primitives.ELEMENTWISE, elementwise),
    **dict.fromkeys(primitives.UNCHANGED, _unchanged),
    **dict.fromkeys(primitives.REDUCTIONS, _reduce),
    "reduce": _reduce_in_order,
    **dict.fromkeys(primitives.ARG_REDUCTIONS, _arg_reduce),
    **dict.fromkeys(primitives.CUMULATIVE, _along("axis")),
    "sort": _along("dimension"),
    "rev": _reverse,
    "top_k": _top_k,
    "transpose": _transpose,
    "reshape": _reshape,
    "bitcast_convert_type": _bitcast,
    "broadcast_in_dim": _broadcast,
    "squeeze": _squeeze,
    "dot_general": _dot_general,
    **{name: _lab_product(name) for name in primitives.PRODUCTS},
    "conv_general_dilated": _convolve,
    **dict.fromkeys(primitives.WINDOWS, _pool),
    "concatenate": indexing.concatenate,
    "split": indexing.split,
    "stack": indexing.stack,
    "unstack": indexing.unstack,
    "tile": indexing.tile,
    "slice": indexing.slice_of,
    "pad": indexing.pad,
    "dynamic_slice": indexing.dynamic_slice,
    "dynamic_update_slice": indexing.dynamic_update,
    "gather": indexing.gather,
    "scatter": indexing.scatter,
    **dict.fromkeys(primitives.SCATTERS, indexing.scatter_together),
    "fft": _fourier,
    "iota": _iota,
    **dict.fromkeys(primitives.RANDOM, _random),
}
"""The rule of each primitive, by its name in a jaxpr."""
