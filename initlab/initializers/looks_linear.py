"""Weights in mirrored blocks: a rectifier network that starts as a linear one."""

import dataclasses

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.combinators import made_of
from initlab.initializers.fans import kernel_shape
from initlab.types import Initializer, ParamSpec, Role

__all__ = ["looks_linear"]


@checks.checked
def looks_linear(block: Initializer) -> Initializer:
    """`w = [[B, -B], [-B, B]]`: as `relu(z) - relu(-z) = z`, a relu network computes a linear map.

    Half of the units of each layer are the other half's mirror images. The data have none, so the
    first layer is `[B, -B]`; the logits have none, so the last is `[B, -B]^T`. Biases must be 0.

    Args:
      block: draws B; with `orthogonal()` the network starts as an isometry at any depth.

    Returns:
      The initializer of weights; the first layer's role is INPUT, the last one's READOUT.

    Raises:
      TypeError: if block is not callable.
      ValueError: when drawn, if the spec's rank is under two, or a mirrored side is odd.

    Source: Balduzzi et al. 2017, arXiv:1702.08591.

    >>> from initlab.initializers import ones
    >>> looks_linear(ones())(jax.random.key(0), ParamSpec((2, 2), 2, 2)).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    checks.check_callable("block", block)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        window, inputs, units = kernel_shape("looks_linear", spec)
        rows = 1 if spec.role is Role.INPUT else 2
        columns = 1 if spec.role is Role.READOUT else 2
        if inputs % rows or units % columns:
            raise ValueError(
                "looks_linear requires an even number of hidden units on each side, got shape "
                f"{spec.shape} for {spec.path!r}"
            )
        shape = (*window, inputs // rows, units // columns)
        half = dataclasses.replace(
            spec, shape=shape, fan_in=spec.fan_in // rows, fan_out=spec.fan_out // columns
        )
        w = block(key, half)
        w = jnp.concatenate([w, -w], axis=-1) if columns == 2 else w
        w = jnp.concatenate([w, -w], axis=-2) if rows == 2 else w
        return w.reshape(spec.shape)

    return made_of(init, [block])
