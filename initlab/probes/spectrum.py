"""Statistics of the singular values of linear maps that are known by their products."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.probes.lanczos import largest_eigenvalue

__all__ = ["LinearMaps", "exact_spectrum", "sampled_spectrum", "singular_values"]


class LinearMaps(NamedTuple):
    """A linear map for each example.

    Attributes:
      forward: `[B, inputs] -> [B, outputs]`, each row by its own map.
      backward: `[B, outputs] -> [B, inputs]`, by the transposed maps.
      count: B.
      inputs: length of a row that they take.
      outputs: length of a row that they give.
      dtype: of the rows.
    """

    forward: Callable[[jax.Array], jax.Array]
    backward: Callable[[jax.Array], jax.Array]
    count: int
    inputs: int
    outputs: int
    dtype: Any


def singular_values(maps: LinearMaps) -> jax.Array:
    """All of them [B, min(inputs, outputs)], the largest first."""
    small, product = _smaller_side(maps)

    def along(unit: jax.Array) -> jax.Array:
        return product(jnp.broadcast_to(unit, (maps.count, small)))

    rows = jax.vmap(along, out_axes=1)(jnp.eye(small, dtype=maps.dtype))
    return jnp.linalg.svd(rows, compute_uv=False)


def exact_spectrum(maps: LinearMaps) -> dict[str, jax.Array]:
    """Moments and extremes from all singular values: see `jacobian_spectrum`."""
    values = singular_values(maps)
    largest = jnp.max(values)
    # The largest is made 1, so that no fourth power under- or overflows.
    squares = jnp.square(values / jnp.where(largest > 0, largest, 1))
    mean = jnp.mean(squares)
    return {
        "mean_square": mean * jnp.square(largest),
        "spread": jnp.mean(jnp.square(squares)) / jnp.square(jnp.where(mean > 0, mean, 1))
        - jnp.where(mean == 0, 0, 1),
        "largest": jnp.mean(values[:, 0]),
        "mean": jnp.mean(values),
        "smallest": jnp.mean(values[:, -1]),
    }


def sampled_spectrum(maps: LinearMaps, vectors: int, iterations: int) -> dict[str, jax.Array]:
    """The moments by random vectors of signs (Hutchinson 1990), the largest by Lanczos.

    `E |A v|^2 = sum_k s_k^2` and `E |A^T A v|^2 = sum_k s_k^4` for entries of v that are +1 or -1.
    """
    small, product = _smaller_side(maps)
    back = maps.backward if product is maps.forward else maps.forward
    signs = jax.random.rademacher(jax.random.key(0), (vectors, maps.count, small), maps.dtype)

    def moments(rows: jax.Array) -> tuple[jax.Array, ...]:
        once, first = _scaled(product(rows))
        twice, second = _scaled(back(once))
        return first, jnp.sum(jnp.square(once)), second, jnp.sum(jnp.square(twice))

    first, once, second, twice = jax.lax.map(moments, signs)
    # Every scale is a factor of its own vector alone: brought to the largest before they are added.
    largest, widest = jnp.max(first), jnp.max(first * second)
    by, beyond = (jnp.where(each > 0, each, 1) for each in (largest, widest))
    terms = maps.count * small
    mean = jnp.mean(once * jnp.square(first / by)) / terms
    fourth = jnp.mean(twice * jnp.square(first * second / beyond)) / terms
    ratio = fourth * jnp.square(widest / by / by) / jnp.square(jnp.where(mean > 0, mean, 1))

    def squared(rows: jax.Array) -> jax.Array:
        scaled, by = _scaled(product(rows))
        return back(scaled) * by

    start = jax.random.normal(jax.random.key(1), (maps.count, small), maps.dtype)
    top = largest_eigenvalue(squared, start, iterations)
    return {
        "mean_square": mean * jnp.square(by),
        "spread": ratio - jnp.where(mean == 0, 0, 1),
        "largest": jnp.mean(jnp.sqrt(jnp.maximum(top, 0))),
    }


def _smaller_side(maps: LinearMaps) -> tuple[int, Callable[[jax.Array], jax.Array]]:
    """The shorter of the maps' two sides, and the product that takes rows of it."""
    if maps.inputs <= maps.outputs:
        return maps.inputs, maps.forward
    return maps.outputs, maps.backward


def _scaled(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows whose largest entry is 1, and what it was."""
    largest = jnp.max(jnp.abs(rows))
    return rows / jnp.where(largest > 0, largest, 1), largest
