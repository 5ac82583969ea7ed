"""Layer-sequential unit variance: each weight scaled until its product has length 1."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.calibration.products import Products, find_products
from initlab.types import Number, Params

__all__ = ["lsuv", "unit_scales"]


def lsuv(
    key: jax.Array,
    apply: Callable[[Params, Any], Any],
    params: Params,
    batch: Any,
    *,
    target: Number = 1.0,
) -> Params:
    """`w_k <- w_k target / |z_k|`, layer by layer in the order of the program.

    z_k is the product of the k-th weight on the batch, with its bias; its length, the root mean
    square entry, is measured with all weights before it already scaled. One pass for each weight:
    exact where biases are zero. Directions are kept; the paper's orthogonal start is what params
    begin with (`initializers.orthogonal`).

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin.
      batch: inputs, some tens of examples.
      target: the length; may be traced.

    Returns:
      The params. A weight whose product is zero or not finite keeps its scale, and so does one that
      a product does not take as it is, moved or times constants: the model may undo what is done to
      a weight that it normalizes or adds to another.

    Raises:
      TypeError: if apply is not a function, a leaf of params is not a floating array, or target
        not a number.
      ValueError: if apply has no product of a parameter and data, or has one in a branch or in a
        loop within a loop.

    Source: Mishkin and Matas 2015, arXiv:1511.06422, algorithm 1.

    >>> params = {"in": jnp.eye(2) * 5, "out": jnp.eye(2)[:1] * 0.1}
    >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"].T
    >>> x = jnp.asarray([[1.0, 1.0], [1.0, -1.0]])
    >>> scaled = lsuv(jax.random.key(0), apply, params, x)
    >>> scaled["in"].round(3).tolist(), round(float(jnp.std(apply(scaled, x))), 3)
    ([[1.0, 0.0], [0.0, 1.0]], 0.0)
    """
    checks.check_scale("target", target)
    products = find_products(apply, params, batch)
    return products.scaled(params, unit_scales(products, params, batch, key, target))


def unit_scales(
    products: Products, params: Params, batch: Any, key: jax.Array, target: Number
) -> jax.Array:
    """The scales [K] under which every product has the target's length."""

    def scale_one(number: jax.Array, scales: jax.Array) -> jax.Array:
        length = products.measure(products.scaled(params, scales), batch, key)[0][number]
        factor = jnp.asarray(target, jnp.float32) / length
        usable = jnp.isfinite(factor) & (factor > 0)
        return scales.at[number].multiply(jnp.where(usable, factor, 1))

    count = len(products.leaf)
    return jax.lax.fori_loop(0, count, scale_one, jnp.ones(count, jnp.float32))
