"""What each unit of a model is scaled by to have unit variance."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.programs.axes import unit_axes
from initlab.programs.equations import run_equation
from initlab.taps.model import Model, measure_signals
from initlab.taps.scope import bits
from initlab.taps.statistics import deviation
from initlab.types import Params

__all__ = ["unit_factors"]


def unit_factors(model: Model, params: Params, batch: Any) -> list[jax.Array]:
    """`1 / std(z_i)` for every entry of a weight that feeds unit i; jit-able and vmap-able.

    z = x w is a product of a weight and data, its spread that over examples and positions. Each
    product is scaled before the next one sees it, so that one pass is enough; weights that are used
    again have their mean factor first, so that what is behind them sees it.

    Args:
      model: as `read_model` reads it.
      params: its parameters.
      batch: inputs.

    Returns:
      For each leaf an array of its shape; 1 where an entry feeds no product, a unit that is
      constant or not finite, or a product that takes a function of the parameter; for a table that
      is looked up; and where no gradient is backpropagated.
    """
    leaves, inputs = jax.tree.leaves(params), jax.tree.leaves(batch)
    again = _used_again(model)
    first = [jnp.ones_like(leaf) for leaf in leaves]
    if again:
        found = _one_pass(model, leaves, inputs)
        first = [found[n] if n in again else one for n, one in enumerate(first)]
        leaves = [leaf * factor for leaf, factor in zip(leaves, first, strict=True)]
    found = _one_pass(model, leaves, inputs, again)
    return [one if n in again else found[n] for n, one in enumerate(first)]


def _one_pass(
    model: Model, leaves: list[Any], inputs: list[Any], fixed: frozenset[int] = frozenset()
) -> list[jax.Array]:
    """The factors of all leaves but the fixed ones, each the mean over its uses.

    A product knows which axes of what it takes are its units, but not which those are in the
    parameter. So its factors are the derivative of `sum(factors * what it takes)`, which
    backpropagation carries through every move, cast and slice. A second cotangent counts the uses.
    """

    def rescale(equation: Any, place: int, values: Sequence[Any]) -> tuple[list[Any], Any]:
        weight = values[place]
        factor, usable = _factor(equation, place, values)
        factor, usable = (
            jnp.broadcast_to(each, weight.shape).astype(weight.dtype) for each in (factor, usable)
        )
        sums = [jnp.sum(each * weight) for each in (factor * usable, usable)]
        scaled = [weight * factor if n == place else value for n, value in enumerate(values)]
        return scaled, jnp.stack(sums).astype(jnp.float32)

    def run(leaves: list[Any]) -> jax.Array:
        results = measure_signals(model, leaves, inputs, rescale, fixed)
        pairs, _ = jax.tree_util.tree_flatten_with_path(results)
        # A branch that is not taken leaves NaN.
        sums = [
            jnp.sum(jnp.where(jnp.isnan(each), 0, each).reshape(-1, 2), axis=0)
            for path, each in pairs
            if path[-1] == jax.tree_util.DictKey("recorded")
        ]
        return jnp.stack([jnp.zeros(2, jnp.float32), *sums]).sum(axis=0)

    _, back = jax.vjp(run, leaves)
    (totals,), (counts,) = (back(each) for each in jnp.eye(2, dtype=jnp.float32))
    return [
        jnp.where(count != 0, total / jnp.where(count != 0, count, 1), 1)
        for total, count in zip(totals, counts, strict=True)
    ]


def _factor(equation: Any, place: int, values: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
    """The factor of each unit and whether it is one, in the shape of the weight or broadcast."""
    axes = unit_axes(equation, place)
    (product,) = run_equation(equation, [jax.lax.stop_gradient(value) for value in values])
    units = [axis for axis, _ in axes]
    spread = deviation(product, [n for n in range(product.ndim) if n not in units])
    # The weight's axes in their order, all others of size 1.
    rank, into = values[place].ndim, [axis for _, axis in axes]
    order = sorted(range(len(into)), key=into.__getitem__)
    squeezed = jnp.transpose(spread.reshape([product.shape[n] for n in units]), order)
    spread = jnp.expand_dims(squeezed, [n for n in range(rank) if n not in into])
    factor = 1 / spread
    usable = jnp.isfinite(factor) & (factor > 0)
    return jnp.where(usable, factor, 1), usable


def _used_again(model: Model) -> frozenset[int]:
    """Parameters in more than one product, as in a loop over time."""
    counts: dict[int, int] = {}
    for place in model.plan.sites():
        site, loops = place.site, place.loops
        if site.kind != "product" or not site.scales:
            continue
        # Of a loop within a loop it is not known which of them took the slice.
        is_own = site.sliced and len(loops) == 1
        uses = 1 if is_own else math.prod(loop.repeats for loop in loops)
        for bit in bits(site.names):
            counts[bit] = counts.get(bit, 0) + uses
    return frozenset(bit for bit, uses in counts.items() if uses > 1)
