"""Bilinear operations that JAX is taught: linear in each of two operands, to any derivative."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

__all__ = ["define_bilinear"]

Product = Callable[[jax.Array, jax.Array], jax.Array]


def define_bilinear(
    name: str, product: Product, left: Product, right: Product, *, cuda: Product | None = None
) -> Product:
    """An operation `product(l, r)`, linear in l and in r, whose gradients are operations too.

    It differentiates in every mode and to any order, and under vmap stays one product for each
    run, also where the runs share a factor. A composition of JAX's own operations would follow
    JAX's rules instead, which reorder sums.

    Args:
      name: what jaxprs call it.
      product: `(l, r) -> out` on arrays that may have leading axes, alike in both: those of runs.
      left: `(cotangent of out, r) -> cotangent of l`.
      right: `(cotangent of out, l) -> cotangent of r`.
      cuda: the product as programs for CUDA devices compute it; None for the same.

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
    if cuda is not None:
        on_cuda = mlir.lower_fun(cuda, multiple_results=False)
        mlir.register_lowering(primitive, on_cuda, platform="cuda")
    batching.primitive_batchers[primitive] = batch
    ad.defbilinear(
        primitive,
        lambda cotangent, _, r: left(cotangent, r),
        lambda cotangent, l, _: right(cotangent, l),  # noqa: E741
    )
    return primitive.bind
