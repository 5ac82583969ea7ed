"""What is known of each array while a model is read and run: where it comes from, what it is."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["Chain", "Key", "Known", "constant", "join", "same_size"]

Key = tuple[int, ...]
"""A site: its number among those of its loop, after the loop's own key."""


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """How a value is an elementwise function of one other value, its root.

    Attributes:
      root: what is known of the root: its identity.
      start: the root's value.
      bends: whether the function is more than a line: an activation.
      equation: the last step of the function.
      operands: that step's (values, what is known of them).
    """

    root: "Known"
    start: Any
    bends: bool
    equation: Any
    operands: tuple[tuple[Any, "Known"], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """What is known of an array.

    Attributes:
      params: bit set of the parameters that it depends on.
      open: those of them to which a gradient can come back.
      data: whether it depends on the batch; if not, and on parameters, it is a weight.
      sliced: whether it is a weight of one iteration of a loop over layers.
      scales: whether it is one parameter, moved or times constants, so that it scales as that does.
      factors: bit set of the parameters any of which makes all of it zero where it is zero.
      features: for each axis, whether units lie on it.
      above: sites that every way from the data to it passes.
      norms: how many normalizations every such way passes at least.
      is_root: whether it is a root of what the data give, as a normalization divides by.
      names: bit set of the parameters that acted on it last.
      site: the number of the product whose value it is, but for a move or a bias.
      chain: what function of which value it is.
      uniform: the one number that all its entries are; None for another array.
    """

    params: int = 0
    open: int = 0
    data: bool = False
    sliced: bool = False
    features: tuple[bool, ...] = ()
    above: frozenset[Key] = frozenset()
    norms: int = 0
    is_root: bool = False
    names: int = 0
    site: int | None = None
    chain: Chain | None = None
    uniform: Any = None
    scales: bool = False
    factors: int = 0

    @property
    def is_weight(self) -> bool:
        """Whether it is made of parameters alone."""
        return bool(self.params) and not self.data


def constant(value: Any) -> Known:
    """What is known of an array that is neither data nor a parameter."""
    shape = np.shape(value)
    return Known(features=(False,) * len(shape), uniform=None if shape else value)


def join(operands: Iterable[Known], shape: Sequence[int]) -> Known:
    """What is known of a function of the operands, its features aside."""
    operands = list(operands)
    data = [each for each in operands if each.data]
    params = opened = names = 0
    for each in operands:
        params, opened = params | each.params, opened | each.open
        if each.is_weight:
            names |= each.names
    above = frozenset.intersection(*(each.above for each in data)) if data else frozenset()
    return Known(
        params,
        opened,
        bool(data),
        any(each.sliced for each in operands if each.is_weight),
        (False,) * len(shape),
        above,
        min((each.norms for each in data), default=0),
        names=data[-1].names if data else names,
    )


def same_size(flags: Sequence[bool], before: Sequence[int], after: Sequence[int]) -> tuple:
    """Flags of the axes that a result has kept, where it has as many axes."""
    if len(before) != len(after):
        return (False,) * len(after)
    return tuple(flag and a == b for flag, a, b in zip(flags, before, after, strict=True))
