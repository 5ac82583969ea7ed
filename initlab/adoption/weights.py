"""Weights and tables: what contractions and lookups do with a parameter, member by member."""

import dataclasses
import math
import operator
from typing import Any

from initlab.adoption.axes import axes_of_result, members_of_result
from initlab.adoption.facts import Known, Linear, Tracked, Use, Value, join
from initlab.adoption.reader import Path, Reader
from initlab.programs.axes import DotAxes, dot_axes, runs_axes
from initlab.types import Role

__all__ = ["convolve", "dot", "gather", "parameter_and_value", "ragged_dot"]

TAKEN_APART = "is taken apart into members that none of its axes holds"


def parameter_and_value(operands: list[Known]) -> tuple[Any, Any, int]:
    """The one operand that is a parameter, the other, and the side of the first; or Nones."""
    sides = [n for n, each in enumerate(operands) if isinstance(each, Tracked)]
    if len(operands) != 2 or len(sides) != 1:
        return None, None, 0
    return operands[sides[0]], operands[1 - sides[0]], sides[0]


def dot(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """A weight contracted with a value: what is summed over is fan_in, the rest fan_out."""
    weight, value, side = parameter_and_value(operands)
    if weight is None:
        return None
    axes, shape = dot_axes(equation), equation.invars[side].aval.shape
    if not axes.contract[side]:
        return None
    members, counted, doubt = _members(reader, weight, axes, side, shape)
    free = axes.free(side, len(shape))
    fan_in = math.prod(shape[n] for n in axes.contract[side])
    fan_out = math.prod(shape[n] for n in free if n not in counted)
    # The left operand's free axes follow those of the batch, the right one's come last.
    rank, behind = len(equation.outvars[0].aval.shape), len(free)
    first = len(axes.batch[0]) if side == 0 else rank - behind
    features = tuple(
        first <= n < first + behind or (n < len(axes.batch[0]) and axes.batch[side][n] in counted)
        for n in range(rank)
    )
    on_axes = _on_axes(reader, equation, weight, value, side, counted)
    for place, other in zip(axes.batch[side], axes.batch[1 - side], strict=True):
        if place in counted and value.origins:
            reader.note_members(value.origins[other])
    # One row is picked, not a sum taken: a lookup written as a product.
    if value.one_hot:
        reader.note(path, weight, Use(Role.EMBEDDING, 1, fan_out, doubt, members))
        out = looked_up_value(reader, path, weight, value)
    else:
        linear = Linear(fan_in, fan_out, features)
        out = _product(reader, path, weight, value, linear, members, doubt)
    return [dataclasses.replace(out, **on_axes)]


def ragged_dot(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    """Sorted rows, each by the matrix of its group: as many members as there are groups."""
    value, weight, sizes, *_ = operands
    runs = runs_axes(equation)
    if not isinstance(weight, Tracked) or runs is None:
        return None
    if isinstance(value, Tracked) or isinstance(sizes, Tracked):
        return None
    axes, shape = dot_axes(equation), equation.invars[1].aval.shape
    found = {n for n in (runs[1], *axes.batch[1]) if shape[n] > 1 and weight.own[n]}
    doubt = TAKEN_APART if any(not weight.axes[n] for n in found) else ""
    members = tuple(sorted(n for each in found for n in weight.axes[each] or ()))
    units = [n for n in axes.free(1, len(shape)) if n != runs[1]]
    rank = len(equation.outvars[0].aval.shape)
    fan_in = math.prod(shape[n] for n in axes.contract[1])
    fan_out = math.prod(shape[n] for n in units)
    # The matrices' units are the last axes.
    linear = Linear(fan_in, fan_out, tuple(n >= rank - len(units) for n in range(rank)))
    # The sizes say only which rows are whose, as indices do.
    return [_product(reader, path, weight, value, linear, members, doubt)]


def _on_axes(
    reader: Reader, equation: Any, weight: Tracked, value: Value, side: int, counted: set[int]
) -> dict[str, Any]:
    """The members on the axes of a weight's product, and what its axes began as."""
    shape = equation.invars[side].aval.shape
    counts = [value.members, value.members]
    counts[side] = tuple(size if n in counted else 1 for n, size in enumerate(shape))
    began = [value.origins, value.origins]
    free = [n for n in dot_axes(equation).free(side, len(shape)) if len(weight.axes[n] or ()) == 1]
    # Members are of several units: what is a weight's only axis of units is none of members.
    began[side] = tuple(
        reader.origin(weight.param, (weight.axes[n] or (0,))[0])
        if n in free and len(free) > 1
        else 0
        for n in range(len(shape))
    )
    return {
        "members": members_of_result(equation, counts),
        "origins": axes_of_result(equation, began, 0, operator.or_),
    }


def _members(
    reader: Reader, weight: Tracked, axes: DotAxes, side: int, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], set[int], str]:
    """The members of a product's weight: the parameter's axes, the weight's, and a doubt.

    Each entry of a batch axis is a matrix of its own, if there are units besides. So are those of a
    free axis in front of the inputs' where the units' is behind them, as vmap leaves it for a layer
    that all members give the same data.
    """
    batch, free = axes.batch[side], axes.free(side, len(shape))
    found = {n for n in batch if shape[n] > 1 and weight.own[n]} if free else set()
    if any(not weight.axes[n] for n in found):
        return (), found, TAKEN_APART
    inputs = [n for each in axes.contract[side] for n in weight.axes[each] or ()]
    if inputs:
        before = {n for n in free if weight.axes[n] and max(weight.axes[n] or ()) < min(inputs)}
        if any(weight.axes[n] and min(weight.axes[n] or ()) > max(inputs) for n in free):
            found |= {n for n in before if shape[n] > 1}
    found |= {n for n in free if _is_known(reader, weight, n)}
    return tuple(sorted(n for each in found for n in weight.axes[each] or ())), found, ""


def _is_known(reader: Reader, weight: Tracked, n: int) -> bool:
    """Whether an axis is known to be one of members, from what its product meets further on."""
    own = weight.axes[n] or ()
    return bool(own) and all((weight.param, axis) in reader.members for axis in own)


def convolve(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    """A kernel over data: fan_in is its window times the channels in of one group."""
    value, kernel = operands
    if isinstance(value, Tracked) or isinstance(kernel, Value):
        return None
    numbers, shape = equation.params["dimension_numbers"], equation.invars[1].aval.shape
    out, into, *window = numbers.rhs_spec
    field, groups = math.prod(shape[n] for n in window), equation.params["feature_group_count"]
    # vmap merges the kernels of its members into one of more outputs, in groups if each member has
    # data of its own.
    *merged, _ = [n for n in kernel.axes[out] or () if kernel.sizes[n] > 1] or [0]
    count = math.prod(kernel.sizes[n] for n in merged)
    # Each input reaches the outputs of its own group alone; the kernel's input axis is a group's.
    fan_out = field * shape[out] // (groups if groups > 1 else count)
    result = equation.outvars[0].aval.shape
    features = tuple(n == numbers.out_spec[1] for n in range(len(result)))
    linear = Linear(field * shape[into], fan_out, features)
    is_part = kernel.axes[out] is None and len(kernel.sizes) > len(shape)
    doubt = TAKEN_APART if is_part else ""
    product = _product(reader, path, kernel, value, linear, tuple(merged), doubt)
    members = tuple(count if is_unit else 1 for is_unit in features)
    return [dataclasses.replace(product, members=members, origins=())]


def gather(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """Rows of a table, looked up by data."""
    table, indices = operands
    if isinstance(table, Value) or isinstance(indices, Tracked):
        return None
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    batch = numbers.operand_batching_dims
    looked_up = numbers.collapsed_slice_dims
    kept = [n for n in range(len(sizes)) if n not in (*batch, *looked_up) and sizes[n] > 1]
    # As for a weight of a product: tables in front of the rows, features behind them.
    tables = [n for n in kept if looked_up and n < min(looked_up) and table.axes[n]]
    if not any(n > max(looked_up, default=0) for n in kept):
        tables = []
    # Rows are read one by one: no sum runs over them, so that fan_in is 1.
    features = math.prod(sizes[n] for n in kept if n not in tables)
    found = sorted(n for each in (*batch, *tables) for n in table.axes[each] or ())
    reader.note(path, table, Use(Role.EMBEDDING, 1, features, members=tuple(found)))
    return [looked_up_value(reader, path, table, indices)]


def _product(
    reader: Reader,
    path: Path,
    weight: Tracked,
    value: Value,
    linear: Linear,
    members: tuple[int, ...],
    doubt: str = "",
) -> Value:
    # Its own weights do not count: in a loop what it has made comes to it again.
    first = value.data and not value.weights - {weight.param}
    role = Role.INPUT if first else Role.WEIGHT
    reader.note(path, weight, Use(role, linear.fan_in, linear.fan_out, doubt, members))
    out = join(reader.number(path), [value])
    weights, last = value.weights | {weight.param}, frozenset({(weight.param, out.ancestors)})
    return dataclasses.replace(out, weights=weights, last=last, linear=linear)


def looked_up_value(reader: Reader, path: Path, table: Tracked, indices: Value) -> Value:
    out = join(reader.number(path), [indices])
    weights = indices.weights | {table.param}
    # `last` is empty: a table is no readout, and ends no branch.
    return dataclasses.replace(out, weights=weights, last=frozenset(), looked_up=True)
