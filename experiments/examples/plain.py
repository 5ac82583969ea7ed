"""A model in plain JAX, as `experiments.audit` takes it.

python -m experiments.audit --model experiments.examples.plain:deep_tanh
"""

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["deep_tanh"]

WIDTH, DEPTH = 64, 12


def deep_tanh() -> dict[str, Any]:
    """Twelve tanh layers from 0.01 times a normal draw, as the lecture starts its one layer.

    Returns:
      What `initlab.audit` takes, by name: `apply`, `batch`, `params` or `init`, perhaps `loss`.
    """

    def init(key: jax.Array) -> list[jax.Array]:
        keys = jax.random.split(key, DEPTH)
        return [0.01 * jax.random.normal(each, (WIDTH, WIDTH)) for each in keys]

    def apply(params: list[jax.Array], x: jax.Array) -> jax.Array:
        *hidden, readout = params
        for weight in hidden:
            x = jnp.tanh(x @ weight)
        return x @ readout

    return {
        "init": init,
        "apply": apply,
        "batch": jax.random.normal(jax.random.key(1), (16, WIDTH)),
    }
