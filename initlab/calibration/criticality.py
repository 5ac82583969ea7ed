"""Each layer's gain set from measured signals and gradients, so that both pass unchanged."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.calibration.fallback import keep_unless_blown_up
from initlab.calibration.lsuv import unit_scales
from initlab.calibration.products import Products, find_products
from initlab.types import Apply, Params

__all__ = ["to_criticality"]


@checks.checked
def to_criticality(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    iterations: int = 2,
) -> Params:
    """`w_k <- w_k (f_k b_k)^(-1/2)`: forward and backward gain of each layer multiply to 1.

    `f_k = rms(z_k) / rms(z_(k-1))` is what a layer does to the rms of a signal, and
    `b_k = |g_(k-1)| / |g_k|` what it does to the norm of a backpropagated gradient; on the critical
    line of a wide network both are 1. Layers are the products on every path from the data to
    an output, the first of which is given rms 1. Inside a residual branch products get rms 1, and
    its last one the stream's rms over the square root of the number of branches, so that the stream
    grows by a factor that does not depend on depth.

    Args:
      key: draws the cotangent of the outputs, of unit variance.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin; first every product is given rms 1 (`lsuv`): any start will do.
      batch: inputs, some tens of examples.
      iterations: passes through all products, one after another, so that each is set with those
        before it in place; a pass measures the model once for each.

    Returns:
      The params. What keeps its scale with `lsuv` keeps it, and a weight whose gradient is zero or
      not finite. What modulates a signal is not enlarged, nor the last weight of one of several
      outputs; nothing is done where the outputs would be blown up, as in `lsuv`.

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
    checks.check_model(apply, params, batch)
    return run_compiled(_refine, (apply, iterations), key, params, batch)


def _refine(apply: Apply, iterations: int, key: jax.Array, params: Params, batch: Any) -> Params:
    products = find_products(apply, params, batch)
    count = len(products.leaf)
    scales, caps = unit_scales(products, params, batch, 1.0)

    def set_one(turn: jax.Array, scales: jax.Array) -> jax.Array:
        # All at once would multiply what a residual branch lacks by each of its products, and
        # blow up deep ones. Nor does one pass serve, as for `lsuv`'s rms: b_k depends on all
        # weights behind the k-th, which a pass through the program has not reached yet.
        number = turn % count
        measured = products.measure(products.scaled(params, scales), batch, key)
        return products.changed(scales, number, _factors(products, caps, *measured)[number])

    scales = jax.lax.fori_loop(0, iterations * count, set_one, scales)
    refined = products.scaled(params, scales)
    if all(products.on_path):
        return refined
    return keep_unless_blown_up(products.model, params, refined, batch)


def _factors(
    products: Products, caps: jax.Array, rms: jax.Array, norms: jax.Array, sums: jax.Array
) -> jax.Array:
    """The factor of each scale, [K], were it the only one to change."""
    ends = np.asarray([end is not None for end in products.ends])
    wanted = jnp.where(ends, products.share * sums, 1)
    factors = jnp.where(wanted > caps, caps, wanted) / rms
    pairs = [(one, n) for n, one in enumerate(products.before) if one is not None]
    if pairs:
        before, after = np.asarray(pairs).T
        forward = rms[after] / rms[before]
        backward = norms[before] / norms[after]
        # f_k and b_k both grow as the k-th scale does: their product as its square.
        factors = factors.at[after].set(1 / jnp.sqrt(forward * backward))
    return jnp.minimum(factors, caps / rms)
