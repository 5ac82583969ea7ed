"""Layer-wise whitening: each unit's weights scaled until its product has unit variance."""

from typing import Any

import jax
import numpy as np

from initlab import checks
from initlab.calibration.compiled import run_compiled
from initlab.calibration.fallback import refine_with_care
from initlab.taps import Model, read_model, unit_factors
from initlab.taps.scope import bits
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
      layers after it are measured. Where it would blow the outputs up it does less, or nothing, as
      `lsuv`.

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

    def refine(careful: jax.Array) -> Params:
        factors, shifts = unit_factors(model, params, batch, careful)
        changes = zip(leaves, factors, shifts, strict=True)
        return jax.tree.unflatten(tree, [leaf * by + shift for leaf, by, shift in changes])

    return refine_with_care(model, params, batch, refine, _aside(model))


def _aside(model: Model) -> np.ndarray:
    """Flags of the leaves whose products neither all data pass nor a branch's sum adds."""
    above = frozenset().union(*(facts.above for facts in model.outputs if facts.data))
    places = list(model.plan.sites())
    ends = sum(
        1 << bit for bit in {b for p in places if p.site.kind == "sum" for b in bits(p.site.names)}
    )
    aside = np.zeros(len(model.paths), bool)
    for place in places:
        if place.site.kind == "product" and place.site.scales and place.key not in above:
            for bit in bits(place.site.names & ~ends):
                aside[bit] = True
    return aside
