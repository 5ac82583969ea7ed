"""What is known of each array while a traced model is read: a parameter on its way, or a value."""

import dataclasses
import functools
import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from initlab.types import Role

__all__ = [
    "PASSING",
    "Known",
    "Linear",
    "Thread",
    "Use",
    "Value",
    "join",
    "moved",
    "own_sizes",
]


class Use(NamedTuple):
    """How a parameter is used once; `doubt` says why that is not certain."""

    role: Role
    fan_in: int
    fan_out: int
    doubt: str = ""


@dataclasses.dataclass(frozen=True)
class Thread:
    """A parameter that has been moved, not changed.

    Attributes:
      param: its number.
      own: for each axis, whether it is the parameter's, not a broadcast's.
      leads: whether the first axis is the parameter's whole first axis.
      stacked: how many slices a scan takes of it; this is one of them. 0 outside a scan.
    """

    param: int
    own: tuple[bool, ...]
    leads: bool
    stacked: int = 0


class Linear(NamedTuple):
    """Fans of the weights that gave a value, and which of its axes are their units."""

    fan_in: int
    fan_out: int
    features: tuple[bool, ...]


@dataclasses.dataclass(frozen=True)
class Value:
    """An array that is computed, from data, parameters or neither.

    Attributes:
      number: its identity, kept where it is only moved.
      above: bit set of the numbers of what it was computed from.
      data: whether it depends on x.
      weights: the weights and tables that it depends on.
      last: the weights nearest to it, each with the numbers above their product.
      normal: whether it was divided by a root of the data, or is one, and may want a scale.
      linear: the weights whose product it is.
      looked_up: whether it came out of a table.
      one_hot: whether it compares data with constants.
      gates: scalars that multiply it.
    """

    number: int = 0
    above: int = 0
    data: bool = False
    weights: frozenset[int] = frozenset()
    last: frozenset[tuple[int, int]] = frozenset()
    normal: bool = False
    linear: Linear | None = None
    looked_up: bool = False
    one_hot: bool = False
    gates: frozenset[int] = frozenset()

    @property
    def is_constant(self) -> bool:
        """Whether neither data nor parameters are in it."""
        return not self.data and not self.weights


Known = Thread | Value


def join(number: int, operands: Iterable[Value]) -> Value:
    """What is known of a function of the operands."""
    operands = list(operands)

    def union(name: str) -> frozenset:
        return frozenset().union(*(getattr(each, name) for each in operands))

    above = functools.reduce(
        operator.or_,
        (each.above | 1 << each.number for each in operands if not each.is_constant),
        0,
    )
    data = any(each.data for each in operands)
    return Value(number, above, data, union("weights"), union("last"))


def own_sizes(thread: Thread, shape: Sequence[int]) -> list[int]:
    """Sizes over 1 of the axes that are the parameter's own."""
    return [size for size, own in zip(shape, thread.own, strict=True) if own and size > 1]


PASSING = {
    "broadcast_in_dim",
    "convert_element_type",
    "copy",
    "copy_p",
    "dynamic_slice",
    "expand_dims",
    "neg",
    "optimization_barrier",
    "reduce_precision",
    "reshape",
    "rev",
    "sharding_constraint",
    "slice",
    "split",
    "squeeze",
    "stop_gradient",
    "tile",
    "transpose",
}
"""Primitives that move an array, or a part of it, without mixing its entries."""


def moved(equation: Any, flags: Sequence[bool]) -> tuple[bool, ...]:
    """Flags of an operand's axes as flags of the result's, for one of PASSING."""
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    match equation.primitive.name:
        case "transpose":
            return tuple(flags[axis] for axis in equation.params["permutation"])
        case "broadcast_in_dim":
            result = [False] * len(after)
            for axis, place in enumerate(equation.params["broadcast_dimensions"]):
                result[place] = flags[axis] and before[axis] == after[place]
            return tuple(result)
        case "tile":
            same = [a == b for a, b in zip(before, after, strict=True)]
            return tuple(flag and kept for flag, kept in zip(flags, same, strict=True))
        case "squeeze":
            gone = {axis % len(before) for axis in equation.params["dimensions"]}
            return tuple(flag for axis, flag in enumerate(flags) if axis not in gone)
        case "reshape":
            return _reshaped(flags, before, after)
    return tuple(flags)


def _reshaped(flags: Sequence[bool], before: Sequence[int], after: Sequence[int]) -> tuple:
    """Axes that split or merge: each run of the same size takes on what all of its parts have."""
    result = [False] * len(after)
    i = j = 0
    while i < len(before) and j < len(after):
        first, place = i, j
        i, j = i + 1, j + 1
        while (old := math.prod(before[first:i])) != (new := math.prod(after[place:j])):
            if old < new:
                i += 1
            else:
                j += 1
        parts = [
            flag for flag, size in zip(flags[first:i], before[first:i], strict=True) if size > 1
        ]
        result[place:j] = itertools.repeat(bool(parts) and all(parts), j - place)
    return tuple(result)
