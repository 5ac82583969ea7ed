"""Parallel units: incoming weights, or activations, of one direction and perhaps another length."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.types import Array

__all__ = ["PARALLEL", "parallel_classes"]

PARALLEL = 1 - 1e-6
"""Cosine from which on two rows have one direction, but for rounding: an angle of 0.08 degrees."""


@checks.checked
def parallel_classes(
    rows: Array, *, cosine: float = PARALLEL, up_to_sign: bool = False, least_norm: float = 0.0
) -> jax.Array:
    """For each row the number of the first row of its cluster of directions; -1 for one of zeros.

    Rows are taken in their order; each joins the first cluster whose first row is within the angle,
    and begins one otherwise. Of incoming weights and biases, as `unit_rows` of `mlp_units`, rows of
    one direction are units that compute one function up to a factor, where the activation is
    homogeneous, as relu; `row_classes` tells those that are equal.

    Args:
      rows: [size, entries].
      cosine: of two rows, from which on they have one direction, in (0, 1].
      up_to_sign: whether opposite directions are one.
      least_norm: rows count whose length is at least this share of the longest; others are -1.

    Returns:
      [size] int32; `count_classes` counts the clusters.

    Raises:
      TypeError: if rows are complex.
      ValueError: if rows are of another shape, cosine not in (0, 1] or least_norm not in [0, 1].

    >>> rows = jnp.asarray([[1.0, 2.0], [3.0, 6.0], [-1.0, -2.0], [0.0, 0.0], [2.0, 1.0]])
    >>> parallel_classes(rows).tolist(), parallel_classes(rows, up_to_sign=True).tolist()
    ([0, 0, 2, -1, 4], [0, 0, 0, -1, 4])
    """
    for name, value in (("cosine", cosine), ("least_norm", least_norm)):
        checks.check_scale(name, value)
        if checks.is_concrete(value) and (value > 1 or (name == "cosine" and value <= 0)):
            bounds = "(0, 1]" if name == "cosine" else "[0, 1]"
            raise ValueError(f"{name} must be in {bounds}, got {value}")
    rows = jnp.asarray(rows)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"rows must have shape [size, entries], got {rows.shape}")
    if not jnp.issubdtype(rows.dtype, jnp.floating) or jnp.finfo(rows.dtype).bits < 32:
        rows = rows.astype(jnp.float32)
    # The longest entry is made 1, so that no square under- or overflows.
    largest = jnp.max(jnp.abs(rows), axis=1, keepdims=True)
    scaled = rows / jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    length = jnp.linalg.norm(scaled, axis=1, keepdims=True)
    units = scaled / jnp.where(length > 0, length, 1)
    norms = (largest * length)[:, 0]
    counts = (norms > 0) & (norms >= least_norm * jnp.max(norms))
    # |u - v|^2 = 2 (1 - cos): the cosine itself does not resolve small angles.
    nearest = 2 * (1 - jnp.asarray(cosine, rows.dtype)) + 64 * jnp.finfo(rows.dtype).eps ** 2

    def join(is_first: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = units[number][None]
        near = jnp.sum(jnp.square(units - own), axis=1) <= nearest
        if up_to_sign:
            near |= jnp.sum(jnp.square(units + own), axis=1) <= nearest
        joined = near & is_first
        label = jnp.where(jnp.any(joined), jnp.argmax(joined).astype(jnp.int32), number)
        label = jnp.where(counts[number], label, -1)
        return is_first.at[number].set(label == number), label

    # One row at a time: memory stays linear in their number.
    numbers = jnp.arange(rows.shape[0], dtype=jnp.int32)
    return jax.lax.scan(join, jnp.zeros(rows.shape[0], bool), numbers)[1]
