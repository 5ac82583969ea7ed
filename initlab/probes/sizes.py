"""The Euclidean norm of several arrays together."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

__all__ = ["size"]


def size(leaves: Sequence[jax.Array]) -> jax.Array:
    """The Euclidean norm over all leaves, scaled so that no square under- or overflows."""
    if not leaves:
        return jnp.zeros(())
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves]))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return unit * jnp.sqrt(sum(jnp.sum(jnp.square(leaf / unit)) for leaf in leaves))
