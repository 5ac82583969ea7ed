"""What each primitive does with parameters and values: one rule for each, in one table."""

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from initlab.adoption.axes import axes_of_result, members_of_result, moved_axes
from initlab.adoption.facts import (
    UNNORMALIZED,
    Known,
    Tracked,
    Use,
    Value,
    join,
    own_sizes,
)
from initlab.adoption.reader import Path, Reader, Rule
from initlab.adoption.spectral import make_complex, paired, place, transform
from initlab.adoption.weights import convolve, dot, gather, parameter_and_value, ragged_dot
from initlab.programs.axes import contracts_nothing, moved
from initlab.programs.primitives import PASSING, RAGGED, UNCHANGED
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
        axes = moved_axes(equation, first.axes, first.sizes)
        own = moved(equation, first.own)
        out = dataclasses.replace(first, own=own, axes=axes, leads=leads)
    elif first.linear is None:
        out = first
    else:
        features = moved(equation, first.linear.features)
        out = dataclasses.replace(first, linear=first.linear._replace(features=features))
    return [out] * len(equation.outvars)


def _unstack(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    """The rows of an array, as a Python loop over it takes them: slices without their axis."""
    (first,) = operands
    axis = equation.params["axis"] % len(equation.invars[0].aval.shape)

    def rest(of_axes: tuple) -> tuple:
        return of_axes[:axis] + of_axes[axis + 1 :]

    if isinstance(first, Tracked):
        leads = first.leads and axis != 0
        own, axes = rest(first.own), rest(first.axes)
        out: Known = dataclasses.replace(first, own=own, axes=axes, leads=leads)
    else:
        linear = first.linear and first.linear._replace(features=rest(first.linear.features))
        out = dataclasses.replace(first, linear=linear, members=(), origins=())
    return [out] * len(equation.outvars)


def _unchanged(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    return operands[: len(equation.outvars)]


def _dot(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """A product that contracts nothing is a multiplication, whatever it is written as."""
    weight, value, side = parameter_and_value(operands)
    if weight is None or value.is_constant or not contracts_nothing(equation):
        return dot(reader, equation, path, operands)
    counts: list[tuple[int, ...]] = [(), ()]
    began: list[tuple[int, ...]] = [(), ()]
    counts[1 - side], began[1 - side] = value.members, value.origins
    members = members_of_result(equation, counts)
    origins = axes_of_result(equation, began, 0, operator.or_)
    sizes = own_sizes(weight, equation.invars[side].aval.shape)
    out = _scaled(reader, path, weight, value, sizes)
    return [dataclasses.replace(out, members=members, origins=origins)]


def _convolve(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    """Each channel by a kernel of one entry is multiplied by it."""
    value, kernel = operands
    if not isinstance(value, Value) or not isinstance(kernel, Tracked):
        return None
    if value.is_constant or not contracts_nothing(equation):
        return convolve(reader, equation, path, operands)
    sizes = own_sizes(kernel, equation.invars[1].aval.shape)
    return [
        dataclasses.replace(_scaled(reader, path, kernel, value, sizes), members=(), origins=())
    ]


def _add(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    tracked, value, side = parameter_and_value(operands)
    if tracked is None:
        one, other = operands
        if isinstance(one, Value) and isinstance(other, Value):
            return [_sum(reader, path, one, other)]
        if not isinstance(one, Tracked) or not isinstance(other, Tracked):
            return None
        # Real and imaginary part: a + 1j * b. Other sums of parameters are no parameter.
        is_complex = jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.complexfloating)
        pair = paired(one, other) if is_complex else None
        return None if pair is None else [pair]
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
        counts = value.members or (1,) * len(shape)
        own = [n for n, size in enumerate(shape) if tracked.own[n] and size > 1]
        members = [n for n in own if counts[n] == shape[n]]
        if all(fans.features[n] or n in members for n in own):
            found = sorted(n for each in members for n in tracked.axes[each] or ())
            # Where nothing else is left, they are its units.
            found = found if len(found) < len(tracked.sizes) else []
            return Use(Role.BIAS, fans.fan_in, fans.fan_out, members=tuple(found))
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
        if params and all(above >> stream.number & 1 for _, above in branch.last):
            reader.branch_gates |= branch.gates
            if len(params) == 1:
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
    tracked, value, side = parameter_and_value(operands)
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
    shape = equation.invars[side].aval.shape
    own = tracked
    if len(value.members) == len(shape):
        # A scalar of each member is a scalar of its.
        flags = zip(tracked.own, value.members, shape, strict=True)
        own = dataclasses.replace(
            tracked, own=tuple(is_own and count != size for is_own, count, size in flags)
        )
    return [_scaled(reader, path, tracked, value, own_sizes(own, shape))]


def _scaled(
    reader: Reader, path: Path, tracked: Tracked, value: Value, sizes: Sequence[int]
) -> Value:
    """A value times a parameter, whose own axes of one member have these sizes."""
    # Behind a normalization a scalar, too, is its scale.
    if not sizes and not value.normal:
        reader.note(path, tracked, Use(Role.GATE, 1, 1))
        return _changed(reader, path, value, linear=None, gates=value.gates | {tracked.param})
    # `normal` is kept: the bias of a norm follows its scale.
    if value.normal:
        reader.note(path, tracked, Use(Role.NORM_SCALE, 1, 1))
        return _changed(reader, path, value, linear=None)
    # It may yet be found to be one gate for each channel of a branch (LayerScale).
    reader.note(path, tracked, Use(Role.NORM_SCALE, 1, 1, UNNORMALIZED))
    return _changed(reader, path, value, linear=None, gates=value.gates | {tracked.param})


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
    if not sides:
        return place(reader, equation, path, operands)
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


def _changed(reader: Reader, path: Path, value: Value, **changes: Any) -> Value:
    """The value after an operation that mixes nothing into it but constants and parameters."""
    out = join(reader.number(path), [value])
    return dataclasses.replace(value, number=out.number, ancestors=out.ancestors, **changes)


RULES: dict[str, Rule] = {
    **dict.fromkeys((*PASSING, "conj"), _pass),
    **dict.fromkeys(UNCHANGED, _unchanged),
    "add": _add,
    "add_any": _add,
    "complex": make_complex,
    "concatenate": _join,
    "conv_general_dilated": _convolve,
    "div": _divide,
    "dot_general": _dot,
    "eq": _compare,
    **dict.fromkeys(("dynamic_update_slice", "pad", "scatter"), place),
    **dict.fromkeys(("fft", "imag", "real"), transform),
    "gather": gather,
    "mul": _multiply,
    **dict.fromkeys(RAGGED, ragged_dot),
    "rsqrt": _root,
    "unstack": _unstack,
    "sqrt": _root,
    "sub": _add,
}
"""Primitive by name; `compute` serves every other."""
