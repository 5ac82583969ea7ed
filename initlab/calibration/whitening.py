"""Layer-wise whitening: each unit's weights scaled until its product has unit variance."""

from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.calibration.fallback import keep_unless_blown_up
from initlab.calibration.lsuv import unit_scales
from initlab.calibration.modulators import find_tests
from initlab.calibration.products import Products, read_products
from initlab.taps import read_model, unit_factors
from initlab.types import Apply, Params

__all__ = ["layerwise_whitening"]


@checks.checked
def layerwise_whitening(key: jax.Array, apply: Apply, params: Params, batch: Any) -> Params:
    """`w_i <- w_i / std(z_i)`, unit by unit, layer by layer in the order of the program.

    z_i is what the weights of unit i give on the batch; its variance, around its mean, is that
    over examples and positions, with all layers before already scaled. Where `lsuv` has one scale
    for a layer this has one for each unit: an output of a dense layer, a channel of a convolution,
    an entry of a head. The direction of each unit's weights is kept.

    A mean of z_i beyond std(z_i) is taken out by the unit's bias, b_i <- b_i - mean(z_i), as the
    paper does with every mean; where no bias follows, the weights are divided by the mean instead:
    inputs of 1 and a little noise would else come out as large as 1 is beside the noise. Where all
    units of a layer vary alike, as those of a single input do, the layer gets one factor: with one
    each, they would all be plus or minus the same unit.

    Args:
      key: a JAX key, as every refiner takes; nothing is drawn.
      apply: a pure function `(params, batch) -> outputs`.
      params: where to begin.
      batch: inputs, some tens of examples.

    Returns:
      The params. A unit that is constant or not finite keeps its scale; so do a table that is
      looked up, although it be the readout too, since its rows are no units there, and a weight
      that a product does not take as it is, moved or times constants. One that is used more than
      once, as in a loop over time, gets the mean of the factors of its uses, with which the
      layers after it are measured. What modulates a signal is not enlarged, nor the last weight
      of one of several outputs; nothing is done where the outputs would be blown up, as in `lsuv`.

    Raises:
      TypeError: if apply is not a function, or a leaf of params is not a floating array.
      ValueError: if params or batch is empty, or no output of apply is floating.

    Source: Kraehenbuehl et al. 2016, arXiv:1511.06856, algorithm 1; their second algorithm, between
    layers, has `to_criticality` for a relative.

    >>> import jax.numpy as jnp
    >>> params = {"in": jnp.asarray([[5.0, 0.0], [0.0, 0.1]]), "out": 3 * jnp.eye(2)}
    >>> apply = lambda p, x: x @ p["in"] @ p["out"]
    >>> x = jnp.asarray([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> whitened = layerwise_whitening(jax.random.key(0), apply, params, x)
    >>> whitened["in"].round(3).tolist(), whitened["out"].round(3).tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    del key
    checks.check_model(apply, params, batch)
    return run_compiled(_refine, (apply,), params, batch)


def _refine(apply: Apply, params: Params, batch: Any) -> Params:
    model = read_model(apply, params, batch)
    leaves, tree = jax.tree.flatten(params)
    products = read_products(model)
    sizes = None if products is None else _sizes(products, params, batch)
    pairs = [] if products is None else zip(products.leaf, products.is_head, strict=True)
    heads = frozenset(leaf for leaf, is_head in pairs if is_head)
    factors, shifts = unit_factors(model, params, batch, sizes, heads)
    changes = zip(leaves, factors, shifts, strict=True)
    refined = jax.tree.unflatten(tree, [leaf * by + shift for leaf, by, shift in changes])
    if products is not None and all(products.on_path):
        return refined
    return keep_unless_blown_up(model, params, refined, batch)


def _sizes(products: Products, params: Params, batch: Any) -> jax.Array | None:
    """For each leaf the spread of its units: that of the start where it modulates; None for 1."""
    if find_tests(products) is None:
        return None
    _, caps = unit_scales(products, params, batch, 1.0)
    sizes = jnp.ones(len(products.model.paths), jnp.float32)
    return sizes.at[jnp.asarray(products.leaf)].min(caps)
