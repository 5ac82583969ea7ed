"""What is known of each array while a model is read and run: where it comes from, what it is."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "Chain",
    "Facts",
    "Key",
    "Pair",
    "Paths",
    "Recentre",
    "Rescale",
    "constant",
    "join",
    "joined_mixed",
    "joined_paths",
    "kept_flags",
]

Key = tuple[int, ...]
"""A site: its number among those of its scope, after the path of that scope.

A scope adds two numbers to its key's path: its loop's or cond's number, and which of its branches
it is, 0 for the body of a loop."""

Paths = Mapping[int, frozenset[Key]]
"""Of each input of the model, by its number, the sites on every path from it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """How a value is an elementwise function of one other value, its root.

    Attributes:
      root: the root's facts, which identify it.
      root_value: the root itself.
      is_nonlinear: whether the function is an activation.
      equation: the last step of the function.
      operands: that step's (values, their facts).
    """

    root: "Facts"
    root_value: Any
    is_nonlinear: bool
    equation: Any
    operands: tuple[tuple[Any, "Facts"], ...]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Facts:
    """What is known of an array; a parameter is called by its number, a bit in sets of them.

    Attributes:
      params: bit set of the parameters that it depends on.
      differentiable: those of them to which a gradient is backpropagated from here.
      data: whether it depends on the batch; if not, and on parameters, it is a weight.
      sliced: whether it is a weight of one iteration of a loop over layers.
      scales: whether it is one parameter, moved or times constants, so that it scales as that does.
      plain: whether it is one parameter, moved alone, so that what is added to that is added to it.
      factors: bit set of the parameters any of which makes all of it zero where it is zero.
      features: for each axis, whether units lie on it.
      paths: sites on every path to it, of each input that it carries a signal of.
      mixed: of those inputs bit sets of the others that each has met in a sum or as a gate.
      is_gate: whether it need not be small where the signals that it is made of are.
      is_blend: whether it is a product of values that parameters have made, such as an attention's.
      live: sites to which a gradient is backpropagated from here.
      product_of: the two arrays, with their facts, whose product it is entry by entry, or None.
      entries: sites where the data that it depends on first meet a parameter.
      through: bit set of the parameters that multiply it on every path from the data: zeros among
        them hide every gradient before them.
      discrete: whether it is data that only compares or counts, as a one-hot code: its rms is no
        scale of a signal.
      recurrent: whether it depends on the state of the loop over time that it lies in.
      kept: bit set of the parameters that multiply such a state on its way here.
      strided: of which array it is every second slice (`taps.memory.Strided`), or None.
      is_composed: whether it is a product of such slices: of two steps at once.
      running: which running sum it is (`taps.decays`), or None.
      summed: how many steps in time it is a sum of: the logarithm of a decay over a chunk, if it is
        one; 1 of another value.
      span: how many steps it is a decay over, if it is one.
      covers: how many steps a loop in this scope has made of it, if it is a state.
      raw: which floating input it is, moved as a whole; None for another array.
      norms: how many normalizations every such path has at least.
      is_root: whether it is a root of the data, as a normalization divides by.
      names: bit set of the parameters that acted on it last.
      site: the number of the product whose value it is, but for a move or a bias.
      chain: what function of which value it is.
      uniform: the one number that all its entries are; None for another array.
      trail: what it has to do with a softmax (`taps.softmax.Trail`), or None.
    """

    params: int = 0
    differentiable: int = 0
    data: bool = False
    sliced: bool = False
    scales: bool = False
    plain: bool = False
    factors: int = 0
    features: tuple[bool, ...] = ()
    paths: Paths = dataclasses.field(default_factory=dict)
    mixed: Mapping[int, int] = dataclasses.field(default_factory=dict)
    is_gate: bool = False
    is_blend: bool = False
    live: frozenset[Key] = frozenset()
    product_of: Any = None
    entries: frozenset[Key] = frozenset()
    through: int = 0
    discrete: bool = False
    recurrent: bool = False
    kept: int = 0
    strided: Any = None
    is_composed: bool = False
    running: Any = None
    summed: int = 1
    span: int = 1
    covers: int = 1
    raw: int | None = None
    norms: int = 0
    is_root: bool = False
    names: int = 0
    site: int | None = None
    chain: Chain | None = None
    uniform: Any = None
    trail: Any = None

    @property
    def is_weight(self) -> bool:
        """Whether it is made of parameters alone."""
        return bool(self.params) and not self.data

    @property
    def above(self) -> frozenset[Key]:
        """Sites on every path from the data to it, whichever input they come from."""
        return frozenset.intersection(*self.paths.values()) if self.paths else frozenset()

    @property
    def longest(self) -> int:
        """The input with the most sites on every path from it."""
        return max(self.paths, key=lambda number: len(self.paths[number]))

    @property
    def passed(self) -> frozenset[Key]:
        """Sites on every path from one of its inputs."""
        return frozenset().union(*self.paths.values())

    def at(self, key: Key, **changes: Any) -> "Facts":
        """The facts of what a site has measured."""
        paths = {number: keys | {key} for number, keys in self.paths.items()}
        return dataclasses.replace(self, paths=paths, live=self.live | {key}, **changes)


