"""What an operation does to the facts of its operands: units, norms, weights, gradients."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from initlab.programs.axes import contracts_nothing, dot_axes, moved, runs_axes
from initlab.programs.equations import is_real
from initlab.programs.primitives import (
    ARG_REDUCTIONS,
    CASTS,
    CONTRACTIONS,
    CUMULATIVE,
    ELEMENTWISE,
    FLAT,
    NONLINEARITIES,
    PASSING,
    PRODUCTS,
    RAGGED,
    REDUCTIONS,
)
from initlab.taps.facts import Facts, join, joined_paths, kept_flags
from initlab.taps.paths import carriers, is_gate, is_multiplied, mixed_inputs

__all__ = ["result_facts"]


def result_facts(equation: Any, operands: Sequence[Facts], place: int) -> Facts:
    """The facts of the `place`-th result of an equation.

    Args:
      equation: of a jaxpr; not a call, a loop or a branch.
      operands: the facts of its operands.
      place: which result.

    Returns:
      The facts, without a site or a chain, which the evaluator adds.
    """
    out = equation.outvars[place].aval
    shape = getattr(out, "shape", ())
    name = equation.primitive.name
    result = _carried(equation, operands, join(operands, shape))
    if name in PASSING or name in CUMULATIVE:
        result = _passed(equation, operands[0], result)
    elif name in RULES:
        result = dataclasses.replace(result, features=RULES[name](equation, operands))
    elif name in ELEMENTWISE:
        result = _elementwise(equation, operands, result)
    else:
        for variable, facts in zip(equation.invars, operands, strict=True):
            if facts.data or facts.is_weight:
                kept = kept_flags(facts.features, variable.aval.shape, shape)
                result = dataclasses.replace(result, features=_either(result.features, kept))
    weights = [facts for facts in operands if facts.is_weight]
    if name in CONTRACTIONS and len(weights) == 2:
        result = dataclasses.replace(result, factors=weights[0].factors | weights[1].factors)
    if name in ("mul", "gather") or name in CONTRACTIONS:
        # Of a product each factor multiplies the other's gradient: a union, where a sum has what
        # is common to its terms.
        through = functools.reduce(
            operator.or_,
            (facts.through if facts.data else facts.factors for facts in operands),
        )
        result = dataclasses.replace(result, through=through if result.data else 0)
    result = _with_span(equation, operands, result)
    if name in FLAT or not is_real(out):
        is_code = name in ARG_REDUCTIONS or _is_flag(out)
        result = dataclasses.replace(
            result,
            differentiable=0,
            live=frozenset(),
            discrete=result.data and (is_code or result.discrete),
        )
    return dataclasses.replace(
        result,
        is_gate=is_gate(equation, operands, result),
        kept=_kept(equation, operands, result.kept),
    )


def _kept(equation: Any, operands: Sequence[Facts], kept: int) -> int:
    """What multiplies the state of a loop over time: a weight, a gate, an activation's slope."""
    states = [n for n, facts in enumerate(operands) if facts.recurrent and facts.data]
    if is_multiplied(equation):
        factors = [facts for n, facts in enumerate(operands) if set(states) - {n}]
    elif equation.primitive.name in NONLINEARITIES and len(operands) == 1:
        factors = [operands[n] for n in states]
    else:
        factors = []
    return functools.reduce(operator.or_, (facts.names for facts in factors), kept)


def _with_span(equation: Any, operands: Sequence[Facts], result: Facts) -> Facts:
    """How many steps in time a decay is over: `exp` of a (running) sum over as many.

    What the decay multiplies, as a state that is handed from chunk to chunk, moves on by them.
    """
    name = equation.primitive.name
    if not (result.data and result.params):
        return result
    summed = max(each.summed for each in operands)
    span = max(each.span for each in operands)
    covers = max(each.covers for each in operands)
    if name in ("cumsum", "reduce_sum"):
        axes = equation.params["axes"] if name == "reduce_sum" else [equation.params["axis"]]
        sizes = equation.invars[0].aval.shape
        along = [n for n in axes if not operands[0].features[n]]
        return dataclasses.replace(result, summed=summed * math.prod(sizes[n] for n in along))
    if name in ("exp", "exp2"):
        return dataclasses.replace(result, span=max(span, summed))
    is_product = name in CONTRACTIONS and name != "conv_general_dilated"
    if name in ELEMENTWISE or name in PASSING or (is_product and contracts_nothing(equation)):
        return dataclasses.replace(result, summed=summed, span=span, covers=covers)
    return result


def _carried(equation: Any, operands: Sequence[Facts], result: Facts) -> Facts:
    """With the paths, norms and names of the operands whose signal the result carries."""
    carried = carriers(equation, operands)
    if not carried:
        return result
    learned = [facts for facts in carried if facts.params] if is_multiplied(equation) else []
    # What another input, such as a mask or a graph, multiplies is that signal still.
    others = {number for facts in learned for number in facts.paths}
    signals = [facts for facts in carried if facts in learned or not others.isdisjoint(facts.paths)]
    signals = signals if learned else carried
    names = [facts.names for facts in signals if facts.names]
    return dataclasses.replace(
        result,
        paths=joined_paths(carried),
        mixed=mixed_inputs(equation, carried),
        through=functools.reduce(operator.and_, (facts.through for facts in carried)),
        norms=min(facts.norms for facts in signals),
        names=names[-1] if names else result.names,
    )


