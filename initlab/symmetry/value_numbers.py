"""Which integers of a program are the same: value numbering, as in compilers.

Two lookups by the same indices take the same slices (`w[expert]` and `v[expert]`), though each
wraps and clips its indices in equations of its own.
"""

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs import primitives

__all__ = ["ValueNumbers"]

LARGEST = 1024
"""Constants of more entries are taken as unlike any other."""

_FUNCTIONS = (
    primitives.ELEMENTWISE
    | primitives.MOVES
    | primitives.REDUCTIONS
    | primitives.ARG_REDUCTIONS
    | primitives.CUMULATIVE
    | primitives.INDEXING
    | primitives.ORDERED
    | {"iota"}
)
"""What gives the same results for the same operands, whatever a machine or a key."""


class ValueNumbers:
    """Numbers of arrays; those of one number hold the same integers.

    >>> numbers = ValueNumbers()
    >>> numbers.of_constant(3) == numbers.of_constant(3) != numbers.fresh()
    True
    """

    def __init__(self) -> None:
        self._count = itertools.count()
        self._known: dict[Hashable, int] = {}
        self._columns: dict[int, tuple[int, ...]] = {}

    def fresh(self) -> int:
        """A number like no other."""
        return next(self._count)

    def of_constant(self, value: Any) -> int:
        """The number of an array that is written into the program."""
        if not checks.is_concrete(value) or np.size(value) > LARGEST:
            return self.fresh()
        if not isinstance(getattr(value, "dtype", np.dtype(int)), np.dtype):  # a key array
            return self.fresh()
        # Without the dtype: a literal may be a number of Python's or an array.
        return self._number(("constant", np.shape(value), str(np.asarray(value).tolist())))

    def of_results(self, equation: Any, operands: Sequence[int]) -> list[int]:
        """The numbers of an equation's results."""
        name, outputs = equation.primitive.name, equation.outvars
        is_known = name in _FUNCTIONS and all(_is_integer(each.aval) for each in outputs)
        if not is_known:
            return [self.fresh() for _ in outputs]
        if name in primitives.UNCHANGED:
            return list(operands)
        # As text: some parameters (shardings, dtypes) have no hash.
        key = (name, str(sorted(equation.params.items(), key=lambda each: each[0])), *operands)
        found = [self._number((*key, number)) for number in range(len(outputs))]
        shapes = [each.aval.shape for each in equation.invars]
        if name == "concatenate" and equation.params["dimension"] == len(shapes[0]) - 1:
            sizes = [shape[-1] for shape in shapes]
            if set(sizes) == {1}:
                self._columns[found[0]] = tuple(operands)
        return found

    def column(self, number: int, place: int, count: int) -> Hashable:
        """The number of one of `count` indices along the last axis of an array of them."""
        if number in self._columns:
            return self._columns[number][place]
        return number if count == 1 else (number, place)

    def _number(self, key: Hashable) -> int:
        return self._known.setdefault(key, next(self._count))


def _is_integer(aval: Any) -> bool:
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and (
        jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.bool_)
    )
