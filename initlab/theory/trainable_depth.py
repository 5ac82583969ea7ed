"""How many layers a signal gets through."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.fixed_points import fixed_point
from initlab.types import Activation, Array

__all__ = ["trainable_depth"]

REACH = 6
"""Depth scales that a signal gets through, measured by Schoenholz et al. 2017."""


@checks.checked
def trainable_depth(
    activation: Activation, sigma_w2: Array | float, sigma_b2: Array | float
) -> Array:
    """`6 xi`: beyond so many layers all inputs look the same, or q has vanished.

    xi is the depth scale of correlations, `xi_c = -1 / ln chi(c*)`, where q has a fixed
    point. Where q diverges (relu above its critical scale) it is that of q,
    `1 / ln` of its growth by a layer, which is chi1 there; below, where relu's q vanishes, the
    two are one.

    Args:
      activation: elementwise function.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases; numbers or arrays that broadcast.

    Returns:
      Layers, NumPy float64, traced in the dtype of traced arguments; infinite on the critical line.

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if activation is not elementwise, or a number is negative.

    Source: Schoenholz et al. 2017, arXiv:1611.01232, section 5.

    >>> import jax
    >>> trainable_depth(jax.nn.relu, np.array([1.0, 2.0, 4.0]), 0.0).round(2).tolist()
    [8.66, inf, 8.66]
    """
    point = fixed_point(activation, sigma_w2, sigma_b2)
    xp: Any = np if checks.is_concrete(point.q) else jnp
    # Where q has a fixed point its growth is not used, and chi1 may be 1: no division by ln 1.
    growth = xp.log(xp.where(point.exists, np.e, point.chi1))
    return xp.asarray(REACH * xp.where(point.exists, point.xi_c, 1 / growth))
