"""What is known of each array while a traced model is read: a parameter on its way, or a value."""

import dataclasses
import functools
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from initlab.adoption.axes import Axes
from initlab.types import Role

__all__ = [
    "UNNORMALIZED",
    "Known",
    "Linear",
    "Tracked",
    "Use",
    "Value",
    "join",
    "own_sizes",
]


UNNORMALIZED = "multiplies what no normalization gave"
"""The doubt of a vector's use as a scale, unless it is found to be a branch's gate."""


class Use(NamedTuple):
    """How a parameter is used once.

    Attributes:
      role: what for.
      fan_in: of one of its members, where it has any.
      fan_out: likewise.
      doubt: why that is not certain.
      members: the parameter's axes along which members lie.
    """

    role: Role
    fan_in: int
    fan_out: int
    doubt: str = ""
    members: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Tracked:
    """A parameter that has been moved, not changed.

    Attributes:
      param: its number.
      own: for each axis, whether it is the parameter's, not a broadcast's.
      axes: the parameter's whole axes (a slice's, where it is one) that lie on each axis.
      sizes: of the parameter's axes.
      leads: whether the first axis is the parameter's whole first axis.
      stacked: how many slices a scan takes of it; this is one of them. 0 outside a scan.
      partners: other parameters with which it makes up a complex one, and which lie as it does.
    """

    param: int
    own: tuple[bool, ...]
    axes: Axes
    sizes: tuple[int, ...]
    leads: bool
    stacked: int = 0
    partners: frozenset[int] = frozenset()

    @property
    def params(self) -> frozenset[int]:
        """Its number and those of its partners."""
        return self.partners | {self.param}


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
      ancestors: bit set of the numbers of what it was computed from.
      data: whether it depends on x.
      weights: the weights and tables that it depends on.
      last: the weights nearest to it, each with the ancestors of its product.
      normal: whether it was divided by a root of the data, or is such a root: a scale may follow.
      linear: the weights whose product it is.
      looked_up: whether it came out of a table.
      one_hot: whether it compares data with constants.
      gates: scalars, and vectors that scale no norm, that multiply it.
      members: how many members lie on each axis (`members_of_result`).
      origins: for each axis a bit set of the weights' axes that it began as (`axes_of_result`).
    """

    number: int = 0
    ancestors: int = 0
    data: bool = False
    weights: frozenset[int] = frozenset()
    last: frozenset[tuple[int, int]] = frozenset()
    normal: bool = False
    linear: Linear | None = None
    looked_up: bool = False
    one_hot: bool = False
    gates: frozenset[int] = frozenset()
    members: tuple[int, ...] = ()
    origins: tuple[int, ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether neither data nor parameters are in it."""
        return not self.data and not self.weights


Known = Tracked | Value


def join(number: int, operands: Iterable[Value]) -> Value:
    """What is known of a function of the operands: the least upper bound of what is known of them.

    Facts form a join semilattice: sets grow by union, flags by or. What a function may have undone
    (that its operand was normalized, or a product) is not carried over.
    """
    operands = list(operands)

    def union(name: str) -> frozenset:
        return frozenset().union(*(getattr(each, name) for each in operands))

    ancestors = functools.reduce(
        operator.or_,
        (each.ancestors | 1 << each.number for each in operands if not each.is_constant),
        0,
    )
    data = any(each.data for each in operands)
    return Value(number, ancestors, data, union("weights"), union("last"))


def own_sizes(tracked: Tracked, shape: Sequence[int]) -> list[int]:
    """Sizes over 1 of the axes that are the parameter's own."""
    return [size for size, own in zip(shape, tracked.own, strict=True) if own and size > 1]
