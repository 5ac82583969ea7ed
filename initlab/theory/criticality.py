"""The edge of chaos: where neither correlations nor gradients shrink or grow with depth."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate, in_float64
from initlab.theory.existence import has_mean
from initlab.theory.maps import gradient_factor, second_moment, second_moment_slope
from initlab.theory.piecewise import Pieces, find_pieces
from initlab.theory.roots import bracketed_root, differentiable_root
from initlab.types import Activation, Array

__all__ = ["CriticalPoint", "critical_point", "critical_sigma_w2", "critical_variances"]

SEARCHED = 10.0 ** (np.arange(-6 * 16, 8 * 16 + 1) / 16)
"""Values of q between which a critical one is searched, sixteen to a decade, 1 among them."""

LARGEST_BIAS = 1e7
"""Above it a critical q, which is over sigma_b2, may lie beyond the ones searched."""


class CriticalPoint(NamedTuple):
    """Where q, correlations and gradients are all kept.

    Attributes:
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      q: the mean square that is kept: 0 where q decays to it as 1 / depth; 1 where every q is kept.
    """

    sigma_w2: Array
    sigma_b2: Array
    q: Array


@checks.checked
def critical_sigma_w2(activation: Activation, sigma_b2: Array | float) -> Array:
    """The `sigma_w2` at whose fixed point q `chi1 = 1`, for biases of variance `sigma_b2`.

    The critical line has q as its parameter: `sigma_w2 = 1 / E phi'^2` and
    `sigma_b2 = q - E phi^2 / E phi'^2`. Of several points for one `sigma_b2` it is the one of the
    smallest q.

    Args:
      activation: elementwise function phi.
      sigma_b2: variance of the biases, a number or an array, at least 0.

    Returns:
      sigma_w2, NumPy float64; traced in the dtype of a traced sigma_b2. NaN where no fixed point
      is critical: relu has one without biases only, 2.

    Raises:
      TypeError: if activation is not a function of one array, or sigma_b2 is not real.
      ValueError: if activation is not elementwise, or sigma_b2 negative or over 1e7.

    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> round(float(critical_sigma_w2(jnp.tanh, 0.05)), 8)
    1.76095464
    """
    found = evaluate(_critical_sigma_w2, (find_pieces(activation),), {"sigma_b2": sigma_b2})
    if checks.is_concrete(sigma_b2) and np.max(sigma_b2) > LARGEST_BIAS:
        raise ValueError(
            f"sigma_b2 must be at most {LARGEST_BIAS:g}, got {np.max(sigma_b2)}: a critical q is "
            f"searched up to {SEARCHED[-1]:g}"
        )
    return found


@checks.checked
def critical_point(activation: Activation) -> CriticalPoint:
    """`chi1 = 1` and `q_map'(q) = 1` at a fixed point q: `E phi phi'' = 0`.

    Three kinds of activations have one. Smooth ones that are nearly relu far from 0 (gelu, silu): q
    is positive and half-stable, kept from one side. Those for which every q is kept (relu,
    leaky_relu, linear): q is 1 by convention. Those with phi(0) = 0 and phi phi'' <= 0 (tanh, sin):
    q is 0, without biases.

    Args:
      activation: elementwise function phi.

    Returns:
      The point, NumPy float64; NaN where there is none (sigmoid, softplus).

    Raises:
      TypeError: if activation is not a function of one array.
      ValueError: if it is not elementwise.

    Source: Roberts, Yaida and Hanin 2021, The principles of deep learning theory, arXiv:2106.10165,
    sections 5.1 to 5.3.

    >>> point = critical_point(jax.nn.silu)
    >>> round(float(point.sigma_w2), 6), round(float(point.sigma_b2), 6), round(float(point.q), 4)
    (1.988005, 0.555143, 14.3202)
    """
    pieces = find_pieces(activation)
    curvature, moment, slope_moment = in_float64(_curvature_terms, pieces, SEARCHED)
    if np.all(np.abs(curvature) < 1e-10):
        return _point(1 / slope_moment[SEARCHED == 1][0], 0, 1)
    # Below 1e-12 it is rounding that changes the sign.
    sign = np.where(np.abs(curvature) < 1e-12, 0, np.sign(curvature))
    # Nor is there one where the mean square is infinite.
    sign = np.where(has_mean(activation, SEARCHED, power=2), sign, 0)
    for crossing in np.flatnonzero(sign[:-1] * sign[1:] < 0):
        low, high = SEARCHED[crossing], SEARCHED[crossing + 1]
        q, moment, slope_moment = in_float64(_double_point, pieces, low, high)
        # q is a fixed point by sigma_b2 = q - sigma_w2 E phi^2, which must be a variance.
        if moment / slope_moment <= q:
            return _point(1 / slope_moment, q - moment / slope_moment, q)
    # Towards q = 0 the curvature term vanishes without a change of sign: that end is no crossing.
    moment, slope_moment = in_float64(_at_zero, pieces)
    if moment == 0 and slope_moment != 0:
        return _point(1 / slope_moment, 0, 0)
    return _point(np.nan, np.nan, np.nan)


@checks.checked
def critical_variances(activation: Activation) -> tuple[float, float]:
    """`(sigma_w2, sigma_b2)` of the critical point; without one, of the critical line at 0 biases.

    The variances to start a network with when nothing else is known. The critical point keeps
    q, correlations and gradients. An activation without one (sigmoid) has the point of the
    critical line without biases instead, which keeps the latter two at its fixed point.

    Args:
      activation: elementwise function phi.

    Returns:
      Two floats.

    Raises:
      TypeError: if activation is not a function of one array.
      ValueError: if it is not elementwise, or has neither (softplus).

    Source: `critical_point`, Roberts, Yaida and Hanin 2021, arXiv:2106.10165; `critical_sigma_w2`,
    Poole et al. 2016, arXiv:1606.05340.

    >>> [round(each, 6) for each in critical_variances(jax.nn.relu)]
    [2.0, 0.0]
    """
    point = critical_point(activation)
    if np.isfinite(point.sigma_w2):
        return float(point.sigma_w2), float(point.sigma_b2)
    sigma_w2 = float(critical_sigma_w2(activation, 0.0))
    if np.isnan(sigma_w2):
        name = getattr(activation, "__name__", activation)
        raise ValueError(
            f"no variances are critical for {name}: it has no critical point, and without biases "
            "no critical sigma_w2"
        )
    return sigma_w2, 0.0


def _point(*numbers: float) -> CriticalPoint:
    return CriticalPoint(*(np.asarray(number, np.float64)[()] for number in numbers))


def _critical_sigma_w2(pieces: Pieces, sigma_b2: jax.Array) -> jax.Array:
    dtype = sigma_b2.dtype

    def excess(q: jax.Array) -> jax.Array:
        """What sigma_b2 must be for q to be critical, less what it is."""
        return q - second_moment(pieces, q) / _slope_moment(pieces, q) - sigma_b2

    # The first cell of the grid in which it rises through 0 holds the smallest critical q. Of
    # activations with phi(0) = 0 and no biases it is 0 at q = 0 already.
    grid = jnp.asarray(np.concatenate([[0], SEARCHED]), dtype)
    # Of a mean that is infinite there is no height.
    known = has_mean(pieces.function, grid, power=2)
    heights = jnp.where(known, jax.vmap(excess)(grid), jnp.asarray(jnp.nan, dtype))
    place = jnp.argmax(heights[1:] >= 0)
    at_zero = heights[0] >= 0
    exists = at_zero | (heights[1:][place] >= 0)
    low, high = (jax.lax.stop_gradient(grid[each]) for each in (place, place + 1))
    root = jnp.where(at_zero, jnp.zeros_like(sigma_b2), bracketed_root(excess, low, high))
    # 1 where there is no root: jnp.where differentiates both of its sides.
    q = differentiable_root(excess, jnp.where(exists, root, jnp.ones_like(root)))
    sigma_w2 = 1 / _slope_moment(pieces, q)
    return jnp.where(exists, sigma_w2, jnp.asarray(jnp.nan, dtype))


def _slope_moment(pieces: Pieces, q: jax.Array) -> jax.Array:
    """`E phi'(sqrt(q) z)^2`."""
    return gradient_factor(pieces, jnp.ones_like(q), q)


def _curvature_term(pieces: Pieces, q: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`E phi phi'' / E phi'^2`, `E phi^2`, `E phi'^2`; kinks count in phi''."""
    # Integration by parts: d E phi^2 / dq = E phi'^2 + E phi phi''. So phi'' itself, whose delta
    # functions at kinks no quadrature sees, is not evaluated.
    slope_moment = _slope_moment(pieces, q)
    curvature = second_moment_slope(pieces, q) / slope_moment - 1
    return curvature, second_moment(pieces, q), slope_moment


def _curvature_terms(pieces: Pieces, grid: np.ndarray) -> Any:
    return jax.jit(jax.vmap(functools.partial(_curvature_term, pieces)))(grid)


def _double_point(pieces: Pieces, low: float, high: float) -> Any:
    """`q, E phi^2, E phi'^2` where `E phi phi'' = 0`: there q is a double root of `q_map - q`."""

    @jax.jit
    def find(low: jax.Array, high: jax.Array) -> Any:
        q = bracketed_root(lambda q: _curvature_term(pieces, q)[0], low, high)
        return q, *_curvature_term(pieces, q)[1:]

    return find(jnp.float64(low), jnp.float64(high))


def _at_zero(pieces: Pieces) -> tuple[jax.Array, jax.Array]:
    """`phi(0)^2` and `phi'(0)^2`, of a kink the mean of both sides'."""
    zero = jnp.zeros((), jnp.float64)
    return pieces.function(zero) ** 2, _slope_moment(pieces, zero)
