"""A haiku model, as `experiments.audit` takes it.

python -m experiments.audit --model experiments.examples.haiku_model:lstm
"""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

__all__ = ["lstm"]


def lstm() -> dict[str, Any]:
    """What `initlab.audit` takes, by name."""

    def network(x: jax.Array) -> jax.Array:
        core = hk.LSTM(16)
        states, _ = hk.dynamic_unroll(core, x, core.initial_state(x.shape[0]), time_major=False)
        return hk.Linear(2)(jnp.asarray(states)[:, -1])

    model = hk.without_apply_rng(hk.transform(network))
    x = jax.random.normal(jax.random.key(1), (16, 5, 3))
    return {
        "init": lambda key: model.init(key, x),
        "apply": model.apply,
        "batch": x,
    }
