"""Gains: what the standard deviation `1 / sqrt(fan_in)` is multiplied by for an activation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.activations import identity
from initlab.theory.maps import q_map
from initlab.theory.quadrature import expectation
from initlab.types import Activation, Array, Number

__all__ = ["centered_gain", "gain", "leaky_relu_gain", "torch_gain"]

TORCH_GAINS: dict[Callable[[Any], jax.Array], float] = {
    identity: 1.0,
    jax.nn.sigmoid: 1.0,
    jnp.tanh: 5 / 3,
    jax.nn.relu: 2**0.5,
    jax.nn.selu: 3 / 4,
}
"""The values of PyTorch's `calculate_gain`; 5/3 and 3/4 are conventions, no result of a formula."""


@checks.checked
def gain(activation: Activation) -> Array:
    """`1 / sqrt(E phi(z)^2)`, z ~ N(0, 1): weights of variance `gain^2 / fan_in` keep an rms of 1.

    Args:
      activation: elementwise function phi.

    Returns:
      The gain, float64: `sqrt(2)` for relu, the constant of He et al.

    Raises:
      TypeError: if activation is not a function of one array.
      ValueError: if it is not elementwise.

    Source: He et al. 2015, arXiv:1502.01852, eq. 10, for any activation.

    >>> round(float(gain(jnp.tanh)), 8)
    1.59253742
    """
    return 1 / np.sqrt(q_map(activation, 1.0, 0.0, 1.0))


@checks.checked
def centered_gain(activation: Activation) -> Array:
    """`1 / std phi(z)`, z ~ N(0, 1): the activation scaled by it has variance 1 about its mean.

    It differs from `gain` where the mean is not 0: for relu it is 1.7129, not 1.4142.

    Args:
      activation: elementwise function phi.

    Returns:
      The gain, float64.

    Raises:
      TypeError: if activation is not a function of one array.
      ValueError: if it is not elementwise.

    Source: Brock, De and Smith 2021, arXiv:2101.08692.

    >>> round(float(centered_gain(jax.nn.relu)), 8)
    1.71285855
    """
    return 1 / np.sqrt(q_map(activation, 1.0, 0.0, 1.0) - expectation(activation, 1.0).value ** 2)


@checks.checked
def torch_gain(activation: Activation) -> float:
    """What PyTorch recommends: `torch.nn.init.calculate_gain`.

    Args:
      activation: the identity (`initlab.activations.identity`), `jax.nn.sigmoid`, `jnp.tanh`,
        `jax.nn.relu` or `jax.nn.selu`; for leaky relu see `leaky_relu_gain`.

    Returns:
      1, 1, 5/3, sqrt(2) or 3/4.

    Raises:
      ValueError: for another activation.

    >>> torch_gain(jax.nn.selu)
    0.75
    """
    if activation not in TORCH_GAINS:
        known = ", ".join(each.__name__ for each in TORCH_GAINS)
        raise ValueError(
            f"PyTorch has gains for {known}; activation must be one of them, got {activation!r:.80}"
        )
    return TORCH_GAINS[activation]


@checks.checked
def leaky_relu_gain(negative_slope: Number = 0.01) -> Any:
    """`sqrt(2 / (1 + negative_slope^2))`, which is `gain` of leaky relu in closed form.

    Args:
      negative_slope: the slope left of 0; may be traced.

    Returns:
      The gain.

    Raises:
      TypeError: if negative_slope is not a number.
      ValueError: if it is NaN or infinite.

    Source: He et al. 2015, arXiv:1502.01852, eq. 15.

    >>> round(leaky_relu_gain(1.0), 12)
    1.0
    """
    checks.check_number("negative_slope", negative_slope)
    return (2 / (1 + negative_slope**2)) ** 0.5
