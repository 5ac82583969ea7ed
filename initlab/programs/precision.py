"""The floating dtypes that a program computes in, whatever its inputs have."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.walk import walk

__all__ = ["computed_dtypes"]


def computed_dtypes(program: Any) -> set[np.dtype]:
    """The floating dtypes of all that a program computes from its inputs.

    A model of a fixed dtype casts its float64 inputs to it: its results, float64 again where they
    are added to the parameters, are as exact as that dtype. What no output depends on, and what is
    computed from constants alone (a table, a random mask), rounds alike on both sides of a
    comparison, and is left out.

    Args:
      program: a closed jaxpr.

    Returns:
      The dtypes; empty where nothing floating is computed.

    >>> import jax
    >>> half = lambda x: x + jnp.sin(x.astype(jnp.float16)).astype(jnp.float32)
    >>> sorted(map(str, computed_dtypes(jax.make_jaxpr(half)(1.0))))
    ['float16', 'float32']
    """
    found: set[np.dtype] = set()
    _follow(program, [True] * len(program.jaxpr.invars), found)
    return found


def _follow(program: Any, depends: Sequence[bool], found: set[np.dtype]) -> list[bool]:
    """Which outputs depend on inputs that do; gains the dtypes of what does on the way."""

    def step(equation: Any, operands: list[bool]) -> list[bool]:
        match control(equation):
            case Call(body=body):
                return _follow(body, operands, found)
            case Cond(branches):
                results = [_follow(branch, operands[1:], found) for branch in branches]
                return [operands[0] or any(each) for each in zip(*results, strict=True)]
            case Scan() as loop:
                shared, carry, sliced = loop.split(operands)

                def of_scan(carry: list[bool]) -> list[bool]:
                    return _follow(loop.body, [*shared, *carry, *sliced], found)

                def carried_on(carry: list[bool]) -> list[bool]:
                    return of_scan(carry)[: loop.carried]

                carry = _settled(carry, carried_on)
                return [*carry, *of_scan(carry)[loop.carried :]]
            case While() as loop:
                _, shared, carry = loop.split(operands)

                def of_while(carry: list[bool]) -> list[bool]:
                    return _follow(loop.body, [*shared, *carry], found)

                return _settled(carry, of_while)
        if any(operands):
            dtypes = (getattr(variable.aval, "dtype", None) for variable in equation.outvars)
            found.update(
                np.dtype(dtype)
                for dtype in dtypes
                if dtype is not None and jnp.issubdtype(dtype, jnp.floating)
            )
        return [any(operands)] * len(equation.outvars)

    return walk(program, depends, step, constant=lambda _: False, unused=lambda _: False)


def _settled(carry: list[bool], body: Any) -> list[bool]:
    """What a loop carries, when another iteration no longer changes it."""
    while True:
        after = [one or other for one, other in zip(carry, body(carry), strict=True)]
        if after == carry:
            return carry
        carry = after
