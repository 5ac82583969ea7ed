"""An equinox model, as `experiments.audit` takes it.

python -m experiments.audit --model experiments.examples.equinox_model:mlp
"""

from typing import Any

import equinox as eqx
import jax

__all__ = ["mlp"]


def mlp() -> dict[str, Any]:
    """What `initlab.audit` takes, by name: arrays are the params, the rest stays with apply."""

    def make(key: jax.Array) -> Any:
        return eqx.nn.MLP(in_size=8, out_size=10, width_size=64, depth=3, key=key)

    # Shapes alone: which leaves are arrays does not depend on their values, and drawing takes time.
    model = eqx.filter_eval_shape(make, jax.random.key(0))
    static = eqx.partition(model, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))[1]
    return {
        "init": lambda key: eqx.filter(make(key), eqx.is_inexact_array),
        "apply": lambda params, x: jax.vmap(eqx.combine(params, static))(x),
        "batch": jax.random.normal(jax.random.key(1), (16, 8)),
    }
