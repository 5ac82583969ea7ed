"""Which axes of a parameter lie on the axes of an array that it has become, and where members lie.

Members are parameters of one shape in one array: vmapped models, heads or blocks with a matrix
each, experts. Each of them has fans, and is drawn, by itself.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from initlab.programs.axes import dot_axes
from initlab.programs.primitives import ELEMENTWISE, PASSING, REDUCTIONS

__all__ = ["Axes", "axes_of_result", "members_of_result", "moved_axes"]

Axes = tuple[tuple[int, ...] | None, ...]
"""For each axis of an array the whole axes of the parameter that lie on it, in their order; () for
none, as where it was broadcast, and None for less or more than whole ones."""


def moved_axes(equation: Any, axes: Axes, sizes: Sequence[int]) -> Axes:
    """The parameter's axes after one of PASSING.

    Args:
      equation: the operation, of which the parameter is the first operand.
      axes: its axes before.
      sizes: of all axes of the parameter.

    Returns:
      Its axes after.

    >>> import jax
    >>> (equation,) = jax.make_jaxpr(lambda w: w.reshape(6, 5))(jax.numpy.ones((2, 3, 5))).eqns
    >>> moved_axes(equation, ((0,), (1,), (2,)), (2, 3, 5))
    ((0, 1), (2,))
    """
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    match equation.primitive.name:
        case "transpose":
            return tuple(axes[n] for n in equation.params["permutation"])
        case "squeeze":
            gone = {n % len(before) for n in equation.params["dimensions"]}
            return tuple(each for n, each in enumerate(axes) if n not in gone)
        case "broadcast_in_dim":
            result: list[tuple[int, ...] | None] = [()] * len(after)
            for n, place in enumerate(equation.params["broadcast_dimensions"]):
                result[place] = axes[n] if before[n] == after[place] else ()
            return tuple(result)
        case "reshape":
            order = _order(equation)
            return _reshaped([axes[n] for n in order], sizes, [before[n] for n in order], after)
        case _:
            same = (a == b for a, b in zip(before, after, strict=True))
            return tuple(each if kept else None for each, kept in zip(axes, same, strict=True))


def _order(equation: Any) -> Sequence[int]:
    """In which order a reshape takes its operand's axes: vmap of a convolution transposes too."""
    return equation.params["dimensions"] or range(len(equation.invars[0].aval.shape))


def _reshaped(
    axes: Sequence[tuple[int, ...] | None],
    sizes: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
) -> Axes:
    """All axes in their order, dealt out to the new ones; those that do not fit are not whole."""
    result: list[tuple[int, ...] | None] = [None] * len(after)
    for old, new in _runs(before, after):
        parts = [axes[n] for n in old]
        if any(not part for part in parts):
            continue
        factors = [axis for part in parts for axis in part or () if sizes[axis] > 1]
        dealt: list[tuple[int, ...]] = []
        for place in new:
            taken: list[int] = []
            while factors and math.prod(sizes[n] for n in taken) < after[place]:
                taken.append(factors.pop(0))
            dealt.append(tuple(taken))
        pairs = list(zip(new, dealt, strict=True))
        if all(math.prod(sizes[n] for n in own) == after[place] for place, own in pairs):
            for place, own in pairs:
                result[place] = own
    return tuple(each if after[n] > 1 else () for n, each in enumerate(result))


def _runs(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The shortest runs of axes, those of size 1 left out, that have as many entries."""
    old = [n for n, size in enumerate(before) if size > 1]
    new = [n for n, size in enumerate(after) if size > 1]
    runs = []
    while old and new and 0 not in before:
        left, right = [old.pop(0)], [new.pop(0)]
        while (a := math.prod(before[n] for n in left)) != (
            b := math.prod(after[n] for n in right)
        ):
            (left if a < b else right).append((old if a < b else new).pop(0))
        runs.append((left, right))
    return runs


def axes_of_result(
    equation: Any,
    operands: Sequence[tuple[int, ...]],
    nothing: int,
    combine: Callable[[int, int], int],
) -> tuple[int, ...]:
    """What is said of each axis of an operation's result by what is said of its operands' axes.

    Args:
      equation: the operation.
      operands: for each axis of each operand a number; () where there is nothing to say.
      nothing: the number of an axis of which nothing is said.
      combine: of two numbers of one axis.

    Returns:
      The numbers of the (first) result's axes; () where there is nothing to say.
    """
    name, shape = equation.primitive.name, equation.outvars[0].aval.shape
    if not any(number != nothing for each in operands for number in each):
        return ()
    if name in ELEMENTWISE or name == "concatenate":
        fitting = [each for each in operands if len(each) == len(shape)]
        return tuple(functools.reduce(combine, column) for column in zip(*fitting, strict=True))
    if name == "dot_general":
        axes = dot_axes(equation)
        ranks = [len(variable.aval.shape) for variable in equation.invars]
        left, right = (
            each or (nothing,) * rank for each, rank in zip(operands, ranks, strict=True)
        )
        both = [combine(left[a], right[b]) for a, b in zip(*axes.batch, strict=True)]
        free = [
            side[axis] for n, side in enumerate((left, right)) for axis in axes.free(n, ranks[n])
        ]
        return (*both, *free)
    first = operands[0]
    if not first:
        return ()
    if name in REDUCTIONS:
        return tuple(each for n, each in enumerate(first) if n not in equation.params["axes"])
    if name not in PASSING:
        return ()
    before = equation.invars[0].aval.shape
    numbered = tuple((n,) for n in range(len(before)))
    moved = moved_axes(equation, numbered, before)
    return tuple(first[each[0]] if each and len(each) == 1 else nothing for each in moved)


def members_of_result(equation: Any, operands: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """How many members lie on each axis of an operation's result, as the first factor of it.

    Args:
      equation: the operation.
      operands: of each operand, how many lie on each of its axes: 1 for none, the axis's size where
        all of it is members; () for none anywhere, as of a parameter.

    Returns:
      The same of the (first) result; () for none anywhere, or where it is not known.
    """
    counts = operands[0] if operands else ()
    if equation.primitive.name != "reshape" or not counts:
        return axes_of_result(equation, operands, 1, max)
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    order = _order(equation)
    counts, before = [counts[n] for n in order], [before[n] for n in order]
    result = [1] * len(after)
    for old, new in _runs(before, after):
        # The first factor of all: members before units, as vmap merges them.
        whole = len(list(itertools.takewhile(lambda n: counts[n] == before[n], old)))
        left = math.prod(counts[n] for n in old[: whole + 1])
        for place in new:
            result[place] = math.gcd(left, after[place])
            left = left // after[place] if left % after[place] == 0 else 1
    return tuple(result)
