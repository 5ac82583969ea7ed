"""Derivatives of an activation given as a function: its slope, and the largest slope."""

import jax
import jax.numpy as jnp

from initlab.types import Activation

__all__ = ["SATURATED_SLOPE", "identity", "max_slope", "slope"]

SATURATED_SLOPE = 0.01
"""A unit is saturated on an example where its slope is under this share of the largest slope."""


def identity(z: jax.Array) -> jax.Array:
    """`phi(z) = z`: the activation of a linear layer.

    >>> identity(jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    return z


def slope(activation: Activation, z: jax.Array) -> jax.Array:
    """`phi'(z)`, entry by entry.

    Args:
      activation: an elementwise function.
      z: pre-activations, any shape.

    Returns:
      The derivatives, in z's shape and dtype.

    >>> slope(jnp.tanh, jnp.zeros((2,))).tolist()
    [1.0, 1.0]
    """
    return jax.jvp(activation, (z,), (jnp.ones_like(z),))[1]


def max_slope(activation: Activation) -> float:
    """`max |phi'(z)|` over a fine grid of z in [-20, 20], both sides of a kink included.

    Args:
      activation: an elementwise function.

    Returns:
      The largest absolute slope: 1 for tanh and relu, 1/4 for sigmoid.

    >>> round(max_slope(jax.nn.sigmoid), 6)
    0.25
    """
    with jax.ensure_compile_time_eval():
        # 0 by itself, where most kinks lie: the middle of the grid may be rounded off it.
        z = jnp.append(jnp.linspace(-20.0, 20.0, 4001), 0.0)
        return float(jnp.max(jnp.abs(slope(activation, z))))
