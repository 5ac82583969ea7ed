"""The phase diagram: ordered and chaotic networks over a grid of weight and bias variances."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.criticality import critical_sigma_w2
from initlab.theory.evaluation import compute, in_batches
from initlab.theory.fixed_points import FixedPoint, check_fixed, depth_scale, fixed_q, q_table
from initlab.theory.piecewise import Pieces, find_pieces
from initlab.theory.quadrature import half_squared_difference
from initlab.theory.roots import bracketed_root, differentiable_root
from initlab.types import Activation, Array

__all__ = ["EdgeOfChaos", "edge_of_chaos"]

Q_POINTS, ANGLE_POINTS, MORE_ANGLE_POINTS = 40, 24, 40
"""Chebyshev points in ln q and in the angle at which the correlation map is tabulated; where kinks
can meet, which is at an angle that depends on q, it takes more angles."""

BATCH = 1000
"""Grid points whose q is found together."""


class EdgeOfChaos(NamedTuple):
    """A phase diagram.

    Attributes:
      fixed_point: of each pair of variances, arrays [W, B].
      critical_sigma_w2: [B], where chi1 = 1; NaN where no fixed point is critical.
    """

    fixed_point: FixedPoint
    critical_sigma_w2: Array


@checks.checked
def edge_of_chaos(activation: Activation, sigma_w2: Array, sigma_b2: Array) -> EdgeOfChaos:
    """`fixed_point` over the grid `sigma_w2 x sigma_b2`, and the critical line through it.

    The correlation map depends on q and correlation alone, so that it is integrated once, at
    Chebyshev points of ln q and of the angle arccos c between all q of the chaotic phase, and
    interpolated for every point of the grid: c and xi_c are those of `fixed_point` to about 1e-8
    and a part of 1e-6, q, chi1 and xi_q to rounding.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights, [W], at least 0.
      sigma_b2: variances of the biases, [B], at least 0.

    Returns:
      The diagram, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if activation is not a function of one array, or a grid is not real.
      ValueError: if activation is not elementwise, a number negative, or a grid not of rank one.

    Source: Poole et al. 2016, arXiv:1606.05340, figure 2; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> diagram = edge_of_chaos(jnp.tanh, np.array([1.0, 2.0]), np.array([0.05]))
    >>> (diagram.fixed_point.chi1 > 1).tolist()
    [[False], [True]]
    """
    for name, grid in {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}.items():
        if np.ndim(grid) != 1 or not np.size(grid):
            raise ValueError(f"{name} must be a grid of rank one, got shape {np.shape(grid)}")
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2}
    points = compute(_fixed_points, (find_pieces(activation),), numbers)
    points = check_fixed(activation, points)
    return EdgeOfChaos(points, critical_sigma_w2(activation, sigma_b2))


def _fixed_points(pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array) -> FixedPoint:
    shape = sigma_w2.size, sigma_b2.size
    weights, biases = (each.ravel() for each in jnp.meshgrid(sigma_w2, sigma_b2, indexing="ij"))
    solve = functools.partial(fixed_q, pieces, q_table(pieces, sigma_w2.dtype))
    q, chi1, xi_q, exists = in_batches(solve, (weights, biases), BATCH)
    chaotic = exists & (chi1 > 1) & (q > 0)
    root, slope = _chaotic_correlations(pieces, weights, q, chaotic)
    c = jnp.where(chaotic, root, jnp.ones_like(q))
    xi_c = depth_scale(jnp.where(chaotic, slope, chi1))
    nothing = jnp.full_like(q, jnp.nan)
    points = FixedPoint(
        q, jnp.where(exists, c, nothing), chi1, xi_q, jnp.where(exists, xi_c, nothing), exists
    )

    def as_grid(leaf: jax.Array) -> jax.Array:
        return leaf.reshape(shape)

    return jax.tree.map(as_grid, points)


def _chaotic_correlations(
    pieces: Pieces, sigma_w2: jax.Array, q: jax.Array, chaotic: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Fixed correlation and the map's slope there, of each point [P]; any number elsewhere."""
    dtype, count = q.dtype, ANGLE_POINTS if len(pieces.kinks) < 2 else MORE_ANGLE_POINTS
    # A double integral at each step of each point's root would be thousands of times the table's.
    # The map is smooth in ln q and in the angle (in c it is not at c = 1, of activations with
    # kinks), so that a series' error falls geometrically with its terms.
    log_q = jnp.where(chaotic, jnp.log(jnp.where(chaotic, q, jnp.ones_like(q))), jnp.nan)
    # Where the table lies decides no number, and no derivative.
    seen = jax.lax.stop_gradient(log_q)
    middle, half = (
        jnp.nan_to_num((jnp.nanmax(seen) + sign * jnp.nanmin(seen)) / 2) for sign in (1, -1)
    )
    # All of one q, or none chaotic: a table of some width all the same, since its derivative by q
    # is that of its rounding errors over the width. Its ends are beyond every q: the arccos of a
    # series has no derivative there.
    half = jnp.maximum(half * np.asarray(1.01, dtype), jnp.asarray(0.5, dtype))
    grid = jnp.exp(middle + half * _points(Q_POINTS, dtype))
    angles = (1 + _points(count, dtype)) * np.asarray(np.pi / 4, dtype)

    def row(q: jax.Array) -> jax.Array:
        def at(angle: jax.Array) -> jax.Array:
            return half_squared_difference(pieces, q, jnp.cos(angle))

        return jax.vmap(at)(angles) / q

    table = _to_series(jax.lax.map(row, grid), (Q_POINTS, count))

    # From angle 0, where c is 1 and no root, to a right angle: fixed correlations are at least 0.
    ends = jnp.asarray(-1 + 1e-6, dtype), jnp.asarray(1, dtype)
    derivative = jnp.asarray(np.polynomial.chebyshev.chebder(np.eye(count)), dtype)
    # Square again: a derivative has one coefficient less.
    derivative = jnp.pad(derivative, ((0, 1), (0, 0)))

    def solve(sigma_w2: jax.Array, log_q: jax.Array) -> tuple[jax.Array, jax.Array]:
        place = jnp.clip(jnp.nan_to_num((log_q - middle) / half), -1, 1)
        series = sigma_w2 * jnp.sum(_chebyshev(place, Q_POINTS)[:, None] * table, axis=0)

        def excess(series: jax.Array, x: jax.Array) -> jax.Array:
            return jnp.sum(_chebyshev(x, count) * series) - 1

        known = functools.partial(excess, jax.lax.stop_gradient(series))
        place = bracketed_root(known, *ends)
        place = differentiable_root(functools.partial(excess, series), place)
        angle = (1 + place) * np.asarray(np.pi / 4, dtype)
        steepness = jnp.sum(
            _chebyshev(place, count) * jnp.sum(derivative * series[None, :], axis=1)
        )
        # c' = 1 - (1 - c) (1 + excess) has where the excess is 0 the slope 1 - (1 - c) excess'(c),
        # dc = -sin(angle) d angle, and (1 - cos) / sin = tan(angle / 2).
        slope = 1 + jnp.tan(angle / 2) * steepness * np.asarray(4 / np.pi, dtype)
        return jnp.cos(angle), slope

    # A root that does not count must not spoil the derivatives of those that do.
    return in_batches(solve, (jnp.where(chaotic, sigma_w2, jnp.ones_like(q)), log_q), BATCH)


def _points(count: int, dtype: jnp.dtype) -> jax.Array:
    """Chebyshev points of the first kind in (-1, 1)."""
    return jnp.asarray(np.cos(np.pi * (np.arange(count) + 0.5) / count), dtype)


def _chebyshev(x: jax.Array, count: int) -> jax.Array:
    """`T_0(x), ..., T_(count - 1)(x)`."""
    # All terms at once: Clenshaw's recursion would be `count` steps one after another.
    return jnp.cos(jnp.arange(count, dtype=x.dtype) * jnp.arccos(x))


def _to_series(values: jax.Array, counts: tuple[int, int]) -> jax.Array:
    """The Chebyshev coefficients, along both axes, of values at the points."""
    rows, columns = (
        np.cos(np.pi * np.outer(np.arange(count), np.arange(count) + 0.5) / count)
        * np.where(np.arange(count) == 0, 1, 2)[:, None]
        / count
        for count in counts
    )
    # Accelerators multiply float32 matrices in fewer bits unless a precision is requested.
    precise = jax.lax.Precision.HIGHEST
    along = jnp.matmul(jnp.asarray(rows, values.dtype), values, precision=precise)
    return jnp.matmul(along, jnp.asarray(columns.T, values.dtype), precision=precise)