def _passed(equation: Any, first: Facts, result: Facts) -> Facts:
    """A moved value is what it was."""
    name = equation.primitive.name
    is_moved = name in PASSING
    before, after = (each[0].aval.shape for each in (equation.invars, equation.outvars))
    features = moved(equation, first.features) if is_moved else first.features
    # A running sum of ones is not uniform; a function of a number is the evaluator's to compute.
    uniform = first.uniform if is_moved and name not in ELEMENTWISE else None
    return dataclasses.replace(
        result,
        features=tuple(features),
        is_root=first.is_root,
        names=first.names,
        norms=first.norms,
        uniform=uniform,
        scales=is_moved and first.scales,
        plain=is_moved and name != "neg" and first.plain,
        factors=first.factors,
        is_composed=first.is_composed,
        raw=first.raw if is_moved and math.prod(before) == math.prod(after) else None,
    )


def _elementwise(equation: Any, operands: Sequence[Facts], result: Facts) -> Facts:
    name = equation.primitive.name
    shape = equation.outvars[0].aval.shape
    data = [facts for facts in operands if facts.data]
    features = result.features
    # Units are those of the data; a weight says where units are if the data do not: a position's
    # axis is none.
    has_units = any(any(facts.features) for facts in data)
    for variable, facts in zip(equation.invars, operands, strict=True):
        sizes = variable.aval.shape
        if len(sizes) != len(features):
            continue
        if facts.data or (facts.is_weight and not has_units):
            # An axis of size 1 holds a unit, if the data have one there; a weight's is stretched.
            least = 0 if facts.data else 1
            flags = [
                flag and least < size == whole
                for flag, size, whole in zip(facts.features, sizes, shape, strict=True)
            ]
            features = _either(features, flags)
    norms, is_root = result.norms, False
    if name in ("rsqrt", "sqrt") or (name == "pow" and operands[0].data):
        is_root = bool(data)
    elif name in ("mul", "div") and len(data) == 2:
        # Divided by a root of the data, or multiplied by one over it.
        norms += any(facts.is_root for facts in data) and not all(facts.is_root for facts in data)
    elif len(data) == 1 and name in ("max", "add", "mul", "integer_pow", *CASTS):
        is_root = data[0].is_root
    names = result.names
    if name == "mul" and any(facts.is_weight for facts in operands) and data:
        (weight,) = (facts for facts in operands if facts.is_weight)
        names = weight.names
    scales, factors = False, 0
    if name in ("mul", "div") and not data:
        first, *others = operands if operands[0].is_weight else reversed(operands)
        scales = first.scales and not any(facts.params for facts in others)
        factors = first.factors
        if name == "mul":
            factors |= others[0].factors
        elif not operands[0].is_weight:
            scales, factors = False, 0
    return dataclasses.replace(
        result,
        features=tuple(features),
        norms=norms,
        is_root=is_root,
        names=names,
        scales=scales,
        factors=factors,
    )


def _dot(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    axes = dot_axes(equation)
    flags = [
        operands[0].features[axis] or operands[1].features[other]
        for axis, other in zip(*axes.batch, strict=True)
    ]
    runs = runs_axes(equation)
    for side, facts in enumerate(operands):
        free = axes.free(side, len(facts.features))
        if runs is not None and side == 1:
            free = [axis for axis in free if axis != runs[1]]
        flags += [facts.features[axis] for axis in free]
    return tuple(flags)


def _ragged(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    """Of rows with a matrix each the units of the matrices; of sums over runs nothing is known."""
    if runs_axes(equation) is None:
        return (False,) * len(equation.outvars[0].aval.shape)
    return _dot(equation, operands[:2])


def _convolve(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    channels = equation.params["dimension_numbers"].out_spec[1]
    rank = len(equation.outvars[0].aval.shape)
    return tuple(axis == channels for axis in range(rank))


def _gather(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    """Of a table the features of a slice; of data those of the axes taken whole."""
    numbers, table = equation.params["dimension_numbers"], operands[0]
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    kept = [flag for axis, flag in enumerate(table.features) if axis not in gone]
    rank = len(equation.outvars[0].aval.shape)
    flags = dict(zip(numbers.offset_dims, kept, strict=True))
    return tuple(flags.get(axis, False) for axis in range(rank))


def _reduce(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    axes = equation.params["axes"]
    return tuple(flag for axis, flag in enumerate(operands[0].features) if axis not in axes)


def _stack(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    flags = [any(column) for column in zip(*(facts.features for facts in operands), strict=True)]
    flags.insert(equation.params["axis"], False)
    return tuple(flags)


def _beside(equation: Any, operands: Sequence[Facts]) -> tuple[bool, ...]:
    return tuple(
        any(column) for column in zip(*(facts.features for facts in operands), strict=True)
    )


RULES: dict[str, Callable[[Any, Sequence[Facts]], tuple[bool, ...]]] = {
    "conv_general_dilated": _convolve,
    **dict.fromkeys(("dot_general", *PRODUCTS), _dot),
    **dict.fromkeys(RAGGED, _ragged),
    "gather": _gather,
    "concatenate": _beside,
    "stack": _stack,
    **dict.fromkeys(REDUCTIONS | ARG_REDUCTIONS, _reduce),
}
"""Which axes of a result hold units, by the primitive's name."""


def _either(one: Sequence[bool], other: Sequence[bool]) -> tuple[bool, ...]:
    return tuple(a or b for a, b in zip(one, other, strict=True))


def _is_flag(aval: Any) -> bool:
    return getattr(aval, "dtype", None) == jnp.bool_
