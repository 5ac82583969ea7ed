"""Layer-wise whitening: each unit's weights scaled until its product has unit variance."""

from typing import Any

import jax

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.taps import read_model, unit_factors
from initlab.types import Apply, Params

__all__ = ["layerwise_whitening"]


def layerwise_whitening(key: jax.Array, apply: Apply, params: Params, batch: Any) -> Params:
    """`w_i <- w_i / std(z_i)`, unit by unit, layer by layer in the order of the program.

    z_i is what the weights of unit i give on the batch; its variance, around its mean, is that
    over examples and positions, with all layers before already scaled. Where `lsuv` has one scale
    for a layer this has one for each unit: an output of a dense layer, a channel of a convolution,
    an entry of a head. The direction of each unit's weights is kept, and so are biases: the paper
    also sets them so that z_i has mean zero.

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
      layers after it are measured.

    Raises:
      TypeError: if apply is not a function, or a leaf of params is not a floating array.
      ValueError: if params or batch is empty, or no output of apply is floating.

    Source: Kraehenbuehl et al. 2016, arXiv:1511.06856, algorithm 1; their second algorithm, between
    layers, has `to_criticality` for a relative.

    >>> import jax.numpy as jnp
    >>> params = {"in": jnp.asarray([[5.0, 0.1], [0.0, 0.0]]), "out": jnp.ones((2, 1))}
    >>> apply = lambda p, x: x @ p["in"] @ p["out"]
    >>> x = jnp.asarray([[1.0, 1.0], [-1.0, 1.0]])
    >>> whitened = layerwise_whitening(jax.random.key(0), apply, params, x)
    >>> whitened["in"].round(3).tolist(), whitened["out"].round(3).tolist()
    ([[1.0, 1.0], [0.0, 0.0]], [[0.5], [0.5]])
    """
    del key
    checks.check_model(apply, params, batch)
    return run_compiled(_refine, (apply,), params, batch)


def _refine(apply: Apply, params: Params, batch: Any) -> Params:
    factors = unit_factors(read_model(apply, params, batch), params, batch)
    leaves, tree = jax.tree.flatten(params)
    scaled = [leaf * factor for leaf, factor in zip(leaves, factors, strict=True)]
    return jax.tree.unflatten(tree, scaled)
