"""Where q and correlation settle with depth, and over how many layers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.theory.evaluation import evaluate
from initlab.theory.maps import gradient_factor, length_step, second_moment, second_moment_slope
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import half_squared_difference, pair_mean
from initlab.theory.roots import bracketed_root, differentiable_root
from initlab.types import Activation, Array, Numbers

__all__ = ["LENGTHS", "FixedPoint", "depth_scale", "fixed_q", "fixed_point", "q_table"]


LENGTHS = 10.0 ** (np.arange(-15 * 16, 12 * 16 + 1) / 16)
"""q at which the map of q is evaluated, sixteen to a decade, 1 among them."""

START = 15 * 16
"""Where LENGTHS is 1."""


class FixedPoint(NamedTuple):
    """Where the maps of one layer lead in many.

    Attributes:
      q: the mean square of z, 0 where it vanishes, infinite where it diverges.
      c: the correlation of two inputs of that q: 1 in the ordered phase (chi1 <= 1), under 1
        in the chaotic one; NaN where q has no fixed point.
      chi1: the slope of the correlation map at 1; where q diverges, that of the
        largest q evaluated, 1e12.
      xi_q: over how many layers the distance from q falls by e; infinite where it does not.
      xi_c: the same of the correlation's; signals reach about 6 xi_c layers deep.
      exists: whether q has a fixed point.
    """

    q: Array
    c: Array
    chi1: Array
    xi_q: Array
    xi_c: Array
    exists: Array


def fixed_point(activation: Activation, sigma_w2: Numbers, sigma_b2: Numbers) -> FixedPoint:
    """`q = q_map(q)`, `c = c_map(q, c)`, `xi_q = -1/ln q_map'(q)`, `xi_c = -1/ln chi(c)`.

    Of several fixed points it is the one to which q = 1 is led: upward the first, if the
    map enlarges it, else downward the first. Where every q is a fixed point (relu on its
    critical line) it is 1.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases; numbers or arrays that broadcast, at least 0.

    Returns:
      The fixed point, NumPy float64, converged to neighbouring floats; traced in the dtype of
      traced arguments. Its derivatives are those of the implicit function: NaN where q
      has no fixed point, or where it is double.

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if activation is not elementwise, or a number negative.

    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> point = fixed_point(jnp.tanh, 1.5, 0.05)
    >>> round(float(point.q), 8), round(float(point.xi_c), 6), bool(point.exists)
    (0.4180372, 15.790994, True)
    """
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    return evaluate(_fixed_point, (find_pieces(activation),), numbers)


def _fixed_point(pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array) -> FixedPoint:
    moments = q_table(pieces, sigma_w2.dtype)
    q, chi1, xi_q, exists = fixed_q(pieces, moments, sigma_w2, sigma_b2)
    chaotic = exists & (chi1 > 1) & (q > 0)
    # Elsewhere 1 in its place: jnp.where differentiates both sides, and 0 / 0 on the side that is
    # not taken would make the derivative NaN.
    q_or_1 = jnp.where(chaotic, q, jnp.ones_like(q))

    def excess(c: jax.Array) -> jax.Array:
        """`(1 - c_map(c)) / (1 - c) - 1`: of one sign on either side of the root, and no other."""
        return sigma_w2 * half_squared_difference(pieces, q_or_1, c) / q_or_1 - 1

    # In the angle, c = cos(angle), every activation's map is smooth, those with kinks too.
    least = jnp.asarray(float(jnp.finfo(q.dtype).eps) ** (2 / 5), q.dtype)
    ends = least, jnp.where(chaotic, np.pi / 2, least).astype(q.dtype)
    angle = bracketed_root(lambda angle: excess(jnp.cos(angle)), *map(jax.lax.stop_gradient, ends))
    root = jnp.where(chaotic, jnp.cos(angle), jnp.asarray(0.5, q.dtype))
    root = differentiable_root(excess, root)
    slope = sigma_w2 * pair_mean(slope_pieces(pieces), q_or_1, root)
    nothing = jnp.asarray(jnp.nan, q.dtype)
    c = jnp.where(exists, jnp.where(chaotic, root, jnp.ones_like(q)), nothing)
    xi_c = jnp.where(exists, depth_scale(jnp.where(chaotic, slope, chi1)), nothing)
    return FixedPoint(q, c, chi1, xi_q, xi_c, exists)


def q_table(pieces: Pieces, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """`E phi^2` and its slope in q, at LENGTHS: shared by all variances."""

    def moments(q: jax.Array) -> tuple[jax.Array, jax.Array]:
        return second_moment(pieces, q), second_moment_slope(pieces, q)

    return jax.vmap(moments)(jnp.asarray(LENGTHS, dtype))


def fixed_q(
    pieces: Pieces,
    table: tuple[jax.Array, jax.Array],
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """`(q, chi1, xi_q, exists)` of scalars, as in `FixedPoint`."""
    known = map(jax.lax.stop_gradient, (sigma_w2, sigma_b2))
    found, exists = _follow_length(pieces, table, *known)
    largest = jnp.asarray(LENGTHS[-1], found.dtype)
    finite = differentiable_root(
        lambda q: length_step(pieces, sigma_w2, sigma_b2, q) - q,
        jnp.where(exists, found, largest),
    )
    chi1 = gradient_factor(pieces, sigma_w2, finite)
    slope = sigma_w2 * second_moment_slope(pieces, finite)
    q = jnp.where(exists, finite, jnp.asarray(jnp.inf, found.dtype))
    xi_q = jnp.where(exists, depth_scale(jnp.abs(slope)), jnp.asarray(jnp.nan, found.dtype))
    return q, chi1, xi_q, exists


def _follow_length(
    pieces: Pieces,
    table: tuple[jax.Array, jax.Array],
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The first fixed point from 1 on, in the direction in which the map leads; and whether it is.

    Between two grid points, the cubic through values and slopes says whether the map touches
    the diagonal, so that two fixed points close to each other are not missed.
    """
    dtype = sigma_w2.dtype
    at = jnp.asarray(LENGTHS, dtype)
    moments, slopes = table
    growth, rise = sigma_w2 * moments + sigma_b2 - at, sigma_w2 * slopes - 1
    turn = jnp.clip(rise[:-1] / jnp.where(rise[:-1] == rise[1:], 1, rise[:-1] - rise[1:]), 0, 1)
    width = jnp.diff(at)
    between = at[:-1] + turn * width
    h00, h01 = (1 + 2 * turn) * (1 - turn) ** 2, turn**2 * (3 - 2 * turn)
    h10, h11 = turn * (1 - turn) ** 2, -(turn**2) * (1 - turn)
    cubic = h00 * growth[:-1] + h01 * growth[1:] + width * (h10 * rise[:-1] + h11 * rise[1:])
    at_zero = sigma_w2 * pieces.function(jnp.zeros_like(at[0])) ** 2 + sigma_b2

    def interleave(first: jax.Array, even: jax.Array, odd: jax.Array) -> jax.Array:
        pairs = jnp.stack([even[:-1], odd], axis=1).ravel()
        return jnp.concatenate([first[None], pairs, even[-1:]])

    places = interleave(jnp.zeros_like(at_zero), at, between)
    heights = interleave(at_zero, growth, cubic)
    start, index = 1 + 2 * START, jnp.arange(places.size)
    up = jnp.argmax((index > start) & (heights <= 0))
    down = places.size - 1 - jnp.argmax(((index < start) & (heights >= 0))[::-1])
    grows = heights[start] > 0
    low = jnp.where(grows, up - 1, down)
    dies = (low == 0) & (at_zero == 0)
    # A bracket without width takes no steps.
    high = jnp.where(dies, low, low + 1)
    root = bracketed_root(
        lambda q: length_step(pieces, sigma_w2, sigma_b2, q) - q, places[low], places[high]
    )
    stays = jnp.abs(heights[start]) <= 1000 * jnp.finfo(dtype).eps
    root = jnp.where(stays, jnp.ones_like(root), root)
    return root, stays | ~grows | (up > 0)


def depth_scale(slope: jax.Array) -> jax.Array:
    """`-1 / ln slope`, infinite for a slope of 1, to rounding, and more."""
    decays = slope < 1 - 16 * jnp.finfo(slope.dtype).eps
    # Two selections, so that the one not taken has no derivative of NaN.
    safe = jnp.where(decays & (slope > 0), slope, jnp.asarray(0.5, slope.dtype))
    scale = jnp.where(decays, -1 / jnp.log(safe), jnp.asarray(jnp.inf, slope.dtype))
    return jnp.where(slope > 0, scale, jnp.zeros_like(slope))