Pair = tuple[Any, Facts]
"""A value of the program that is run, and its facts."""

Rescale = Callable[[Any, int, list[Any], Facts, int], tuple[list[Any], Any]]
"""`(a product's equation, which operand is the weight, operands, the weight's facts, bit set of the
parameters that are added to it) -> (operands, recorded)`: the operands that take the place of
those, and what is recorded of the site."""

Recentre = Callable[[Any, Any, Any, Facts], tuple[Any, Any]]
"""`(product with its bias, product, bias, the bias's facts) -> (product with its bias, recorded)`:
what takes the place of the first, and what is added to what is recorded of the site."""


def constant(value: Any) -> Facts:
    """The facts of an array that is neither data nor a parameter."""
    shape = np.shape(value)
    return Facts(features=(False,) * len(shape), uniform=None if shape else value)


def join(operands: Iterable[Facts], shape: Sequence[int]) -> Facts:
    """The facts of any function of the operands, its features aside: their least upper bound."""
    operands = list(operands)
    data = [each for each in operands if each.data]
    params = differentiable = names = 0
    for each in operands:
        params, differentiable = params | each.params, differentiable | each.differentiable
        if each.is_weight:
            names |= each.names
    return Facts(
        params=params,
        differentiable=differentiable,
        data=bool(data),
        sliced=any(each.sliced for each in operands if each.is_weight),
        features=(False,) * len(shape),
        paths=joined_paths(data),
        mixed=joined_mixed(data),
        is_blend=any(each.is_blend for each in data),
        live=frozenset().union(*(each.live for each in data)),
        entries=frozenset().union(*(each.entries for each in data)),
        through=functools.reduce(operator.and_, (each.through for each in data)) if data else 0,
        recurrent=any(each.recurrent for each in data),
        kept=functools.reduce(operator.or_, (each.kept for each in data if each.recurrent), 0),
        discrete=bool(data) and all(each.discrete for each in data),
        norms=min((each.norms for each in data), default=0),
        names=data[-1].names if data else names,
    )


def joined_paths(carried: Sequence[Facts]) -> Paths:
    """The sites on every path from each input: an intersection where two paths of it meet."""
    inputs = sorted({number for facts in carried for number in facts.paths})
    return {
        number: frozenset.intersection(*(f.paths[number] for f in carried if number in f.paths))
        for number in inputs
    }


def joined_mixed(carried: Sequence[Facts]) -> Mapping[int, int]:
    """The inputs that each has met in a sum or as a gate, on any path of its own."""
    inputs = sorted({number for facts in carried for number in facts.mixed})
    return {
        number: functools.reduce(operator.or_, (f.mixed.get(number, 0) for f in carried))
        for number in inputs
    }


def kept_flags(
    flags: Sequence[bool], before: Sequence[int], after: Sequence[int]
) -> tuple[bool, ...]:
    """Flags of the axes whose size a result has kept, if it has as many axes."""
    if len(before) != len(after):
        return (False,) * len(after)
    return tuple(flag and a == b for flag, a, b in zip(flags, before, after, strict=True))
