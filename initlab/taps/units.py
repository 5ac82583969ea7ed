"""What each unit of a model is scaled by to have unit variance."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.jaxprs import run_equation
from initlab.taps.model import Model, walk_through
from initlab.taps.rules import unit_axes
from initlab.taps.scope import Scope, Site, bits
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
      is looked up; and where no gradient comes back.
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
    model: Model, leaves: list[Any], inputs: list[Any], kept: frozenset[int] = frozenset()
) -> list[jax.Array]:
    """The factors of all leaves but those that are kept, each the mean over its uses.

    A product knows which axes of what it takes are its units, but not which those are in the
    parameter. So its factors are the slope of `sum(factors * what it takes)`, which the gradient
    brings back through every move, cast and slice.
    """

    def weigh(equation: Any, place: int, values: Sequence[Any]) -> tuple[list[Any], Any]:
        weight = values[place]
        factor, usable = _factor(equation, place, values)
        factor, usable = (
            jnp.broadcast_to(each, weight.shape).astype(weight.dtype) for each in (factor, usable)
        )
        told = [jnp.sum(each * weight) for each in (factor * usable, usable)]
        scaled = [weight * factor if n == place else value for n, value in enumerate(values)]
        return scaled, jnp.stack(told).astype(jnp.float32)

    def run(leaves: list[Any]) -> jax.Array:
        results = walk_through(model, leaves, inputs, weigh, kept)
        pairs, _ = jax.tree_util.tree_flatten_with_path(results)
        # A branch that is not taken leaves NaN.
        sums = [
            jnp.sum(jnp.where(jnp.isnan(each), 0, each).reshape(-1, 2), axis=0)
            for path, each in pairs
            if path[-1] == jax.tree_util.DictKey("told")
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

    def count(scope: Scope, times: int, loops: int) -> None:
        for entry in scope.entries:
            if isinstance(entry, Site):
                # Of a loop within a loop it is not known which of them took the slice.
                uses = 1 if entry.sliced and loops == 1 else times
                for bit in bits(entry.names) if entry.kind == "product" and entry.scales else ():
                    counts[bit] = counts.get(bit, 0) + uses
            else:
                for inner in entry:
                    count(inner, times * inner.repeats, loops + (len(entry) == 1))

    count(model.plan, 1, 0)
    return frozenset(bit for bit, uses in counts.items() if uses > 1)
