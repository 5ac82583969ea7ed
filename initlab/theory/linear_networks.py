"""Deep linear networks, whose learning is known exactly."""

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.types import Array, Numbers

__all__ = ["linear_learning_time", "linear_mode"]


@checks.checked
def linear_learning_time(
    strength: Numbers, start: Numbers, end: Numbers, time_constant: Numbers = 1.0
) -> Array:
    """`t = tau / (2 s) ln(u_f (s - u_0) / (u_0 (s - u_f)))`: until a mode has been learned.

    A mode is a pair of singular vectors of the correlation of inputs and outputs; in a linear
    network of two layers that start small, balanced and aligned, it grows alone. It is negligible
    for a time of the order of `ln(1 / u_0)`: small weights learn late, though they learn.

    Args:
      strength: s, the mode's singular value, which it is to reach.
      start: u_0, its strength at initialization, in (0, s).
      end: u_f, the strength asked for, in (u_0, s).
      time_constant: tau; gradient descent of learning rate r takes `t` steps for tau = 1 / r.

    Returns:
      The time, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if a number is not real.
      ValueError: unless 0 < start < end < strength and 0 < time_constant.

    Source: Saxe, McClelland and Ganguli 2013, arXiv:1312.6120.

    >>> round(float(linear_learning_time(2.0, 0.01, 1.98)), 4)
    2.4721
    """
    numbers = {"strength": strength, "start": start, "end": end, "time_constant": time_constant}
    _check_order(numbers, "start", "end", "strength")
    return evaluate(_time, (), numbers)


@checks.checked
def linear_mode(
    strength: Numbers, start: Numbers, time: Numbers, time_constant: Numbers = 1.0
) -> Array:
    """`u(t) = s / (1 + (s / u_0 - 1) exp(-2 s t / tau))`: a mode's strength while it is learned.

    Args:
      strength: s, the mode's singular value.
      start: u_0, its strength at initialization.
      time: t.
      time_constant: tau; numbers or arrays that broadcast.

    Returns:
      u, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if a number is not real.
      ValueError: if one is negative, or strength, start or time_constant is 0.

    Source: Saxe, McClelland and Ganguli 2013, arXiv:1312.6120.

    >>> round(float(linear_mode(2.0, 0.01, 2.4720739)), 4)
    1.98
    """
    numbers = {"strength": strength, "start": start, "time": time, "time_constant": time_constant}
    _check_order(numbers, "start")
    _check_order(numbers, "strength")
    return evaluate(_mode, (), numbers)


def _check_order(numbers: Mapping[str, Any], *ascending: str) -> None:
    """Raises ValueError unless time_constant and the named numbers are over 0, and these ascend."""
    for name in ("time_constant", *ascending):
        if checks.is_concrete(numbers[name]) and not (np.asarray(numbers[name]) > 0).all():
            raise ValueError(f"{name} must be over 0, got {numbers[name]}")
    for low, high in itertools.pairwise(ascending):
        pair = numbers[low], numbers[high]
        if all(map(checks.is_concrete, pair)) and not np.less(*pair).all():
            raise ValueError(f"{low} must be under {high}, got {pair[0]} and {pair[1]}")


def _time(
    strength: jax.Array, start: jax.Array, end: jax.Array, time_constant: jax.Array
) -> jax.Array:
    # u obeys the logistic equation tau du/dt = 2 u (s - u): the logarithm of u / (s - u) is linear.
    odds = end * (strength - start) / (start * (strength - end))
    return time_constant / (2 * strength) * jnp.log(odds)


def _mode(
    strength: jax.Array, start: jax.Array, time: jax.Array, time_constant: jax.Array
) -> jax.Array:
    # In the decaying exponential, which underflows to 0 late; the growing one would overflow.
    decay = jnp.exp(-2 * strength * time / time_constant)
    return strength / (1 + (strength / start - 1) * decay)
