"""Operations that JAX is taught, and programs that are read: the only user of jax.extend.core."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Primitive
from jax.interpreters import ad, batching, mlir

__all__ = [
    "define_bilinear",
    "inner_program",
    "is_literal",
    "live_equations",
    "run_equation",
    "scan_counts",
]

Product = Callable[[jax.Array, jax.Array], jax.Array]


def define_bilinear(name: str, product: Product, left: Product, right: Product) -> Product:
    """An operation `product(l, r)`, linear in l and in r, whose gradients are operations too.

    It differentiates in every mode and to any order, and under vmap stays one product for each
    run, also where the runs share a factor. A composition of JAX's own operations would follow
    JAX's rules instead, which reorder sums.

    Args:
      name: what jaxprs call it.
      product: `(l, r) -> out` on arrays that may have leading axes, alike in both: those of runs.
      left: `(cotangent of out, r) -> cotangent of l`.
      right: `(cotangent of out, l) -> cotangent of r`.

    Returns:
      The operation, for factors without axes of runs or with the same ones.

    >>> multiply = define_bilinear("multiply", jnp.multiply, jnp.multiply, jnp.multiply)
    >>> jax.grad(jax.grad(lambda z: multiply(z, multiply(z, z))))(3.0).item()
    18.0
    """
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(product))

    def shaped(l: Any, r: Any) -> Any:  # noqa: E741
        out = jax.eval_shape(product, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (l, r)))
        return l.update(shape=out.shape, dtype=out.dtype, weak_type=False)

    def batch(factors: Any, axes: Any) -> tuple[jax.Array, int]:
        runs = next(
            factor.shape[axis]
            for factor, axis in zip(factors, axes, strict=True)
            if axis is not None
        )
        each = [
            jnp.broadcast_to(factor, (runs, *factor.shape))
            if axis is None
            else jnp.moveaxis(factor, axis, 0)
            for factor, axis in zip(factors, axes, strict=True)
        ]
        return primitive.bind(*each), 0

    primitive.def_abstract_eval(shaped)
    mlir.register_lowering(primitive, mlir.lower_fun(product, multiple_results=False))
    batching.primitive_batchers[primitive] = batch
    ad.defbilinear(
        primitive,
        lambda cotangent, _, r: left(cotangent, r),
        lambda cotangent, l, _: right(cotangent, l),  # noqa: E741
    )
    return primitive.bind


def is_literal(variable: Any) -> bool:
    """Whether an operand of an equation is a number written into the program."""
    return isinstance(variable, Literal)


def scan_counts(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many operands all iterations of a scan share, and how many each hands on to the next.

    Args:
      params: the parameters of a scan's equation.

    Returns:
      The two counts; the operands after them are sliced.

    >>> body = lambda total, x: (total + x * 2.0, total)
    >>> program = jax.make_jaxpr(lambda xs: jax.lax.scan(body, 0.0, xs))(jnp.ones(3))
    >>> scan_counts(program.eqns[-1].params)
    (0, 1)
    """
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    # From JAX 0.12 on: three trees of operands.
    shared, carried, _ = params["ft_in"].unpack()
    return len(shared), len(carried)


def inner_program(params: Mapping[str, Any]) -> ClosedJaxpr | None:
    """The program that an equation calls once (jit, remat, custom derivatives), or None.

    Args:
      params: the parameters of an equation.

    Returns:
      The program, closed. Loops and branches hold theirs under names of their own.

    >>> program = jax.make_jaxpr(jax.jit(jnp.sin))(1.0)
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


def live_equations(jaxpr: Any) -> list[bool]:
    """Which equations bear on an output; one whose results have no entries does not.

    One with an effect, as a write to a reference, may.

    Args:
      jaxpr: a program, not closed.

    Returns:
      A flag for each equation.

    >>> live_equations(jax.make_jaxpr(lambda x: (jnp.sin(x), jnp.cos(x))[1])(1.0).jaxpr)
    [False, True]
    """
    wanted = {id(variable) for variable in jaxpr.outvars}
    live = []
    for equation in reversed(jaxpr.eqns):
        used = bool(equation.effects) or any(
            id(variable) in wanted and 0 not in getattr(variable.aval, "shape", ())
            for variable in equation.outvars
        )
        if used:
            wanted.update(map(id, equation.invars))
        live.append(used)
    return live[::-1]


def run_equation(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """What one equation of a program gives for operands of its own or, elementwise, other shapes.

    Args:
      equation: of a jaxpr.
      operands: an array for each of its inputs.

    Returns:
      An array for each of its outputs.

    >>> (equation,) = jax.make_jaxpr(jnp.sin)(1.0).eqns
    >>> run_equation(equation, [jnp.zeros(2)])[0].tolist()
    [0.0, 0.0]
    """
    primitive = equation.primitive
    with equation.ctx.manager:
        results = primitive.bind(*operands, **primitive.get_bind_params(equation.params))
    return list(results) if primitive.multiple_results else [results]
