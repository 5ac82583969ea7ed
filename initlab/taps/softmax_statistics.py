"""What is measured of a softmax: how many entries it attends to, and how its load is shared."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

__all__ = [
    "MASKED",
    "MOST_HEADS",
    "choice_statistics",
    "is_masked",
    "per_head",
    "softmax_statistics",
]

MOST_HEADS = 4096
"""Of more heads than these the mean is kept: an axis of units that is no axis of heads."""

MASKED = 5e3
"""How far below the largest a masked logit lies at least: additive masks of half precision are
-1e4, all others are larger."""


def softmax_statistics(
    exponentials: jax.Array, logits: jax.Array, axes: Sequence[int], units: Sequence[bool]
) -> dict[str, jax.Array]:
    """Entropy and effective entries of a softmax, `H = -sum_i p_i log p_i`, head by head.

    Rows of fewer than two unmasked entries have no choice, and are left out.

    Args:
      exponentials: what its sum is taken of; 0 where a mask comes after exp.
      logits: what exp is taken of, in the same shape.
      axes: those of the sum.
      units: the axes of units, among which are the heads.

    Returns:
      entropy, limit (log of the number of unmasked entries) and std (of the unmasked logits), means
      over the rows of each head, [heads]; load (mean weight of each entry), [entries].

    >>> z = jnp.asarray([[0.0, 0.0, -1e9], [0.0, 60.0, 0.0]])
    >>> found = softmax_statistics(jnp.exp(z - 60), z - 60, (1,), (False, True))
    >>> [round(float(found[name][0]), 2) for name in ("entropy", "limit")]
    [0.35, 0.9]
    """
    exponentials, logits = (jax.lax.stop_gradient(x) for x in (exponentials, logits))
    dtype = jnp.promote_types(logits.dtype, jnp.float32)
    e, z = exponentials.astype(dtype), logits.astype(dtype)
    over = tuple(axes)
    p = e / jnp.sum(e, over, keepdims=True)
    entropy = -jnp.sum(jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1)), 0), over)
    seen = ~is_masked(z, over) & ((e > 0) | (jnp.exp(z) == 0))
    count = jnp.sum(seen, over).astype(dtype)
    among = jnp.maximum(count, 1)
    middle = jnp.sum(jnp.where(seen, z, 0), over, keepdims=True)
    middle = middle / jnp.sum(seen, over, keepdims=True).clip(1).astype(dtype)
    apart = jnp.where(seen, z - middle, 0)
    variance = jnp.sum(jnp.square(apart), over) / among
    rows = tuple(flag for n, flag in enumerate(units) if n not in axes)
    is_judged = count >= 2
    of_heads = {
        "entropy": per_head(entropy, is_judged, rows),
        "limit": per_head(jnp.log(among), is_judged, rows),
        "std": jnp.sqrt(per_head(variance, is_judged, rows)),
    }
    others = tuple(n for n in range(p.ndim) if n not in axes)
    return of_heads | {"load": jnp.mean(p, others).ravel()}


def is_masked(z: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Far below the largest, and together: what is merely small is spread instead."""
    low = jnp.maximum(z, jnp.finfo(z.dtype).min)
    top = jnp.max(low, axes, keepdims=True)
    gap, range_ = top - low, top - jnp.min(low, axes, keepdims=True)
    # Two masks added are twice as far down as one; no logits that are not masked reach 1e7.
    return (gap > MASKED) & ((gap >= 0.9 * range_) | (gap > 1e7))


def per_head(values: jax.Array, is_judged: jax.Array, units: Sequence[bool]) -> jax.Array:
    """Means over the rows that are judged, NaN where none is; [heads]."""
    others = tuple(n for n, is_unit in enumerate(units) if not is_unit)
    number = values.size // max(1, _product([values.shape[n] for n in others]))
    if number > MOST_HEADS:
        others = tuple(range(values.ndim))
    total = jnp.sum(jnp.where(is_judged, values, 0), others)
    return (total / jnp.sum(is_judged, others).astype(values.dtype)).ravel()


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for each in sizes:
        result *= each
    return result


def choice_statistics(index: jax.Array, number: int) -> dict[str, jax.Array]:
    """How often each of several experts is chosen.

    Args:
      index: which are chosen for each token, on the last axis.
      number: how many there are.

    Returns:
      load (the share of all choices that each gets), [number], choices (of all tokens) and chosen
      (of each).

    >>> choice_statistics(jnp.asarray([[0, 1], [0, 2]]), 3)["load"].tolist()
    [0.5, 0.25, 0.25]
    """
    counts = jnp.zeros(number, jnp.float32).at[index.ravel()].add(1.0)
    chosen, choices = jnp.float32(index.shape[-1]), jnp.float32(index.size)
    return {"load": counts / max(1, index.size), "choices": choices, "chosen": chosen}
