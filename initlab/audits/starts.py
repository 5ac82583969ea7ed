"""The params that an audit looks at: given, or drawn by `init` from several keys."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.compilation import compile_or_reuse, compile_to_run_once
from initlab.frameworks import check_are_parameters
from initlab.types import Params

__all__ = ["SEEDS", "draw_starts"]

SEEDS = 16
"""How many starts are drawn where `init` is given and `keys` are not."""


def draw_starts(params: Params, init: Any, keys: Any, key: jax.Array) -> tuple[Params, jax.Array]:
    """Params with a first axis of seeds, and a key for each."""
    if init is None:
        if keys is not None:
            raise ValueError(
                "keys require init, a function that draws params from each of them, got init=None"
            )
        if params is None:
            raise ValueError("params must be given, or init, which draws them, got neither")
        checks.check_array_leaves(params)
        return jax.tree.map(_alone, params), key[None]
    if params is not None:
        raise ValueError("params must be None where init draws them, got params as well as init")
    keys = jax.random.split(key, SEEDS) if keys is None else keys
    if getattr(keys, "ndim", 0) < 1 or keys.shape[0] < 1:
        raise ValueError(f"keys must be an array of at least one key, got {keys!r:.60}")
    checks.check_key("keys[0]", keys[0])
    draws = jax.vmap(lambda each: jax.random.fold_in(each, 1))(keys)

    def drawn(key: jax.Array) -> Params:
        params = init(key)
        # Inside, where a framework's whole model is still one: JAX would refuse its functions.
        check_are_parameters(params)
        checks.check_array_leaves(params)
        return params

    # A function of its own at each call: the init is traced as it is now.
    with checks.calling("init", "(key)"):
        lowered = jax.jit(jax.vmap(drawn)).lower(jax.ShapeDtypeStruct(keys.shape, keys.dtype))
    return compile_or_reuse(lowered, compile_to_run_once)(keys), draws


def _alone(leaf: Any) -> jax.Array:
    # On an array of JAX's, a new axis is a program to compile for each shape.
    return jnp.asarray(leaf[None]) if isinstance(leaf, np.ndarray) else jnp.asarray(leaf)[None]
