"""What each unit of a model is scaled by to have unit variance, found in one pass."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.jaxprs import run_equation
from initlab.taps.model import Model, walk_through
from initlab.taps.rules import unit_axes
from initlab.taps.statistics import deviation
from initlab.types import Params

__all__ = ["unit_factors"]


def unit_factors(model: Model, params: Params, batch: Any) -> list[jax.Array]:
    """`1 / std(z_i)` for every entry of a weight that feeds unit i; jit-able and vmap-able.

    z = x w is a product of a weight and data, its spread that over examples and positions. Each
    product is scaled before the next one sees it, so that one pass is enough. The factors are
    found on the weight as its product takes it and are handed back as its gradient would be: by
    every move, cast, and slice between the parameter and there.

    Args:
      model: as `read_model` reads it.
      params: its parameters.
      batch: inputs.

    Returns:
      For each leaf an array of its shape: the mean over its uses; 1 where an entry feeds no product
      or a unit that is constant or not finite, and for a table that is looked up.
    """
    leaves = jax.tree.leaves(params)

    def told(tell: Callable[[jax.Array, jax.Array], jax.Array]) -> list[jax.Array]:
        def weigh(equation: Any, place: int, values: Sequence[Any]) -> list[Any]:
            weight = values[place]
            factor, usable = _factor(equation, place, values)
            factor = jnp.broadcast_to(factor, weight.shape).astype(weight.dtype)
            usable = jnp.broadcast_to(usable, weight.shape).astype(weight.dtype)
            scaled = _hand_back(weight, tell(factor, usable)) * factor
            return [scaled if n == place else value for n, value in enumerate(values)]

        def run(leaves: list[Any]) -> list[Any]:
            return walk_through(model, leaves, jax.tree.leaves(batch), weigh)

        outputs, back = jax.vjp(run, leaves)
        (found,) = back([jnp.zeros_like(each) for each in outputs])
        return found

    totals = told(lambda factor, usable: factor * usable)
    counts = told(lambda factor, usable: usable)
    return [
        jnp.where(count != 0, total / jnp.where(count != 0, count, 1), 1)
        for total, count in zip(totals, counts, strict=True)
    ]


def _factor(equation: Any, place: int, values: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
    """The factor of each unit and whether it is one, in the shape of the weight or broadcast."""
    axes = unit_axes(equation, place)
    (product,) = run_equation(equation, values)
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


@jax.custom_vjp
def _hand_back(weight: jax.Array, told: jax.Array) -> jax.Array:
    """The weight; its "gradient" is what is told of it."""
    del told
    return weight


def _forward(weight: jax.Array, told: jax.Array) -> tuple[jax.Array, jax.Array]:
    return weight, told


def _backward(told: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
    return told, jnp.zeros_like(told)


_hand_back.defvjp(_forward, _backward)
