"""Constants and plain distributions: initializers `(key, spec) -> array` that ignore the fans.

Numbers (std, limit, value) may be traced, so that they can be swept under `vmap`.
`jax.nn.initializers` draws wherever it has the scheme.
"""

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from initlab import checks
from initlab.types import Initializer, Number, ParamSpec

__all__ = [
    "TRUNCATED_STD",
    "constant",
    "normal",
    "ones",
    "truncated_normal",
    "uniform",
    "unit_normal",
    "unit_truncated_normal",
    "unit_uniform",
    "zeros",
]

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of N(0, 1) truncated at -2 and 2."""


@checks.checked
def unit_normal(key: jax.Array, spec: ParamSpec) -> jax.Array:
    """Draws N(0, 1).

    >>> w = unit_normal(jax.random.key(0), ParamSpec((100, 100), 100, 100))
    >>> round(float(w.std()), 1)
    1.0
    """
    return jax_initializers.normal(1.0)(key, spec.shape, spec.dtype)


@checks.checked
def unit_truncated_normal(key: jax.Array, spec: ParamSpec) -> jax.Array:
    """Draws a truncated Gaussian of variance 1: cut at 2 standard deviations, then rescaled.

    >>> w = unit_truncated_normal(jax.random.key(0), ParamSpec((100, 100), 100, 100))
    >>> round(float(w.std()), 1), bool(abs(w).max() <= 2 / TRUNCATED_STD)
    (1.0, True)
    """
    return jax_initializers.truncated_normal(1 / TRUNCATED_STD)(key, spec.shape, spec.dtype)


@checks.checked
def unit_uniform(key: jax.Array, spec: ParamSpec) -> jax.Array:
    """Draws U[-sqrt(3), sqrt(3)), of variance 1.

    >>> w = unit_uniform(jax.random.key(0), ParamSpec((100, 100), 100, 100))
    >>> round(float(w.std()), 1), bool(abs(w).max() <= 3**0.5)
    (1.0, True)
    """
    limit = 3**0.5
    return jax.random.uniform(key, spec.shape, spec.dtype, -limit, limit)


@checks.checked
def constant(value: Number) -> Initializer:
    """Every entry is `value`.

    Args:
      value: any finite number; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if value is not a number.
      ValueError: if value is NaN or infinite.

    >>> constant(0.5)(jax.random.key(0), ParamSpec((2,), 1, 2))
    Array([0.5, 0.5], dtype=float32)
    """
    checks.check_number("value", value)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return jax_initializers.constant(value)(key, spec.shape, spec.dtype)

    return init


def zeros() -> Initializer:
    """Every entry is 0.

    >>> zeros()(jax.random.key(0), ParamSpec((2,), 1, 2))
    Array([0., 0.], dtype=float32)
    """
    return constant(0.0)


def ones() -> Initializer:
    """Every entry is 1.

    >>> ones()(jax.random.key(0), ParamSpec((2,), 1, 2))
    Array([1., 1.], dtype=float32)
    """
    return constant(1.0)


@checks.checked
def normal(std: Number) -> Initializer:
    """`w ~ N(0, std^2)`.

    Args:
      std: standard deviation, at least 0; may be traced.

    Returns:
      The initializer. The same key draws the same Gaussian at every std.

    Raises:
      TypeError: if std is not a number.
      ValueError: if std is negative, NaN or infinite.

    >>> normal(0.01)(jax.random.key(0), ParamSpec((2, 4), 2, 4)).shape
    (2, 4)
    """
    checks.check_scale("std", std)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return unit_normal(key, spec) * jnp.asarray(std, spec.dtype)

    return init


@checks.checked
def truncated_normal(std: Number, lower: Number = -2.0, upper: Number = 2.0) -> Initializer:
    """`w ~ N(0, std^2)` truncated to [lower std, upper std]; cut at two, its own std is 0.8796 std.

    Args:
      std: standard deviation before truncation, at least 0; may be traced.
      lower: the least value, in units of std; may be traced.
      upper: the largest value, in units of std; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if one of them is not a number.
      ValueError: if one is NaN or infinite, std negative, or lower not under upper.

    >>> w = truncated_normal(1.0)(jax.random.key(0), ParamSpec((1000,), 1, 1))
    >>> bool(abs(w).max() <= 2)
    True
    """
    checks.check_scale("std", std)
    checks.check_number("lower", lower)
    checks.check_number("upper", upper)
    if all(map(checks.is_concrete, (lower, upper))) and not lower < upper:
        raise ValueError(f"lower must be under upper, got {lower} and {upper}")

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        low, high = (jnp.asarray(bound, spec.dtype) for bound in (lower, upper))
        unit = jax.random.truncated_normal(key, low, high, spec.shape, spec.dtype)
        return unit * jnp.asarray(std, spec.dtype)

    return init


@checks.checked
def uniform(limit: Number) -> Initializer:
    """`w ~ U[-limit, limit)`, of standard deviation limit / sqrt(3).

    Args:
      limit: half the width of the interval, at least 0; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if limit is not a number.
      ValueError: if limit is negative, NaN or infinite.

    >>> w = uniform(0.1)(jax.random.key(0), ParamSpec((1000,), 1, 1))
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    checks.check_scale("limit", limit)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return unit_uniform(key, spec) * jnp.asarray(limit / 3**0.5, spec.dtype)

    return init
