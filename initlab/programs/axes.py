"""How the axes of an operation's operands become axes of its result."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from initlab.programs.primitives import PRODUCTS, RAGGED

__all__ = [
    "DotAxes",
    "contracts_nothing",
    "dot_axes",
    "moved",
    "product_axes",
    "runs_axes",
    "unit_axes",
]

Pair = tuple[tuple[int, ...], tuple[int, ...]]


class DotAxes(NamedTuple):
    """Axes of a matrix product's two operands, as `dot_general` names them.

    The result's axes are those of the batch, the left operand's free ones, the right one's.

    Attributes:
      contract: those that are summed over, of the left and of the right operand.
      batch: those that run along in both.
    """

    contract: Pair
    batch: Pair

    def free(self, side: int, rank: int) -> tuple[int, ...]:
        """The axes of one operand (0 left, 1 right) that are neither."""
        return tuple(n for n in range(rank) if n not in self.contract[side] + self.batch[side])


def product_axes(name: str, rank: int) -> DotAxes:
    """The axes of one of the lab's own products, for factors of a rank.

    Args:
      name: one of PRODUCTS.
      rank: of both factors: 2 more than there are axes of runs.

    Returns:
      Its axes.

    >>> product_axes("sum_over_outputs", 3)
    DotAxes(contract=((2,), (1,)), batch=((0,), (0,)))
    """
    left, right = PRODUCTS[name]
    runs = tuple(range(rank - 2))
    return DotAxes(((rank + left,), (rank + right,)), (runs, runs))


def dot_axes(equation: Any) -> DotAxes:
    """The axes of a matrix product.

    Args:
      equation: a `dot_general`, a `ragged_dot` or one of PRODUCTS.

    Returns:
      Its axes; a ragged one's runs of rows, and the matrices that they take, are none of them.

    >>> import jax
    >>> from jax.numpy import dot, ones
    >>> (equation,) = jax.make_jaxpr(dot)(ones((5, 2)), ones((2, 3))).eqns
    >>> dot_axes(equation)
    DotAxes(contract=((1,), (0,)), batch=((), ()))
    """
    name = equation.primitive.name
    if name in PRODUCTS:
        return product_axes(name, len(equation.invars[0].aval.shape))
    if name in RAGGED:
        numbers = equation.params["ragged_dot_dimension_numbers"]
        contract, batch = numbers.dot_dimension_numbers
    else:
        contract, batch = equation.params["dimension_numbers"]
    return DotAxes((tuple(contract[0]), tuple(contract[1])), (tuple(batch[0]), tuple(batch[1])))


def runs_axes(equation: Any) -> tuple[int, int] | None:
    """The left operand's axis whose runs take a matrix each, and the right one's of the matrices.

    Args:
      equation: any.

    Returns:
      The two; None where it is no `ragged_dot`, or sums over its runs, as its derivative does.
    """
    if equation.primitive.name not in RAGGED:
        return None
    numbers = equation.params["ragged_dot_dimension_numbers"]
    (rows,), groups = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    contract, batch = numbers.dot_dimension_numbers
    if len(groups) != 1 or rows in contract[0] or rows in batch[0]:
        return None
    return int(rows), int(groups[0])


def contracts_nothing(equation: Any) -> bool:
    """Whether a product sums over no axis, so that it multiplies entry by entry, as `mul` does.

    So is a norm's scale applied by `einsum("bd,d->bd", h, s)`, and a convolution of each channel by
    a kernel of one entry. Where an axis of size 1 is summed over, it is a matrix product still.

    Args:
      equation: one of CONTRACTIONS.

    Returns:
      Whether each entry of the result is a product of two entries.

    >>> import jax
    >>> from jax.numpy import einsum, ones
    >>> program = jax.make_jaxpr(lambda x, s: einsum("bd,d->bd", x, s))(ones((5, 3)), ones(3))
    >>> contracts_nothing(program.eqns[0])
    True
    """
    if equation.primitive.name == "conv_general_dilated":
        numbers, kernel = equation.params["dimension_numbers"], equation.invars[1].aval.shape
        window = math.prod(kernel[axis] for axis in numbers.rhs_spec[1:])
        return window == 1 and equation.params["feature_group_count"] > 1
    return not dot_axes(equation).contract[0]


def unit_axes(equation: Any, place: int) -> list[tuple[int, int]]:
    """The axes of a product that one of its operands brings, those of its own units.

    Args:
      equation: one of CONTRACTIONS.
      place: which operand.

    Returns:
      `(axis of the result, axis of the operand)` for each.

    >>> import jax
    >>> from jax.numpy import dot, ones
    >>> (equation,) = jax.make_jaxpr(dot)(ones((5, 2)), ones((2, 3))).eqns
    >>> unit_axes(equation, 1)
    [(1, 1)]
    """
    if equation.primitive.name == "conv_general_dilated":
        numbers = equation.params["dimension_numbers"]
        # A convolution by what depends on the data has no units of its own.
        return [(numbers.out_spec[1], numbers.rhs_spec[0])] if place == 1 else []
    axes, runs = dot_axes(equation), runs_axes(equation)
    if equation.primitive.name in RAGGED and runs is None:
        return []
    left, right = (axes.free(side, len(equation.invars[side].aval.shape)) for side in (0, 1))
    first = len(axes.batch[0]) + (len(left) if place == 1 else 0)
    # Of the matrices each row has one.
    own = [n for n in right if runs is None or n != runs[1]] if place == 1 else left
    return [*enumerate(axes.batch[place]), *enumerate(own, first)]


def moved(equation: Any, flags: Sequence[bool]) -> tuple[bool, ...]:
    """Flags of an operand's axes as flags of the result's.

    Args:
      equation: one of PASSING.
      flags: for each axis of its first operand.

    Returns:
      For each axis of its results: whether the operand's flagged axes, and nothing else, lie on it.

    >>> import jax
    >>> (equation,) = jax.make_jaxpr(lambda x: x.reshape(6, 5))(jax.numpy.ones((2, 3, 5))).eqns
    >>> moved(equation, (True, False, True)), moved(equation, (True, True, False))
    ((False, True), (True, False))
    """
    before: tuple[int, ...] = equation.invars[0].aval.shape
    after: tuple[int, ...] = equation.outvars[0].aval.shape
    match equation.primitive.name:
        case "transpose":
            order: tuple[int, ...] = equation.params["permutation"]
            return tuple(flags[axis] for axis in order)
        case "broadcast_in_dim":
            result = [False] * len(after)
            for axis, place in enumerate(equation.params["broadcast_dimensions"]):
                # An axis of size 1 that is stretched holds copies, which are the broadcast's.
                result[place] = flags[axis] and before[axis] == after[place]
            return tuple(result)
        case "tile":
            same = [a == b for a, b in zip(before, after, strict=True)]
            return tuple(flag and kept for flag, kept in zip(flags, same, strict=True))
        case "squeeze":
            gone: set[int] = {axis % len(before) for axis in equation.params["dimensions"]}
            return tuple(flag for axis, flag in enumerate(flags) if axis not in gone)
        case "reshape":
            # vmap of a convolution transposes in the same step.
            order = equation.params["dimensions"] or tuple(range(len(before)))
            return _reshaped([flags[n] for n in order], [before[n] for n in order], after)
        case _:
            return tuple(flags)


def _reshaped(
    flags: Sequence[bool], before: Sequence[int], after: Sequence[int]
) -> tuple[bool, ...]:
    """Axes that split or merge: the shortest runs of axes of the same size correspond.

    A new axis of a run has the flag only if every old one has it: merged with another, an axis of
    units is no longer one of units alone. Axes of size 1 are left out.
    """
    result = [False] * len(after)
    if 0 in before:
        # Without entries nothing corresponds, and products of sizes are 0 whatever the runs.
        return tuple(result)
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
