"""Convolutions at initialization: which spatial frequencies survive many layers."""

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import compute
from initlab.theory.fixed_points import depth_scale
from initlab.types import Array

__all__ = ["frequency_depth_scale", "frequency_gains"]

MOST_POSITIONS = 2**24
"""A gain for each of more would end a process that has not as much memory."""


@checks.checked
def frequency_gains(variances: Array, positions: int) -> Array:
    """`lambda_k = |sum_d v_d exp(2 pi i k d / n)| / sum_d v_d`: what a layer keeps of a frequency.

    v_d is the variance of a kernel's weights at offset d. With equal ones, high frequencies are
    averaged away layer by layer, and a deep network sees the mean over positions only; with all of
    it at the centre (`delta_orthogonal`) every frequency is kept: lambda = 1.

    Args:
      variances: [window], at least 0, their sum positive; boundaries are circular.
      positions: n, how many positions there are.

    Returns:
      The gains [n // 2 + 1], from the mean over positions to the highest frequency.

    Raises:
      ValueError: if variances is not of rank one, longer than positions, negative, or all 0; if
        positions is over 2^24.

    Source: Xiao et al. 2018, arXiv:1806.05393.

    >>> frequency_gains(np.array([0.0, 1.0, 0.0]), 4).tolist()
    [1.0, 1.0, 1.0]
    """
    checks.check_count("positions", positions, 1)
    if positions > MOST_POSITIONS:
        raise ValueError(f"positions must be at most {MOST_POSITIONS}, got {positions}")
    shape = np.shape(variances)
    if len(shape) != 1 or not 0 < shape[0] <= positions:
        raise ValueError(f"variances must be [window], 1 to {positions} of them, got shape {shape}")
    if checks.is_concrete(variances) and not np.any(variances):
        raise ValueError("variances must have a positive sum, got all 0")
    return compute(_gains, (positions,), {"variances": variances})


@checks.checked
def frequency_depth_scale(chi1: Array | float, gains: Array) -> Array:
    """`xi_k = -1 / ln(chi1 lambda_k)`: over how many layers a frequency's differences fall by e.

    Args:
      chi1: slope of the correlation map at 1, at most 1: a number.
      gains: of `frequency_gains`.

    Returns:
      The depth scales, infinite where nothing decays.

    Raises:
      ValueError: if a number is negative.

    >>> round(float(frequency_depth_scale(1.0, np.array([np.exp(-0.1)]))[0]), 9)
    10.0
    """
    return compute(_scale, (), {"chi1": chi1, "gains": gains})


def _gains(positions: int, variances: jax.Array) -> jax.Array:
    # Zeros are appended, which places the window at the first positions and not about the centre: a
    # shift is a phase, which the absolute value drops.
    return jnp.abs(jnp.fft.rfft(variances, positions)) / jnp.sum(variances)


def _scale(chi1: jax.Array, gains: jax.Array) -> jax.Array:
    return depth_scale(chi1 * gains)
