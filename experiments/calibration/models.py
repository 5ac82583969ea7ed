"""Deep networks whose starts fail, as plain functions: what calibration is tried on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.types import Activation, Params

__all__ = ["MODELS", "FailingModel"]


class FailingModel(NamedTuple):
    """A model and the start that it fails from.

    Attributes:
      init: `(key, inputs, width, outputs) -> params`.
      apply: `(params, x [B, inputs]) -> logits [B, outputs]`.
    """

    init: Callable[[jax.Array, int, int, int], Params]
    apply: Callable[[Params, jax.Array], jax.Array]


def _draw(key: jax.Array, inputs: int, width: int, outputs: int, layers: int, std: Any) -> Params:
    """Weights N(0, std(fan_in)^2), biases 0; hidden ones stacked."""
    keys = jax.random.split(key, 3)
    return {
        "in": std(inputs) * jax.random.normal(keys[0], (inputs, width)),
        "hidden": std(width) * jax.random.normal(keys[1], (layers, width, width)),
        "bias": jnp.zeros((layers, width)),
        "out": std(width) * jax.random.normal(keys[2], (width, outputs)),
    }


def _plain(activation: Activation, layers: int, std: Callable[[int], float]) -> FailingModel:
    def init(key: jax.Array, inputs: int, width: int, outputs: int) -> Params:
        return _draw(key, inputs, width, outputs, layers, std)

    def apply(params: Params, x: jax.Array) -> jax.Array:
        def layer(h: jax.Array, given: Any) -> tuple[jax.Array, None]:
            weight, bias = given
            z = h @ weight
            return activation(z + jnp.broadcast_to(bias, z.shape)), None

        start = activation(x @ params["in"])
        # Scanned: 24 equal layers compile as fast as one, and 30 starts are compiled.
        h, _ = jax.lax.scan(layer, start, (params["hidden"], params["bias"]))
        return h @ params["out"]

    return FailingModel(init, apply)


def _residual(activation: Activation, blocks: int, std: Callable[[int], float]) -> FailingModel:
    def init(key: jax.Array, inputs: int, width: int, outputs: int) -> Params:
        keys = jax.random.split(key)
        params = _draw(keys[0], inputs, width, outputs, blocks, std)
        ends = std(width) * jax.random.normal(keys[1], (blocks, width, width))
        return params | {"end": ends}

    def apply(params: Params, x: jax.Array) -> jax.Array:
        def block(h: jax.Array, given: Any) -> tuple[jax.Array, None]:
            weight, bias, end = given
            z = h @ weight
            return h + activation(z + jnp.broadcast_to(bias, z.shape)) @ end, None

        stacked = params["hidden"], params["bias"], params["end"]
        h, _ = jax.lax.scan(block, x @ params["in"], stacked)
        return h @ params["out"]

    return FailingModel(init, apply)


MODELS = {
    "24 tanh layers std 1": _plain(jnp.tanh, 24, lambda fan_in: 1.0),
    "24 tanh layers std 0.01": _plain(jnp.tanh, 24, lambda fan_in: 0.01),
    "24 relu layers std 0.01": _plain(jax.nn.relu, 24, lambda fan_in: 0.01),
    "24 relu layers variance 8 / fan_in": _plain(
        jax.nn.relu, 24, lambda fan_in: (8 / fan_in) ** 0.5
    ),
    "48 relu blocks variance 2 / fan_in": _residual(
        jax.nn.relu, 48, lambda fan_in: (2 / fan_in) ** 0.5
    ),
}
"""Each start fails the audit."""
