"""Whether each entry of a program's result is one function of the entry in the same place."""

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.core import Tracer

from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.primitives import ELEMENTWISE, MOVES, UNCHANGED
from initlab.programs.walk import walk

__all__ = ["find_mixing"]


class _Kind(enum.IntEnum):
    """What an array is, in the order of a join: the larger one wins."""

    NUMBER = 0
    """One number in all places, which does not depend on the input."""
    ENTRY = 1
    """Each entry the same function of the input's entry in its place."""
    TABLE = 2
    """Numbers that do not depend on the input, other ones in other places."""
    MIXED = 3
    """Anything else."""


def find_mixing(program: Any) -> str | None:
    """The operation by which a program of one array is not seen to be elementwise.

    Args:
      program: the closed jaxpr of a function of one array, of two axes or more.

    Returns:
      None if the result is elementwise, whatever its input; else the name of the first primitive
      that takes entries together or numbers by their place. It may still be elementwise: what
      interpolates in a table, or sums over an axis of basis functions, is not followed.

    >>> import jax
    >>> given = jax.ShapeDtypeStruct((2, 3), np.float32)
    >>> [find_mixing(jax.make_jaxpr(each)(given)) for each in (jax.nn.gelu, jax.nn.softmax)]
    [None, 'reduce_max']
    """
    found: list[str] = []
    shape = program.in_avals[0].shape
    (kind,) = _read(program, [_Kind.ENTRY], shape, found)
    if kind in (_Kind.NUMBER, _Kind.ENTRY):
        return None
    return found[0] if found else "a table of numbers"


def _read(
    program: Any, operands: Sequence[_Kind], shape: tuple[int, ...], found: list[str]
) -> list[_Kind]:
    return walk(
        program,
        operands,
        lambda equation, kinds: _step(equation, kinds, shape, found),
        constant=_of_constant,
        unused=lambda aval: _Kind.NUMBER,
    )


def _of_constant(value: Any) -> _Kind:
    """A traced array's numbers are not known: only one without axes is surely one number."""
    if not np.shape(value):
        return _Kind.NUMBER
    if isinstance(value, Tracer):
        return _Kind.TABLE
    numbers = np.asarray(value)
    is_one = numbers.size == 0 or bool((numbers == numbers.flat[0]).all())
    return _Kind.NUMBER if is_one else _Kind.TABLE


def _step(
    equation: Any, kinds: list[_Kind], shape: tuple[int, ...], found: list[str]
) -> list[_Kind]:
    match control(equation):
        case Call(body=body):
            return _read(body, kinds, shape, found)
        case Cond(branches):
            each = [_read(branch, kinds[1:], shape, found) for branch in branches]
            joined = [max(column) for column in zip(*each, strict=True)]
            return _checked(equation, [max(kind, _if_chosen(kinds[0])) for kind in joined], found)
        case Scan() as loop:
            return _scan(equation, loop, kinds, shape, found)
        case While() as loop:
            return _while(equation, loop, kinds, shape, found)
    avals = [variable.aval for variable in equation.outvars]
    return _checked(equation, [_result(equation, kinds, aval, shape) for aval in avals], found)


def _checked(equation: Any, kinds: list[_Kind], found: list[str]) -> list[_Kind]:
    if _Kind.MIXED in kinds:
        found.append(equation.primitive.name)
    return kinds


def _if_chosen(kind: _Kind) -> _Kind:
    """A choice made once for all entries by what depends on any of them mixes them."""
    return _Kind.NUMBER if kind in (_Kind.NUMBER, _Kind.TABLE) else _Kind.MIXED


def _result(equation: Any, kinds: list[_Kind], aval: Any, shape: tuple[int, ...]) -> _Kind:
    name, kind = equation.primitive.name, max(kinds, default=_Kind.TABLE)
    if kind is _Kind.MIXED:
        return kind
    if _Kind.ENTRY not in kinds:
        # Whatever it is: one number has no place; moving and computing keep them all alike.
        if not aval.shape:
            return _Kind.NUMBER
        return kind if name in ELEMENTWISE | UNCHANGED | MOVES else _Kind.TABLE
    if kind is _Kind.TABLE or aval.shape != shape:
        return _Kind.MIXED
    if name in ELEMENTWISE | UNCHANGED:
        return kind
    if name in ("broadcast_in_dim", "reshape"):
        # To its own shape: nothing has moved.
        same = equation.invars[0].aval.shape == shape
        axes = equation.params.get("broadcast_dimensions", range(len(shape)))
        return kind if same and tuple(axes) == tuple(range(len(shape))) else _Kind.MIXED
    return _Kind.MIXED


def _scan(
    equation: Any, loop: Scan, kinds: list[_Kind], shape: tuple[int, ...], found: list[str]
) -> list[_Kind]:
    shared, carry, sliced = loop.split(kinds)
    avals = [variable.aval for variable in equation.invars[loop.shared + loop.carried :]]
    slices = [
        _Kind.MIXED
        if kind in (_Kind.ENTRY, _Kind.MIXED)
        # A slice that is one number is the same in all places, whatever the others are.
        else (_Kind.NUMBER if len(aval.shape) == 1 else kind)
        for kind, aval in zip(sliced, avals, strict=True)
    ]

    def once(carry: list[_Kind]) -> list[_Kind]:
        return _read(loop.body, [*shared, *carry, *slices], shape, found)

    results = _settled(once, carry)
    handed = [
        _Kind.MIXED if kind in (_Kind.ENTRY, _Kind.MIXED) else _Kind.TABLE
        for kind in results[loop.carried :]
    ]
    return _checked(equation, [*results[: loop.carried], *handed], found)


def _while(
    equation: Any, loop: While, kinds: list[_Kind], shape: tuple[int, ...], found: list[str]
) -> list[_Kind]:
    condition_shared, shared, carry = loop.split(kinds)

    def once(carry: list[_Kind]) -> list[_Kind]:
        return _read(loop.body, [*shared, *carry], shape, found)

    results = _settled(once, carry)
    (chosen,) = _read(loop.condition, [*condition_shared, *results], shape, found)
    return _checked(equation, [max(kind, _if_chosen(chosen)) for kind in results], found)


def _settled(once: Any, carry: list[_Kind]) -> list[_Kind]:
    """The results of a loop's body when what its carry is no longer grows: at most three times."""
    while True:
        results = once(carry)
        grown = [max(pair) for pair in zip(carry, results, strict=False)]
        if grown == carry:
            return [*grown, *results[len(carry) :]]
        carry = grown
