"""The edge of chaos: weights and biases whose scales the theory gives."""

import math

from initlab import checks, theory
from initlab.initializers.combinators import by_role
from initlab.initializers.variance import variance_scaling
from initlab.types import Activation, Initializer, Number

__all__ = ["critical"]


@checks.checked
def critical(activation: Activation, sigma_b2: Number = 0.0) -> Initializer:
    """`w ~ N(0, sigma_w2/fan_in)`, `b ~ N(0, sigma_b2)`, with `chi1 = 1`: the edge of chaos.

    sigma_w2 is `theory.critical_sigma_w2(activation, sigma_b2)`: in a wide network mean squares
    then settle, and neither correlations nor gradients shrink or grow exponentially with depth.

    Args:
      activation: the hidden layers' elementwise function.
      sigma_b2: variance of the biases, at least 0; may be traced, as in a sweep along the critical
        line. A traced one off the line of this activation gives NaN.

    Returns:
      The initializer of a whole network.

    Raises:
      TypeError: if activation is not a function of one array, or sigma_b2 not a number.
      ValueError: if activation is not elementwise, sigma_b2 negative, NaN or infinite, or nothing
        is critical at sigma_b2: relu is with 0 only.

    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from initlab.types import ParamSpec, Role
    >>> w = critical(jnp.tanh, 0.05)(jax.random.key(0), ParamSpec((400, 400), 400, 400))
    >>> round(float(w.var() * 400), 1)
    1.8
    >>> critical(jnp.tanh)(jax.random.key(0), ParamSpec((2,), 1, 2, Role.BIAS)).tolist()
    [0.0, 0.0]
    """
    checks.check_scale("sigma_b2", sigma_b2)
    sigma_w2 = theory.critical_sigma_w2(activation, sigma_b2)
    if checks.is_concrete(sigma_w2) and math.isnan(sigma_w2):
        name = getattr(activation, "__name__", activation)
        raise ValueError(f"no sigma_w2 is critical for {name} at sigma_b2 = {sigma_b2}")
    return by_role(variance_scaling(sigma_w2), bias=variance_scaling(sigma_b2, lambda spec: 1.0))
