"""A flax model, as `experiments.audit` takes it.

python -m experiments.audit --model experiments.examples.flax_model:convnet
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

__all__ = ["convnet"]


class Convnet(nn.Module):
    """Two convolutions and a readout."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Images [B, height, width, channels] to logits [B, 10]."""
        for channels in (16, 32):
            x = nn.relu(nn.Conv(channels, (3, 3))(x))
        return nn.Dense(10)(x.mean(axis=(1, 2)))


def convnet() -> dict[str, Any]:
    """What `initlab.audit` takes, by name."""
    model, x = Convnet(), jax.random.normal(jax.random.key(1), (16, 8, 8, 3))
    labels = jnp.arange(16) % 10

    def init(key: jax.Array) -> Any:
        return model.init(key, x)["params"]

    return {
        "init": init,
        "apply": lambda params, x: model.apply({"params": params}, x),
        "batch": x,
        "loss": lambda y: optax.softmax_cross_entropy_with_integer_labels(y, labels).mean(),
    }
