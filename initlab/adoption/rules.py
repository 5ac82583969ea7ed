"""What each primitive does with parameters and values: one rule for each, in one table."""

import dataclasses
import math
from typing import Any

from initlab.adoption.facts import (
    Known,
    Linear,
    Tracked,
    Use,
    Value,
    join,
    own_sizes,
)
from initlab.adoption.reader import Path, Reader, Rule
from initlab.programs.axes import dot_axes, moved
from initlab.programs.primitives import PASSING, UNCHANGED
from initlab.types import Role

__all__ = ["RULES", "compute"]


def compute(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known]:
    """What no other rule says: a function of values, through which parameters are not tracked."""
    why = f"goes through {equation.primitive.name} before it is used"
    values = [reader.mark_untracked((*path, n), each, why) for n, each in enumerate(operands)]
    return [join(reader.number((*path, n)), values) for n in range(len(equation.outvars))]


def _pass(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """The first operand, moved; others are indices, which say only where from."""
    first, *others = operands
    if any(isinstance(each, Tracked) for each in others):
        return None
    shapes = [equation.invars[0].aval.shape, equation.outvars[0].aval.shape]
    if isinstance(first, Tracked):
        # Slices that a scan takes are layers only while the first axis is whole and in its place.
        leads = first.leads and bool(shapes[1]) and shapes[0][0] == shapes[1][0]
        if equation.primitive.name == "transpose":
            leads = leads and equation.params["permutation"][0] == 0
        out = dataclasses.replace(first, own=moved(equation, first.own), leads=leads)
    elif first.linear is None:
        out = first
    else:
        features = moved(equation, first.linear.features)
        out = dataclasses.replace(first, linear=first.linear._replace(features=features))
    return [out] * len(equation.outvars)


def _unchanged(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    return operands[: len(equation.outvars)]


def _dot(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """A weight contracted with a value: what is summed over is fan_in, the rest fan_out."""
    weight, value, side = _pair(operands)
    if weight is None:
        return None
    axes, shape = dot_axes(equation), equation.invars[side].aval.shape
    free = axes.free(side, len(shape))
    fan_in = math.prod(shape[n] for n in axes.contract[side])
    fan_out = math.prod(shape[n] for n in free)
    # The left operand's free axes follow those of the batch, the right one's come last.
    rank, behind = len(equation.outvars[0].aval.shape), len(free)
    first = len(axes.batch[0]) if side == 0 else rank - behind
    features = tuple(first <= n < first + behind for n in range(rank))
    # One row is picked, not a sum taken: a lookup written as a product.
    if value.one_hot:
        reader.note(path, weight, Use(Role.EMBEDDING, 1, fan_out))
        return [_looked_up(reader, path, weight, value)]
    return [_product(reader, path, weight, value, Linear(fan_in, fan_out, features))]


def _convolve(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    value, kernel = operands
    if isinstance(value, Tracked) or isinstance(kernel, Value):
        return None
    numbers, shape = equation.params["dimension_numbers"], equation.invars[1].aval.shape
    out, into, *window = numbers.rhs_spec
    field = math.prod(shape[n] for n in window)
    # Each input reaches the outputs of its own group alone; the kernel's input axis is a group's.
    fan_out = field * shape[out] // equation.params["feature_group_count"]
    rank = len(equation.outvars[0].aval.shape)
    features = tuple(n == numbers.out_spec[1] for n in range(rank))
    return [_product(reader, path, kernel, value, Linear(field * shape[into], fan_out, features))]


def _gather(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    table, indices = operands
    if isinstance(table, Value) or isinstance(indices, Tracked):
        return None
    # Rows are read one by one: no sum runs over them, so that fan_in is 1.
    features = math.prod(equation.params["slice_sizes"])
    reader.note(path, table, Use(Role.EMBEDDING, 1, features))
    return [_looked_up(reader, path, table, indices)]


def _add(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    tracked, value, side = _pair(operands)
    if tracked is None:
        one, other = operands
        if isinstance(one, Value) and isinstance(other, Value):
            return [_sum(reader, path, one, other)]
        return None
    # A parameter and a number is the parameter still, as the 1 + scale of some norms.
    if value.is_constant:
        return [tracked]
    # The value would be negated, and a parameter minus data is no bias of theirs.
    if equation.primitive.name == "sub" and side == 0:
        return None
    reader.note(path, tracked, _added(tracked, value, equation.invars[side].aval.shape))
    # A norm ends with its bias: a factor that follows is no scale of it.
    return [_changed(reader, path, value, normal=False)]


def _added(tracked: Tracked, value: Value, shape: tuple[int, ...]) -> Use:
    sizes = own_sizes(tracked, shape)
    features = sizes[-1] if sizes else 1
    if value.linear is not None:
        fans = value.linear
        axes = zip(fans.features, tracked.own, shape, strict=True)
        if all(is_unit for is_unit, own, size in axes if own and size > 1):
            return Use(Role.BIAS, fans.fan_in, fans.fan_out)
    elif value.normal:
        return Use(Role.NORM_BIAS, 1, 1)
    if len(sizes) > 1:
        doubt = "" if value.linear or value.looked_up else "is a table added to what no weight gave"
        return Use(Role.EMBEDDING, 1, features, doubt)
    return Use(Role.BIAS, features, features, "is added to what no weight gave")


def _sum(reader: Reader, path: Path, one: Value, other: Value) -> Value:
    """The sum of two values; of a stream and a branch of it, if one began with the other."""
    if one.is_constant or other.is_constant:
        return _changed(reader, path, other if one.is_constant else one)
    # A residual sum: every path through the branch's last weight begins with the stream's value.
    for stream, branch in ((one, other), (other, one)):
        params = {param for param, _ in branch.last}
        if len(params) == 1 and all(above >> stream.number & 1 for _, above in branch.last):
            reader.residual |= params
    # Only here is it known that a scalar's product is added to something, as a gate's is.
    reader.gates |= one.gates | other.gates
    linear = None
    # Two products added are one sum over both inputs, as in a recurrent cell: fans add up.
    if one.linear and other.linear and one.linear.features == other.linear.features:
        linear = one.linear._replace(fan_in=one.linear.fan_in + other.linear.fan_in)
    looked_up = one.looked_up or other.looked_up
    total = join(reader.number(path), [one, other])
    return dataclasses.replace(total, linear=linear, looked_up=looked_up)


def _multiply(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    tracked, value, side = _pair(operands)
    if tracked is None:
        one, other = operands
        if not (isinstance(one, Value) and isinstance(other, Value)):
            return None
        if one.is_constant or other.is_constant:
            # A weight's product times a number, as 1 / sqrt(d), is that product still.
            return [_changed(reader, path, other if one.is_constant else one)]
        # Normalized if a factor is: x * rsqrt(mean x^2) is how most norms divide.
        product = join(reader.number(path), [one, other])
        normal = one.normal or other.normal
        return [dataclasses.replace(product, normal=normal, gates=one.gates | other.gates)]
    if value.is_constant:
        return [tracked]
    sizes = own_sizes(tracked, equation.invars[side].aval.shape)
    # Behind a normalization a scalar, too, is its scale.
    if not sizes and not value.normal:
        reader.note(path, tracked, Use(Role.GATE, 1, 1))
        return [_changed(reader, path, value, linear=None, gates=value.gates | {tracked.param})]
    # `normal` is kept: the bias of a norm follows its scale.
    doubt = "" if value.normal else "multiplies what no normalization gave"
    reader.note(path, tracked, Use(Role.NORM_SCALE, 1, 1, doubt))
    return [_changed(reader, path, value, linear=None)]


def _divide(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    above, below = operands
    if isinstance(below, Tracked):
        return None
    if below.is_constant:
        return [above] if isinstance(above, Tracked) else [_changed(reader, path, above)]
    if isinstance(above, Tracked):
        return None
    quotient = join(reader.number(path), [above, below])
    return [dataclasses.replace(quotient, normal=below.normal)]


def _root(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    (value,) = operands
    if isinstance(value, Tracked):
        return None
    # Of data only: sqrt(d) in attention, and the root of a weight norm, normalize no signal.
    return [dataclasses.replace(join(reader.number(path), [value]), normal=value.data)]


def _compare(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    one, other = operands
    if isinstance(one, Tracked) or isinstance(other, Tracked):
        return None
    equal = join(reader.number(path), [one, other])
    # Data against constants, as against an iota, is an encoding; data against data is a mask.
    return [dataclasses.replace(equal, one_hot=one.is_constant != other.is_constant)]


def _join(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """A parameter set beside data, as a learned token is."""
    sides = [n for n, each in enumerate(operands) if isinstance(each, Tracked)]
    values = [each for each in operands if isinstance(each, Value)]
    if len(sides) != 1 or not any(each.data for each in values):
        return None
    (side,) = sides
    tracked, shape = operands[side], equation.invars[side].aval.shape
    assert isinstance(tracked, Tracked)
    if tracked.own[equation.params["dimension"]] and shape[equation.params["dimension"]] > 1:
        return None
    sizes = own_sizes(tracked, shape)
    reader.note(path, tracked, Use(Role.EMBEDDING, 1, sizes[-1] if sizes else 1))
    joined = join(reader.number(path), values)
    weights = joined.weights | {tracked.param}
    return [dataclasses.replace(joined, weights=weights, looked_up=True)]


def _pair(operands: list[Known]) -> tuple[Any, Any, int]:
    """The one operand that is a parameter, the other, and the side of the first; or Nones."""
    sides = [n for n, each in enumerate(operands) if isinstance(each, Tracked)]
    if len(operands) != 2 or len(sides) != 1:
        return None, None, 0
    return operands[sides[0]], operands[1 - sides[0]], sides[0]


def _product(reader: Reader, path: Path, weight: Tracked, value: Value, linear: Linear) -> Value:
    # Its own weights do not count: in a loop what it has made comes to it again.
    first = value.data and not value.weights - {weight.param}
    role = Role.INPUT if first else Role.WEIGHT
    reader.note(path, weight, Use(role, linear.fan_in, linear.fan_out))
    out = join(reader.number(path), [value])
    weights, last = value.weights | {weight.param}, frozenset({(weight.param, out.ancestors)})
    return dataclasses.replace(out, weights=weights, last=last, linear=linear)


def _looked_up(reader: Reader, path: Path, table: Tracked, indices: Value) -> Value:
    out = join(reader.number(path), [indices])
    weights = indices.weights | {table.param}
    # `last` is empty: a table is no readout, and ends no branch.
    return dataclasses.replace(out, weights=weights, last=frozenset(), looked_up=True)


def _changed(reader: Reader, path: Path, value: Value, **changes: Any) -> Value:
    """The value after an operation that mixes nothing into it but constants and parameters."""
    out = join(reader.number(path), [value])
    return dataclasses.replace(value, number=out.number, ancestors=out.ancestors, **changes)


RULES: dict[str, Rule] = {
    **dict.fromkeys(PASSING, _pass),
    **dict.fromkeys(UNCHANGED, _unchanged),
    "add": _add,
    "add_any": _add,
    "concatenate": _join,
    "conv_general_dilated": _convolve,
    "div": _divide,
    "dot_general": _dot,
    "eq": _compare,
    "gather": _gather,
    "mul": _multiply,
    "rsqrt": _root,
    "sqrt": _root,
    "sub": _add,
}
"""Primitive by name; `compute` serves every other."""
