"""The largest eigenvalue of symmetric matrices that are known by their products alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["largest_eigenvalue"]

HIGHEST = jax.lax.Precision.HIGHEST


def largest_eigenvalue(
    product: Callable[[jax.Array], jax.Array], start: jax.Array, iterations: int
) -> jax.Array:
    """The largest Ritz value after some Lanczos steps, of several matrices at once.

    Each new direction is made orthogonal to all before it, twice, so that rounding brings no
    copies of an eigenvalue. It comes from below: it is at most the largest eigenvalue, and equal
    to it once there are as many steps as the matrix has rows.

    Args:
      product: `[B, n] -> [B, n]`, each row by a symmetric matrix of its own.
      start: first directions [B, n], not zero.
      iterations: how many products, at least 1.

    Returns:
      [B].

    Source: Lanczos 1950; Parlett 1980, The symmetric eigenvalue problem.

    >>> largest_eigenvalue(lambda v: v * jnp.array([[1.0, 3.0]]), jnp.ones((1, 2)), 2).round(4)
    Array([3.], dtype=float32)
    """
    count, size = start.shape
    steps = min(iterations, size)
    tiny = jnp.finfo(start.dtype).eps

    def unit(v: jax.Array, length: jax.Array) -> jax.Array:
        return v / jnp.where(length > 0, length, 1)[:, None]

    def step(carry: tuple[jax.Array, jax.Array], number: jax.Array) -> tuple:
        basis, direction = carry
        basis = basis.at[:, number].set(direction)
        moved = product(direction)
        along = jnp.einsum("bn,bn->b", moved, direction, precision=HIGHEST)
        whole = jnp.linalg.norm(moved, axis=1)
        for _ in range(2):
            shares = jnp.einsum("bkn,bn->bk", basis, moved, precision=HIGHEST)
            moved = moved - jnp.einsum("bk,bkn->bn", shares, basis, precision=HIGHEST)
        rest = jnp.linalg.norm(moved, axis=1)
        # What rounding leaves of a direction that lies in the others' span is no new one.
        rest = jnp.where(rest > 8 * tiny * whole, rest, 0)
        following = jnp.where((rest > 0)[:, None], unit(moved, rest), 0)
        following = jnp.where(jnp.isnan(whole)[:, None], jnp.nan, following)
        return (basis, following), (along, rest, jnp.any(direction != 0, axis=1))

    first = unit(start, jnp.linalg.norm(start, axis=1))
    carry = jnp.zeros((count, steps, size), start.dtype), first
    _, (along, rest, alive) = jax.lax.scan(step, carry, jnp.arange(steps))
    # A zero on the diagonal would be an eigenvalue too; the first entry is at most the largest.
    along = jnp.where(alive, along, along[0])
    matrix = jax.vmap(jnp.diag)(along.T)
    if steps > 1:
        beside = jax.vmap(lambda each: jnp.diag(each, 1))(rest[:-1].T)
        matrix = matrix + beside + jnp.swapaxes(beside, 1, 2)
    return jnp.max(jnp.linalg.eigvalsh(matrix), axis=1)
