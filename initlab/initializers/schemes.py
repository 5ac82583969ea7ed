"""The general schemes and their named specialisations: initializers `(key, spec) -> array`.

Numbers (std, limit, gain, scale) may be traced, so that they can be swept under `vmap`.
`jax.nn.initializers` draws wherever it has the scheme; fans come from the spec, not from the shape.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from initlab import checks
from initlab.types import Initializer, ParamSpec

__all__ = [
    "constant",
    "fan_avg",
    "fan_in",
    "fan_out",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "unit_normal",
    "unit_truncated_normal",
    "unit_uniform",
    "variance_scaling",
    "zeros",
]

Number = float | jax.Array

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of N(0, 1) truncated at -2 and 2."""


def fan_in(spec: ParamSpec) -> float:
    """Inputs that one unit sums over."""
    return float(spec.fan_in)


def fan_out(spec: ParamSpec) -> float:
    """Units that one input feeds."""
    return float(spec.fan_out)


def fan_avg(spec: ParamSpec) -> float:
    """`(fan_in + fan_out) / 2`."""
    return (spec.fan_in + spec.fan_out) / 2


def unit_normal(key: jax.Array, spec: ParamSpec) -> jax.Array:
    """Draws N(0, 1)."""
    return jax_initializers.normal(1.0)(key, spec.shape, spec.dtype)


def unit_truncated_normal(key: jax.Array, spec: ParamSpec) -> jax.Array:
    """Draws a truncated Gaussian of variance 1: cut at 2 standard deviations, then rescaled."""
    return jax_initializers.truncated_normal(1 / TRUNCATED_STD)(key, spec.shape, spec.dtype)


def unit_uniform(key: jax.Array, spec: ParamSpec) -> jax.Array:
    """Draws U[-sqrt(3), sqrt(3)), of variance 1."""
    limit = 3**0.5
    return jax.random.uniform(key, spec.shape, spec.dtype, -limit, limit)


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


def truncated_normal(std: Number) -> Initializer:
    """`w ~ N(0, std^2)` truncated to [-2 std, 2 std]; the draw's own std is 0.8796 std.

    Args:
      std: standard deviation before truncation, at least 0; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if std is not a number.
      ValueError: if std is negative, NaN or infinite.

    >>> w = truncated_normal(1.0)(jax.random.key(0), ParamSpec((1000,), 1, 1))
    >>> bool(abs(w).max() <= 2)
    True
    """
    checks.check_scale("std", std)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        return unit_truncated_normal(key, spec) * jnp.asarray(TRUNCATED_STD * std, spec.dtype)

    return init


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

    return init


def lecun_normal() -> Initializer:
    """`w ~ N(0, 1/fan_in)` (LeCun et al. 1998, Efficient BackProp)."""
    return variance_scaling(1.0, fan_in, unit_normal)


def lecun_uniform() -> Initializer:
    """`w ~ U` with `Var w = 1/fan_in` (LeCun et al. 1998, Efficient BackProp)."""
    return variance_scaling(1.0, fan_in, unit_uniform)


def glorot_normal() -> Initializer:
    """`w ~ N(0, 2/(fan_in + fan_out))` (Glorot and Bengio 2010, eq. 12)."""
    return variance_scaling(1.0, fan_avg, unit_normal)


def glorot_uniform() -> Initializer:
    """`w ~ U[-r, r)`, `r = sqrt(6/(fan_in + fan_out))` (Glorot and Bengio 2010, eq. 16)."""
    return variance_scaling(1.0, fan_avg, unit_uniform)


def he_normal() -> Initializer:
    """`w ~ N(0, 2/fan_in)` (He et al. 2015, arXiv:1502.01852, eq. 10)."""
    return variance_scaling(2.0, fan_in, unit_normal)


def he_uniform() -> Initializer:
    """`w ~ U` with `Var w = 2/fan_in` (He et al. 2015, arXiv:1502.01852, eq. 10)."""
    return variance_scaling(2.0, fan_in, unit_uniform)


def orthogonal(gain: Number = 1.0) -> Initializer:
    """`w = gain Q`, rows or columns of Q orthonormal (Saxe et al. 2013, arXiv:1312.6120).

    Args:
      gain: the singular values, at least 0; may be traced.

    Returns:
      The initializer; for a rank above two the last axis is the units', the others are flattened.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite; when drawn, if the spec's rank is under two.

    >>> w = orthogonal(2.0)(jax.random.key(0), ParamSpec((3, 3), 3, 3))
    >>> bool(abs(w @ w.T - 4 * jnp.eye(3)).max() < 1e-5)
    True
    """
    checks.check_scale("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        checks.check_rank_at_least("orthogonal", spec, 2)
        # QR is not to be had below float32.
        dtype = spec.dtype if jnp.finfo(spec.dtype).bits >= 32 else jnp.float32
        draw = jax_initializers.orthogonal(jnp.asarray(gain, dtype))
        return draw(key, spec.shape, dtype).astype(spec.dtype)

    return init


def sparse(nonzero: int = 15, std: Number = 1.0) -> Initializer:
    """Exactly `min(nonzero, fan_in)` weights `~ N(0, std^2)` into each unit, the rest 0.

    Args:
      nonzero: how many inputs each unit sees, at least 1.
      std: standard deviation of the weights that are not zero; may be traced.

    Returns:
      The initializer; units are the last axis, the others are flattened.

    Raises:
      TypeError: if nonzero is not an integer or std not a number.
      ValueError: if nonzero is under 1, or std negative, NaN or infinite; when drawn, if the spec's
        rank is under two.

    Source: Martens 2010, Deep learning via Hessian-free optimization, section 5.

    >>> w = sparse(3)(jax.random.key(0), ParamSpec((10, 2), 10, 2))
    >>> (w != 0).sum(axis=0).tolist()
    [3, 3]
    """
    checks.check_count("nonzero", nonzero, 1)
    checks.check_scale("std", std)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        checks.check_rank_at_least("sparse", spec, 2)
        key_weights, key_places = jax.random.split(key)
        weights = normal(std)(key_weights, spec).reshape(-1, spec.shape[-1])
        inputs = weights.shape[0]
        order = jnp.broadcast_to(jnp.arange(inputs)[:, None], weights.shape)
        rank = jax.random.permutation(key_places, order, axis=0, independent=True)
        return jnp.where(rank < nonzero, weights, 0).reshape(spec.shape)

    return init


def identity(gain: Number = 1.0) -> Initializer:
    """`w[i, j] = gain` where i = j, else 0: the (partial) identity.

    Args:
      gain: the diagonal; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is NaN or infinite; when drawn, if the spec is not a matrix.

    >>> identity()(jax.random.key(0), ParamSpec((2, 3), 2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    checks.check_number("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        if len(spec.shape) != 2:
            raise ValueError(f"identity wants a matrix, got shape {spec.shape} for {spec.path!r}")
        return jnp.eye(*spec.shape, dtype=spec.dtype) * jnp.asarray(gain, spec.dtype)

    return init
