"""Layer-sequential unit variance: each weight scaled so that its product has rms 1."""

from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.calibration.fallback import refine_with_care
from initlab.calibration.products import Products, find_products
from initlab.types import Apply, Number, Params

__all__ = ["change_one", "lsuv", "unit_scales"]


@checks.checked
def lsuv(
    key: jax.Array,
    apply: Apply,
    params: Params,
    batch: Any,
    *,
    target: Number = 1.0,
) -> Params:
    """`w_k <- w_k target / rms(z_k)`, layer by layer in the order of the program.

    z_k is the product of the k-th weight on the batch, with its bias; its rms, the root mean square
    entry, is measured with all weights before it already scaled. One pass for each weight: exact
    where biases are zero. Directions are kept; the paper's orthogonal start is what params
    begin with (`initializers.orthogonal`).

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin.
      batch: inputs, some tens of examples.
      target: the rms; may be traced.

    Returns:
      The params. A weight whose product is zero or not finite keeps its scale; so does a table that
      is only looked up; and so does one that a product does not take as it is, moved or times
      constants: the model may undo what is done to a weight that it normalizes or adds to another.
      Where the outputs are more than twice as large by it, a product beside the paths to them (a
      gate's, a log-scale's of a coupling flow) is not enlarged; where they still are, params are
      given back as they came (`changes` shows either).

    Raises:
      TypeError: if apply is not a function, a leaf of params is not a floating array, or target
        not a number.
      ValueError: if target is not over 0; if apply has no product of a parameter and data, or has
        one in a branch or in a loop within a loop.

    Source: Mishkin and Matas 2015, arXiv:1511.06422, algorithm 1.

    >>> params = {"in": jnp.eye(2) * 5, "out": jnp.eye(2)[:1] * 0.1}
    >>> apply = lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"].T
    >>> x = jnp.asarray([[1.0, 1.0], [1.0, -1.0]])
    >>> scaled = lsuv(jax.random.key(0), apply, params, x)
    >>> scaled["in"].round(3).tolist(), round(float(jnp.std(apply(scaled, x))), 3)
    ([[1.0, 0.0], [0.0, 1.0]], 0.0)
    """
    checks.check_scale("target", target)
    if checks.is_concrete(target) and target == 0:
        raise ValueError("target must be over 0, got 0: every product would be 0")
    checks.check_model(apply, params, batch)
    del key
    return run_compiled(_refine, (apply,), params, batch, target)


def _refine(apply: Apply, params: Params, batch: Any, target: Number) -> Params:
    products = find_products(apply, params, batch)

    def refine(careful: jax.Array) -> Params:
        return products.scaled(params, unit_scales(products, params, batch, target, careful))

    return refine_with_care(products.model, params, batch, refine, products.aside)


def unit_scales(
    products: Products, params: Params, batch: Any, target: Number, careful: jax.Array
) -> jax.Array:
    """The scales [K] under which every product has the rms `target`; of careful ones at most 1.

    The loop compiles one measurement of the whole model, which serves every product. To scale on
    the spot, as whitening does before a bias is added, would not do: the bias is measured with the
    product, while others may take the product without it, and of a weight that is used again the
    later uses count, which a pass has not reached yet.
    """

    def scale_one(number: jax.Array, scales: jax.Array) -> jax.Array:
        rms = products.rms(products.scaled(params, scales), batch)[number]
        factor = jnp.asarray(target, jnp.float32) / rms
        return change_one(scales, number, factor, careful)

    count = len(products.leaf)
    return jax.lax.fori_loop(0, count, scale_one, jnp.ones(count, jnp.float32))


def change_one(
    scales: jax.Array, number: jax.Array, factor: jax.Array, careful: jax.Array
) -> jax.Array:
    """Scales [K] with one times a factor, where that is one; a careful one stays at most 1."""
    usable = jnp.isfinite(factor) & (factor > 0)
    scale = scales[number] * jnp.where(usable, factor, 1)
    scale = jnp.where(careful[number], jnp.minimum(scale, 1), scale)
    return scales.at[number].set(scale)
