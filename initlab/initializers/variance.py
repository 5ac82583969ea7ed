"""Variance by fan: the general scheme and its named specialisations.

Fans come from the spec, not from the shape.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.combinators import made_of
from initlab.initializers.distributions import unit_normal, unit_uniform
from initlab.initializers.fans import fan_avg, fan_in
from initlab.types import Initializer, Number, ParamSpec

__all__ = [
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "variance_scaling",
]


@checks.checked
def variance_scaling(
    scale: Number,
    fan: Callable[[ParamSpec], float] = fan_in,
    distribution: Initializer = unit_normal,
) -> Initializer:
    """`Var w = scale / fan(spec)`.

    Args:
      scale: the numerator, at least 0; may be traced.
      fan: `spec -> float`: `fan_in`, `fan_out`, `fan_avg`, or your own.
      distribution: an initializer of variance 1: `unit_normal`, `unit_truncated_normal`,
        `unit_uniform`, or your own.

    Returns:
      The initializer.

    Raises:
      TypeError: if scale is not a number, or fan or distribution is not callable.
      ValueError: if scale is negative, NaN or infinite.

    >>> w = variance_scaling(2.0)(jax.random.key(0), ParamSpec((500, 400), 500, 400))
    >>> round(float(w.var() * 500), 1)
    2.0
    """
    checks.check_scale("scale", scale)
    checks.check_callable("fan", fan)
    checks.check_callable("distribution", distribution)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        std = jnp.sqrt(jnp.asarray(scale, spec.dtype) / fan(spec))
        return distribution(key, spec) * std.astype(spec.dtype)

    return made_of(init, [distribution])


def lecun_normal() -> Initializer:
    """`w ~ N(0, 1/fan_in)`: pre-activations have the mean square of the inputs.

    Returns:
      The initializer.

    Source: LeCun et al. 1998, Efficient BackProp.

    >>> w = lecun_normal()(jax.random.key(0), ParamSpec((300, 200), 300, 200))
    >>> round(float(w.var() * 300), 1)
    1.0
    """
    return variance_scaling(1.0, fan_in, unit_normal)


def lecun_uniform() -> Initializer:
    """`w ~ U[-r, r)`, `r = sqrt(3/fan_in)`.

    Returns:
      The initializer.

    Source: LeCun et al. 1998, Efficient BackProp.

    >>> w = lecun_uniform()(jax.random.key(0), ParamSpec((300, 200), 300, 200))
    >>> bool(abs(w).max() <= (3 / 300) ** 0.5)
    True
    """
    return variance_scaling(1.0, fan_in, unit_uniform)


def glorot_normal() -> Initializer:
    """`w ~ N(0, 2/(fan_in + fan_out))`: between what the forward and the backward pass require.

    Returns:
      The initializer.

    Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural
      networks, equation 12.

    >>> w = glorot_normal()(jax.random.key(0), ParamSpec((300, 200), 300, 200))
    >>> round(float(w.var() * 250), 1)
    1.0
    """
    return variance_scaling(1.0, fan_avg, unit_normal)


def glorot_uniform() -> Initializer:
    """`w ~ U[-r, r)`, `r = sqrt(6/(fan_in + fan_out))`.

    Returns:
      The initializer.

    Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural
      networks, equation 16.

    >>> w = glorot_uniform()(jax.random.key(0), ParamSpec((300, 200), 300, 200))
    >>> bool(abs(w).max() <= (6 / 500) ** 0.5)
    True
    """
    return variance_scaling(1.0, fan_avg, unit_uniform)


def he_normal() -> Initializer:
    """`w ~ N(0, 2/fan_in)`: relu halves the mean square.

    Returns:
      The initializer.

    Source: He et al. 2015, arXiv:1502.01852, equation 10.

    >>> w = he_normal()(jax.random.key(0), ParamSpec((300, 200), 300, 200))
    >>> round(float(w.var() * 300), 1)
    2.0
    """
    return variance_scaling(2.0, fan_in, unit_normal)


def he_uniform() -> Initializer:
    """`w ~ U[-r, r)`, `r = sqrt(6/fan_in)`.

    Returns:
      The initializer.

    Source: He et al. 2015, arXiv:1502.01852, equation 10.

    >>> w = he_uniform()(jax.random.key(0), ParamSpec((300, 200), 300, 200))
    >>> bool(abs(w).max() <= (6 / 300) ** 0.5)
    True
    """
    return variance_scaling(2.0, fan_in, unit_uniform)
