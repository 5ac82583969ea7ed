"""What one equation of a program says, and which equations bear on a result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

__all__ = [
    "all_equations",
    "has_lasting_effect",
    "inner_program",
    "is_literal",
    "is_real",
    "live_equations",
    "run_equation",
    "scan_counts",
]


def is_real(aval: Any) -> bool:
    """Whether a value of a program has a derivative: floating or complex numbers.

    >>> import jax
    >>> [is_real(each) for each in jax.make_jaxpr(lambda x: (x, x > 0))(1.0).out_avals]
    [True, False]
    """
    return jnp.issubdtype(getattr(aval, "dtype", None) or bool, jnp.inexact)


def is_literal(variable: Any) -> bool:
    """Whether an operand of an equation is a number written into the program.

    >>> import jax
    >>> (equation,) = jax.make_jaxpr(lambda x: 2.0 * x)(1.0).eqns
    >>> [is_literal(variable) for variable in equation.invars]
    [True, False]
    """
    return isinstance(variable, Literal)


def inner_program(params: Mapping[str, Any]) -> ClosedJaxpr | None:
    """The program among an equation's parameters, whatever the primitive calls it, or None.

    Ask `control` first: a scan, too, holds its body under "jaxpr", and a `reduce` what it combines
    two entries by, which are not run once on the operands.

    Args:
      params: the parameters of an equation.

    Returns:
      The program, closed.

    >>> import jax
    >>> program = jax.make_jaxpr(jax.jit(jax.numpy.sin))(1.0)
    >>> inner_program(program.eqns[0].params).eqns[0].primitive.name
    'sin'
    """
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr", "call", "callee"):
        program = params.get(name)
        if isinstance(program, ClosedJaxpr):
            return program
        if isinstance(program, Jaxpr):
            return ClosedJaxpr(program, ())
    return None


def scan_counts(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many operands all iterations of a scan share, and how many it carries.

    Args:
      params: the parameters of a scan's equation.

    Returns:
      The two counts; the operands after them are sliced.

    >>> import jax
    >>> body = lambda total, x: (total + x * 2.0, total)
    >>> program = jax.make_jaxpr(lambda xs: jax.lax.scan(body, 0.0, xs))(jax.numpy.ones(3))
    >>> scan_counts(program.eqns[-1].params)
    (0, 1)
    """
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    # From JAX 0.12 on: three trees of operands.
    shared, carried, _ = params["ft_in"].unpack()
    return len(shared), len(carried)


def all_equations(program: Any) -> Iterator[Any]:
    """Every equation of a program and of the programs within it, the outer ones first.

    Args:
      program: a jaxpr, closed or not.

    Yields:
      Equations.

    >>> import jax
    >>> program = jax.make_jaxpr(jax.jit(lambda x: jax.numpy.sin(x)))(1.0)
    >>> [equation.primitive.name for equation in all_equations(program)]
    ['jit', 'sin']
    """
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for equation in jaxpr.eqns:
        yield equation
        values: list[Any] = list(equation.params.values())
        for value in values:
            held = cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
            for each in held:
                if isinstance(each, (ClosedJaxpr, Jaxpr)):
                    yield from all_equations(each)


def has_lasting_effect(equation: Any) -> bool:
    """Whether an equation does something to arrays beside its results: a write to a reference.

    What prints, or hands arrays to Python, does not, nor do the loops and calls around it.

    Args:
      equation: of a jaxpr.

    Returns:
      The flag.

    >>> import jax
    >>> program = jax.make_jaxpr(lambda x: jax.debug.print("{}", x))(1.0)
    >>> bool(program.effects), has_lasting_effect(program.eqns[0])
    (True, False)
    """
    # A reference is known by the array that it refers to: its class is none of JAX's public ones.
    return bool(equation.effects) and any(
        hasattr(variable.aval, "inner_aval") for variable in (*equation.invars, *equation.outvars)
    )


def live_equations(jaxpr: Any) -> list[bool]:
    """Which equations bear on an output: one backward pass of liveness, as for dead code.

    One whose results have no entries does not; one that writes to a reference may; one that prints
    does not.

    Args:
      jaxpr: a program, not closed.

    Returns:
      A flag for each equation.

    >>> import jax
    >>> from jax.numpy import cos, sin
    >>> live_equations(jax.make_jaxpr(lambda x: (sin(x), cos(x))[1])(1.0).jaxpr)
    [False, True]
    """
    # By identity: a literal, which may be an operand, has no hash.
    needed = {id(variable) for variable in jaxpr.outvars}
    live: list[bool] = []
    for equation in reversed(jaxpr.eqns):
        used = has_lasting_effect(equation) or any(
            id(variable) in needed and 0 not in getattr(variable.aval, "shape", ())
            for variable in equation.outvars
        )
        if used:
            needed.update(map(id, equation.invars))
        live.append(used)
    return live[::-1]


def run_equation(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Runs one equation on operands of its own or, if it is elementwise, of other shapes.

    Args:
      equation: of a jaxpr.
      operands: an array for each of its inputs.

    Returns:
      An array for each of its outputs.

    >>> import jax
    >>> (equation,) = jax.make_jaxpr(jax.numpy.sin)(1.0).eqns
    >>> run_equation(equation, [jax.numpy.zeros(2)])[0].tolist()
    [0.0, 0.0]
    """
    primitive = equation.primitive
    with equation.ctx.manager:
        # A call's parameters hold programs, which bind as functions.
        results = primitive.bind(*operands, **primitive.get_bind_params(equation.params))
    return list(results) if primitive.multiple_results else [results]
