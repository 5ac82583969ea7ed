"""A function in which some operations are computed another way, wherever in it they stand."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from initlab.programs.equations import all_equations, is_literal, run_equation
from initlab.programs.trace import trace

__all__ = ["Choose", "rewrite"]

Choose = Callable[[Any], Callable[..., Sequence[Any]] | None]
"""`equation -> function of its operands that gives its results`, or None to leave it as it is."""


def rewrite(function: Callable[..., Any], choose: Choose) -> Callable[..., Any]:
    """`function`, with another computation in place of every operation that `choose` names.

    Operations are found inside calls, loops, branches and rematerialized parts too. The rule of a
    custom derivative stays as it was written: in a function that differentiates within, as a
    training step does, nothing of it is left. What is chosen by platform (`platform_dependent`)
    stays as well, since whoever wrote it has chosen already.

    Args:
      function: of pytrees of arrays.
      choose: what stands in for an operation; its results have the shapes and dtypes of before.

    Returns:
      A function of the same arguments. It is traced at each call, and may be transformed like any
      other; a function without such an operation is called as it is.

    >>> import jax.numpy as jnp
    >>> cosine = lambda equation: jnp.cos if equation.primitive.name == "sin" else None
    >>> cosines = rewrite(jax.jit(jnp.sin), lambda each: cosine(each) and (lambda x: [jnp.cos(x)]))
    >>> cosines(0.0).item()
    1.0
    """

    @functools.wraps(function)
    def rewritten(*arguments: Any) -> Any:
        program, shape = trace(function, *arguments)
        if not _is_met(program, choose):
            return function(*arguments)
        results = _evaluate(program, jax.tree.leaves(arguments), choose)
        # Through Any: JAX's own types are partly unknown.
        tree = cast(Any, jax).tree
        return tree.unflatten(tree.structure(shape), results)

    return rewritten


def _is_met(program: Any, choose: Choose) -> bool:
    return any(choose(equation) is not None for equation in all_equations(program))


def _evaluate(program: Any, operands: Sequence[Any], choose: Choose) -> list[Any]:
    jaxpr = program.jaxpr
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    known.update(zip(jaxpr.invars, operands, strict=True))

    def look_up(variable: Any) -> Any:
        return variable.val if is_literal(variable) else known[variable]

    # Not `walk`, which leaves out what bears on no result: checks and prints are to stay.
    for equation in jaxpr.eqns:
        values = [look_up(variable) for variable in equation.invars]
        chosen = choose(equation)
        if chosen is None:
            results = run_equation(_rewritten_within(equation, choose), values)
        else:
            results = chosen(*values)
        known.update(zip(equation.outvars, results, strict=True))
    # A number written into the program has the dtype that the program says.
    return [
        np.asarray(variable.val, variable.aval.dtype) if is_literal(variable) else known[variable]
        for variable in jaxpr.outvars
    ]


def _rewritten_within(equation: Any, choose: Choose) -> Any:
    """The equation, with the programs among its parameters rewritten."""
    if equation.params.get("branches_platforms") is not None:
        return equation
    params = {name: _rewritten(value, choose) for name, value in equation.params.items()}
    same = all(value is equation.params[name] for name, value in params.items())
    return equation if same else equation.replace(params=params)


def _rewritten(value: Any, choose: Choose) -> Any:
    """One parameter of an equation: a program, several, or anything else, which stays."""
    if isinstance(value, tuple):
        given = cast(tuple[Any, ...], value)
        parts = tuple(_rewritten(each, choose) for each in given)
        same = all(a is b for a, b in zip(parts, given, strict=True))
        return given if same else parts
    if not isinstance(value, (ClosedJaxpr, Jaxpr)) or not _is_met(value, choose):
        return value
    program = value if isinstance(value, ClosedJaxpr) else ClosedJaxpr(value, ())
    inputs = [variable.aval for variable in program.jaxpr.invars]
    if any(hasattr(aval, "inner_aval") for aval in inputs):
        # A reference to memory is no argument that a function can be traced with.
        return value
    traced, _ = trace(lambda *operands: _evaluate(program, operands, choose), *inputs)
    if isinstance(value, ClosedJaxpr):
        return traced
    # What is not closed has no place for constants.
    return value if traced.consts else traced.jaxpr
