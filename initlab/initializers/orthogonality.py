"""Matrices with orthonormal rows or columns, and the kernels that hold one."""

import math

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from initlab import checks
from initlab.initializers.fans import at_centre, check_window, kernel_shape
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["delta_orthogonal", "modular_orthogonal", "orthogonal", "scaled_uniform_orthogonal"]


@checks.checked
def orthogonal(gain: Number = 1.0) -> Initializer:
    """`w = gain Q`, rows or columns of Q orthonormal (Saxe et al. 2013, arXiv:1312.6120).

    Args:
      gain: the singular values, at least 0; may be traced.

    Returns:
      The initializer; for a rank above two the last axis is the units', the others are flattened,
      except in an attention weight, which is split by its fans.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite; when drawn, if the spec's rank is under two.

    >>> w = orthogonal(2.0)(jax.random.key(0), ParamSpec((3, 3), 3, 3))
    >>> bool(abs(w @ w.T - 4 * jnp.eye(3)).max() < 1e-5)
    True
    """
    checks.check_scale("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        window, inputs, units = kernel_shape("orthogonal", spec)
        return _haar(key, math.prod(window) * inputs, units, gain, spec).reshape(spec.shape)

    return init


@checks.checked
def scaled_uniform_orthogonal(gain: Number = 1.0) -> Initializer:
    """`w = gain sqrt(max(units/inputs, 1)) Q`, Q Haar-distributed with orthonormal rows or columns.

    The factor keeps the mean square of the units that of the inputs also where the width grows. In
    a convolution the matrix is the window's centre.

    Args:
      gain: a factor of the whole, at least 0; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite; when drawn, if the spec's rank is under two.

    Source: Martens et al. 2021, Deep kernel shaping, arXiv:2110.01765 (SUO).

    >>> w = scaled_uniform_orthogonal()(jax.random.key(0), ParamSpec((2, 8), 2, 8))
    >>> bool(abs(w @ w.T - 4 * jnp.eye(2)).max() < 1e-5)
    True
    """
    checks.check_scale("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        window, inputs, units = kernel_shape("scaled_uniform_orthogonal", spec)
        matrix = _haar(key, inputs, units, gain, spec)
        matrix *= jnp.asarray(max(units / inputs, 1) ** 0.5, spec.dtype)
        return at_centre(matrix, window).reshape(spec.shape)

    return init


@checks.checked
def modular_orthogonal(gain: Number = 1.0) -> Initializer:
    """`w = gain sqrt(o/i) Q`, Q with orthonormal rows or columns: of modular norm gain.

    i is the inputs and o the units. Where the width grows it is `scaled_uniform_orthogonal`, where
    it shrinks it is smaller: no input then makes outputs of a larger rms than its own.

    Args:
      gain: a factor of the whole, at least 0; may be traced.

    Returns:
      The initializer; a convolution has a matrix at each place of its window, over their number.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite; when drawn, if the spec's rank is under two.

    Source: Large et al. 2024, arXiv:2405.14813, section 3, and its code, modula (the atomic modules
      Linear and Conv2D).

    >>> w = modular_orthogonal()(jax.random.key(0), ParamSpec((8, 2), 8, 2))
    >>> bool(abs(w.T @ w - jnp.eye(2) / 4).max() < 1e-6)
    True
    """
    checks.check_scale("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        window, inputs, units = kernel_shape("modular_orthogonal", spec)
        places = math.prod(window)
        keys = jax.random.split(key, places) if window else key[None]

        def place(key: jax.Array) -> jax.Array:
            return _haar(key, inputs, units, gain, spec)

        matrices = jax.vmap(place)(keys)
        factor = jnp.asarray((units / inputs) ** 0.5 / places, spec.dtype)
        return (matrices * factor).reshape(spec.shape)

    return init


@checks.checked
def delta_orthogonal(gain: Number = 1.0) -> Initializer:
    """`w[centre] = gain Q`, else 0, rows of Q orthonormal: a convolution that keeps lengths.

    Args:
      gain: the singular values, at least 0; may be traced.

    Returns:
      The initializer of a convolution's weights [*window, inputs, units], units >= inputs.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is negative, NaN or infinite; when drawn, if the spec is not a
        convolution's or has fewer units than inputs.

    Source: Xiao et al. 2018, arXiv:1806.05393, algorithm 1.

    >>> w = delta_orthogonal()(jax.random.key(0), ParamSpec((3, 2, 4), 6, 12))
    >>> bool(abs(w[1] @ w[1].T - jnp.eye(2)).max() < 1e-5), float(abs(w[0]).max())
    (True, 0.0)
    """
    checks.check_scale("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        window, inputs, units = kernel_shape("delta_orthogonal", spec)
        check_window("delta_orthogonal", spec, window)
        if units < inputs:
            raise ValueError(
                "delta_orthogonal requires at least as many units as inputs, got shape "
                f"{spec.shape} for {spec.path!r}"
            )
        return at_centre(_haar(key, inputs, units, gain, spec), window)

    return init


def _haar(key: jax.Array, inputs: int, units: int, gain: Number, spec: ParamSpec) -> jax.Array:
    """`gain Q` [inputs, units], Q uniform among those with orthonormal rows or columns."""
    # XLA has no QR below float32.
    dtype = spec.dtype if jnp.finfo(spec.dtype).bits >= 32 else jnp.float32
    draw = jax_initializers.orthogonal(jnp.asarray(gain, dtype))
    return draw(key, (inputs, units), dtype).astype(spec.dtype)
