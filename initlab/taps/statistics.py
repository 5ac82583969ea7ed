"""A tap: an identity whose slot's gradient is a norm; and the statistics of a signal."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = [
    "EXAMPLES",
    "blank",
    "centred",
    "deviation",
    "rms",
    "scaled_by_largest",
    "share",
    "signal_statistics",
    "tap",
]

EXAMPLES = 16
"""Correlations are those of the first examples of a batch: 120 pairs are enough for a mean."""


def scaled_by_largest(
    x: jax.Array, axes: Sequence[int] | None = None
) -> tuple[jax.Array, jax.Array]:
    """`(largest, x / largest)`, so that no square under- or overflows; not differentiated.

    Args:
      x: any array; in at least float32, a half's squares overflow.
      axes: those over which the largest is taken, kept with size 1; None for all, not kept.

    Returns:
      The largest absolute value, NaN or infinite where x is, and the quotient.

    >>> largest, scaled = scaled_by_largest(jnp.asarray([3e-30, -4e-30]))
    >>> scaled.tolist()
    [0.75, -1.0]
    """
    x = jax.lax.stop_gradient(x)
    x = x if x.dtype == jnp.float64 else x.astype(jnp.float32)
    largest = jnp.max(jnp.abs(x), axes, keepdims=axes is not None, initial=0.0)
    return largest, x / jnp.where(largest > 0, largest, 1)


def rms(x: jax.Array) -> jax.Array:
    """`sqrt(mean x^2)`, NaN where an entry is not finite.

    >>> round(float(rms(jnp.asarray([3e-30, 4e-30])) * 1e30), 3)
    3.536
    """
    largest, scaled = scaled_by_largest(x)
    return largest * jnp.sqrt(jnp.mean(jnp.square(scaled)))


def centred(x: jax.Array, axes: Sequence[int]) -> jax.Array:
    """`x - mean x` over some axes, and 0 where all entries are equal up to the rounding of x.

    The mean of equal numbers need not be that number: divided by what is left, it would be huge.

    Args:
      x: any array.
      axes: those over which the mean is taken.

    Returns:
      The differences, in at least float32; not differentiated.

    >>> centred(jnp.full((11, 1), 0.1), (0,)).any().item()
    False
    """
    x, axes = jax.lax.stop_gradient(x), tuple(axes)
    rounding = 2 * float(jnp.finfo(x.dtype).eps)
    x = x if x.dtype == jnp.float64 else x.astype(jnp.float32)
    differences = x - jnp.mean(x, axes, keepdims=True)
    largest, whole = (
        jnp.max(jnp.abs(each), axes, keepdims=True, initial=0.0) for each in (differences, x)
    )
    # As a product, not "at most": NaN and infinity stay.
    return differences * jnp.where(largest <= rounding * whole, 0, 1).astype(differences.dtype)


def deviation(x: jax.Array, axes: Sequence[int]) -> jax.Array:
    """The standard deviation over some axes, which are kept with size 1; NaN as `rms` is.

    >>> deviation(jnp.asarray([[1e-30, 5.0], [3e-30, 5.0]]), (0,)).tolist()[0][1]
    0.0
    """
    largest, scaled = scaled_by_largest(centred(x, axes), tuple(axes))
    return largest * jnp.sqrt(jnp.mean(jnp.square(scaled), tuple(axes), keepdims=True))


def share(flags: jax.Array) -> jax.Array:
    """The share of entries that are true, as float32."""
    return jnp.mean(flags.astype(jnp.float32))


def signal_statistics(x: jax.Array, axis: int | None) -> dict[str, jax.Array]:
    """What is measured of a signal.

    `cosine_distance` is 1 - c, c the mean cosine of two examples: 0 where all have one direction.
    With unit vectors u_i around their mean m it is `sum_i |u_i - m|^2 / (n - 1)`, which keeps its
    digits where c nears 1.

    Args:
      x: the signal.
      axis: that of the examples, of which the first EXAMPLES are compared, or None.

    Returns:
      rms, and cosine_distance in [0, 1 + 1/(n - 1)]: NaN with fewer than two examples, or where
      one is all zeros.

    >>> float(signal_statistics(jnp.asarray([[1.0, 0.0], [0.0, 2.0]]), 0)["cosine_distance"])
    1.0
    """
    largest, scaled = scaled_by_largest(x)
    size = largest * jnp.sqrt(jnp.mean(jnp.square(scaled)))
    if axis is None or x.shape[axis] < 2:
        return {"rms": size, "cosine_distance": jnp.full_like(size, jnp.nan)}
    rows = jnp.moveaxis(scaled, axis, 0)[:EXAMPLES].reshape(min(x.shape[axis], EXAMPLES), -1)
    # A row of zeros has no direction: 0 / 0.
    rows = rows / jnp.sqrt(jnp.sum(jnp.square(rows), axis=1, keepdims=True))
    spread = jnp.sum(jnp.square(rows - jnp.mean(rows, axis=0, keepdims=True)))
    return {"rms": size, "cosine_distance": spread / (rows.shape[0] - 1)}


def blank(shapes: Any) -> Any:
    """NaN in the shapes of statistics, false for those that are flags.

    >>> blank({"rms": jnp.ones(()), "dead": jnp.ones(1, bool)})["dead"].tolist()
    [False]
    """

    def one(each: Any) -> jax.Array:
        is_real = jnp.issubdtype(each.dtype, jnp.floating)
        return jnp.full(each.shape, jnp.nan if is_real else 0, each.dtype)

    return jax.tree.map(one, shapes)


@jax.custom_vjp
def tap(x: jax.Array, slot: jax.Array) -> jax.Array:
    """The identity in x; the "gradient" of its slot is the Euclidean norm of x's gradient.

    So a whole model's gradients are measured in one backward pass, and none of them is kept.

    Args:
      x: any array.
      slot: a float32 scalar, unused.

    Returns:
      x.

    >>> float(jax.grad(lambda slot: 3 * jnp.sum(tap(jnp.ones(4), slot)))(0.0))
    6.0
    """
    del slot
    return x


def _forward(x: jax.Array, slot: jax.Array) -> tuple[jax.Array, None]:
    del slot
    return x, None


def _backward(_: None, cotangent: Any) -> tuple[Any, jax.Array]:
    largest, scaled = scaled_by_largest(cotangent)
    return cotangent, (largest * jnp.sqrt(jnp.sum(jnp.square(scaled)))).astype(jnp.float32)


tap.defvjp(_forward, _backward)
