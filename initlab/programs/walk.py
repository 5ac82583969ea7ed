"""The one walk through a program: its environment, its constants and its dead code."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from initlab.programs.equations import is_literal, live_equations

__all__ = ["walk"]

T = TypeVar("T")


def walk(
    program: Any,
    operands: Sequence[T],
    step: Callable[[Any, list[T]], Sequence[T]],
    *,
    constant: Callable[[Any], T],
    unused: Callable[[Any], T],
) -> list[T]:
    """Carries something along with every array of a program, equation by equation.

    What is carried, and how an operation changes it, is the caller's: axes for symmetry, uses of
    parameters for adoption, values and what is known of them for taps.

    Args:
      program: a closed jaxpr.
      operands: what is carried with each of its inputs.
      step: `(equation, operands) -> results`, called in the program's order for each equation that
        bears on an output. It reads calls, loops and branches itself, by `control` and by walking
        their programs: what a loop's carry settles at is another question for each instrument.
      constant: `value -> what is carried with it`, for numbers written into the program and
        arrays that it has closed over.
      unused: `aval -> what is carried with it`, for results of dead code. It is used only where a
        live equation reads an array without entries, as padding by nothing.

    Returns:
      What is carried with each output.

    Raises:
      ValueError: if operands do not match the program's inputs, or results an equation's outputs.

    >>> import jax
    >>> program = jax.make_jaxpr(lambda x, y: (x + 1.0) * y)(1.0, 2.0)
    >>> evaluate = lambda equation, operands: [equation.primitive.bind(*operands)]
    >>> walk(program, [3.0, 4.0], evaluate, constant=float, unused=lambda aval: None)[0].item()
    16.0
    """
    jaxpr = program.jaxpr
    known: dict[Any, T] = dict(zip(jaxpr.constvars, map(constant, program.consts), strict=True))
    known.update(zip(jaxpr.invars, operands, strict=True))

    def look_up(variable: Any) -> T:
        return constant(variable.val) if is_literal(variable) else known[variable]

    for equation, is_live in zip(jaxpr.eqns, live_equations(jaxpr), strict=True):
        if is_live:
            results = step(equation, [look_up(variable) for variable in equation.invars])
        else:
            results = [unused(variable.aval) for variable in equation.outvars]
        known.update(zip(equation.outvars, results, strict=True))
    return [look_up(variable) for variable in jaxpr.outvars]
