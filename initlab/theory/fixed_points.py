"""Where q and correlation settle with depth, and over how many layers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.theory.existence import check_mean, has_mean, nan_where
from initlab.theory.maps import gradient_factor, q_step, second_moment, second_moment_slope
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import half_squared_difference, pair_mean
from initlab.theory.roots import bracketed_root, differentiable_root
from initlab.types import Activation, Array, Numbers

__all__ = [
    "Q_GRID",
    "FixedPoint",
    "check_fixed",
    "depth_scale",
    "fixed_point",
    "fixed_q",
    "q_table",
]

Q_GRID = 10.0 ** (np.arange(-15 * 16, 12 * 16 + 1) / 16)
"""q at which the map of q is evaluated, sixteen to a decade, 1 among them."""

INDEX_OF_1 = 15 * 16
"""Where Q_GRID is 1."""


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


@checks.checked
def fixed_point(activation: Activation, sigma_w2: Numbers, sigma_b2: Numbers) -> FixedPoint:
    """`q = q_map(q)`, `c = c_map(q, c)`, `xi_q = -1/ln q_map'(q)`, `xi_c = -1/ln chi(c)`.

    Of several fixed points it is the one to which the map takes q = 1: the first above 1, if the
    map enlarges 1, else the first below. Where every q is a fixed point (relu on its critical line)
    it is 1.

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
      ValueError: if activation is not elementwise, a number negative, sigma_b2 beyond the range in
        which q is looked for, or the mean square infinite at q = 1 or the fixed point.

    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> point = fixed_point(jnp.tanh, 1.5, 0.05)
    >>> round(float(point.q), 8), round(float(point.xi_c), 6), bool(point.exists)
    (0.4180372, 15.790994, True)
    """
    if checks.is_concrete(sigma_b2) and np.any(np.asarray(sigma_b2, np.float64) >= Q_GRID[-1]):
        raise ValueError(f"sigma_b2 must be under {Q_GRID[-1]:g}, where q is no longer looked for")
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    point = evaluate(_fixed_point, (find_pieces(activation),), numbers)
    return check_fixed(activation, point)


def check_fixed(activation: Activation, point: FixedPoint) -> FixedPoint:
    """The point, if the mean square is finite on the way from q = 1 to it.

    Args:
      activation: phi.
      point: what was found, of any shape.

    Returns:
      The point; of a traced one NaN, and exists False, where the mean square is infinite.

    Raises:
      ValueError: if it is infinite, of a known point.

    >>> bool(check_fixed(jnp.tanh, fixed_point(jnp.tanh, 1.5, 0.05)).exists)
    True
    """
    if not checks.is_concrete(point.q):
        largest = jnp.maximum(1.0, jnp.where(point.exists, point.q, 0.0))
        lost = point.exists & ~has_mean(activation, largest, power=2)
        q, c, chi1, xi_q, xi_c = (nan_where(lost, each) for each in point[:-1])
        return FixedPoint(q, c, chi1, xi_q, xi_c, point.exists & ~lost)
    if np.any(point.exists):
        largest = np.max(np.where(point.exists, point.q, 0.0))
        check_mean("activation", activation, max(1.0, float(largest)), power=2)
    return point


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

    # In the angle, c = cos(angle), every activation's map is smooth, those with kinks too. Its
    # least value: under eps^(1/2) the cosine rounds to 1, and 0 / 0 is left.
    least = jnp.asarray(float(jnp.finfo(q.dtype).eps) ** (2 / 5), q.dtype)
    ends = least, jnp.where(chaotic, np.pi / 2, least).astype(q.dtype)
    angle = bracketed_root(lambda angle: excess(jnp.cos(angle)), *map(jax.lax.stop_gradient, ends))
    root = jnp.where(chaotic, jnp.cos(angle), jnp.asarray(0.5, q.dtype))
    # Again in c and not in the angle: the root is the same, and its derivative one chain rule less.
    root = differentiable_root(excess, root)
    slope = sigma_w2 * pair_mean(slope_pieces(pieces), q_or_1, root)
    nothing = jnp.asarray(jnp.nan, q.dtype)
    c = jnp.where(exists, jnp.where(chaotic, root, jnp.ones_like(q)), nothing)
    xi_c = jnp.where(exists, depth_scale(jnp.where(chaotic, slope, chi1)), nothing)
    return FixedPoint(q, c, chi1, xi_q, xi_c, exists)


def q_table(pieces: Pieces, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """`E phi^2` and its slope in q, at Q_GRID: shared by all variances.

    Args:
      pieces: phi.
      dtype: of the table.

    Returns:
      Two arrays of the grid's size.

    >>> moments, slopes = q_table(find_pieces(jax.nn.relu), jnp.float32)
    >>> moments.shape == Q_GRID.shape, float(slopes[0].round(5))
    (True, 0.5)
    """

    def moments(q: jax.Array) -> tuple[jax.Array, jax.Array]:
        return second_moment(pieces, q), second_moment_slope(pieces, q)

    return jax.vmap(moments)(jnp.asarray(Q_GRID, dtype))


def fixed_q(
    pieces: Pieces,
    table: tuple[jax.Array, jax.Array],
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """`(q, chi1, xi_q, exists)` of scalars, as in `FixedPoint`.

    Args:
      pieces: phi.
      table: of `q_table`.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.

    Returns:
      Four scalars, differentiable in the two variances.

    >>> relu, one, half = find_pieces(jax.nn.relu), jnp.float32(1.0), jnp.float32(0.5)
    >>> q, chi1, _, exists = fixed_q(relu, q_table(relu, jnp.float32), one, half)
    >>> float(q.round(4)), float(chi1.round(4)), bool(exists)  # q = q / 2 + 1 / 2
    (1.0, 0.5, True)
    """
    # The search compares and loops: its own derivatives are no use, and the implicit function's
    # need the variances in the equation alone.
    fixed = map(jax.lax.stop_gradient, (sigma_w2, sigma_b2))
    found, exists = _first_fixed_q(pieces, table, *fixed)
    largest = jnp.asarray(Q_GRID[-1], found.dtype)
    finite = differentiable_root(
        lambda q: q_step(pieces, sigma_w2, sigma_b2, q) - q,
        jnp.where(exists, found, largest),
    )
    chi1 = gradient_factor(pieces, sigma_w2, finite)
    slope = sigma_w2 * second_moment_slope(pieces, finite)
    q = jnp.where(exists, finite, jnp.asarray(jnp.inf, found.dtype))
    xi_q = jnp.where(exists, depth_scale(jnp.abs(slope)), jnp.asarray(jnp.nan, found.dtype))
    return q, chi1, xi_q, exists


def _first_fixed_q(
    pieces: Pieces,
    table: tuple[jax.Array, jax.Array],
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The first fixed point from 1 on, in the direction in which the map moves 1; if it exists.

    Between two grid points, the cubic through values and slopes tests whether the map touches
    the diagonal, so that two fixed points close to each other are not missed.
    """
    dtype = sigma_w2.dtype
    at = jnp.asarray(Q_GRID, dtype)
    moments, slopes = table
    excess, slope = sigma_w2 * moments + sigma_b2 - at, sigma_w2 * slopes - 1
    # Two roots within a cell leave the signs at its ends equal, but have an extremum of the excess
    # between them: at this share of the cell, were its slope linear there.
    share = jnp.clip(
        slope[:-1] / jnp.where(slope[:-1] == slope[1:], 1, slope[:-1] - slope[1:]), 0, 1
    )
    width = jnp.diff(at)
    between = at[:-1] + share * width
    # The cubic Hermite basis at that share: of the values (h00, h01) and the slopes (h10, h11).
    h00, h01 = (1 + 2 * share) * (1 - share) ** 2, share**2 * (3 - 2 * share)
    h10, h11 = share * (1 - share) ** 2, -(share**2) * (1 - share)
    cubic = h00 * excess[:-1] + h01 * excess[1:] + width * (h10 * slope[:-1] + h11 * slope[1:])
    at_zero = sigma_w2 * pieces.function(jnp.zeros_like(at[0])) ** 2 + sigma_b2

    def interleave(first: jax.Array, even: jax.Array, odd: jax.Array) -> jax.Array:
        pairs = jnp.stack([even[:-1], odd], axis=1).ravel()
        return jnp.concatenate([first[None], pairs, even[-1:]])

    places = interleave(jnp.zeros_like(at_zero), at, between)
    excesses = interleave(at_zero, excess, cubic)
    # One place for q = 0, then grid points and extrema by turns.
    start, index = 1 + 2 * INDEX_OF_1, jnp.arange(places.size)
    above = jnp.argmax((index > start) & (excesses <= 0))
    below = places.size - 1 - jnp.argmax(((index < start) & (excesses >= 0))[::-1])
    grows = excesses[start] > 0
    low = jnp.where(grows, above - 1, below)
    vanishes = (low == 0) & (at_zero == 0)
    # A bracket without width takes no steps.
    high = jnp.where(vanishes, low, low + 1)
    root = bracketed_root(
        lambda q: q_step(pieces, sigma_w2, sigma_b2, q) - q, places[low], places[high]
    )
    # To the quadrature's rounding, of some hundred terms, 1 is a fixed point already.
    is_fixed = jnp.abs(excesses[start]) <= 1000 * jnp.finfo(dtype).eps
    root = jnp.where(is_fixed, jnp.ones_like(root), root)
    return root, is_fixed | ~grows | (above > 0)


def depth_scale(slope: jax.Array) -> jax.Array:
    """`-1 / ln slope`, infinite for a slope of 1, to rounding, or more.

    Args:
      slope: of a map at its fixed point, at least 0, any shape.

    Returns:
      Layers over which a distance falls by e, of the same shape; 0 for a slope of 0.

    >>> [round(each, 4) for each in depth_scale(jnp.array([0.0, 0.5, 1.0])).tolist()]
    [0.0, 1.4427, inf]
    """
    decays = slope < 1 - 16 * jnp.finfo(slope.dtype).eps
    # Two selections, so that the one not taken has no derivative of NaN.
    safe = jnp.where(decays & (slope > 0), slope, jnp.asarray(0.5, slope.dtype))
    scale = jnp.where(decays, -1 / jnp.log(safe), jnp.asarray(jnp.inf, slope.dtype))
    return jnp.where(slope > 0, scale, jnp.zeros_like(slope))
