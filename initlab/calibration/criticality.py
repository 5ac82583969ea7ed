"""Each layer's gain set from measured signals and gradients, so that both pass unchanged."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.calibration.lsuv import unit_scales
from initlab.calibration.products import Products, find_products
from initlab.types import Params

__all__ = ["to_criticality"]


def to_criticality(
    key: jax.Array,
    apply: Callable[[Params, Any], Any],
    params: Params,
    batch: Any,
    *,
    iterations: int = 2,
) -> Params:
    """`w_k <- w_k (f_k b_k)^(-1/2)`: forward and backward gain of each layer multiply to 1.

    `f_k = |z_k| / |z_(k-1)|` is what a layer does to the root mean square of a signal, and
    `b_k = |g_(k-1)| / |g_k|` what it does to the norm of a gradient that comes back; on the
    critical line of a wide network both are 1. Layers are the products that all data pass, the
    first of which is given length 1. Inside a residual branch products get length 1, and its last
    one the stream's length over the square root of the number of branches, so that the stream
    grows by a factor that does not depend on depth.

    Args:
      key: draws the gradient that is sent back, of unit variance.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin; first brought to unit lengths (`lsuv`), so that any start will do.
      batch: inputs, some tens of examples.
      iterations: passes through all products, one after another, so that each is set with those
        before it in place; a pass measures the model once for each.

    Returns:
      The params. What keeps its scale with `lsuv` keeps it, and a weight whose gradient is zero or
      not finite.

    Raises:
      TypeError: if apply is not a function, a leaf of params is not a floating array, or iterations
        not an integer.
      ValueError: as `lsuv`, or if iterations is under 1.

    Source: the conditions of Schoenholz et al. 2017, arXiv:1611.01232 (chi = 1), and Hanin and
    Rolnick 2018, arXiv:1803.01719 (branches), measured instead of computed.

    >>> keys = jax.random.split(jax.random.key(0), 9)
    >>> params = [jax.random.normal(each, (50, 50)) for each in keys[1:]]
    >>> def apply(params, x):
    ...     for weight in params:
    ...         x = jax.nn.relu(x @ weight)
    ...     return x
    >>> x = jax.random.normal(keys[0], (16, 50))
    >>> better = to_criticality(jax.random.key(1), apply, params, x)
    >>> round(sum(float(weight.var() * 50) for weight in better[1:]) / 7, 1)
    2.0
    """
    checks.check_count("iterations", iterations, 1)
    products = find_products(apply, params, batch)
    scales = unit_scales(products, params, batch, key, 1.0)
    count = len(products.leaf)

    def settle(turn: jax.Array, scales: jax.Array) -> jax.Array:
        # All at once would set a branch's products each for what the others lack too.
        number = turn % count
        seen = products.measure(products.scaled(params, scales), batch, key)
        factor = _factors(products, *seen)[number]
        usable = jnp.isfinite(factor) & (factor > 0)
        return scales.at[number].multiply(jnp.where(usable, factor, 1))

    return products.scaled(params, jax.lax.fori_loop(0, iterations * count, settle, scales))


def _factors(
    products: Products, lengths: jax.Array, norms: jax.Array, sums: jax.Array
) -> jax.Array:
    """What each scale wants to be multiplied by, [K]."""
    path = np.flatnonzero(products.on_path)
    share = np.float32(1 / max(products.sums, 1) ** 0.5)
    ends = np.asarray([end is not None for end in products.ends])
    factors = jnp.where(ends, share * sums / lengths, 1 / lengths)
    if path.size > 1:
        before, after = path[:-1], path[1:]
        forward = lengths[after] / lengths[before]
        backward = norms[before] / norms[after]
        factors = factors.at[after].set(1 / jnp.sqrt(forward * backward))
    return factors
