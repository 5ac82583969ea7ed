"""Gaussian expectations by Gauss-Legendre quadrature on panels that end where the function breaks.

Gauss-Hermite nodes smear a kink: relu's second moment is off by 1e-3 with 100 of them. Here the
standard normal's line is cut at fixed borders, at the kinks, and at the activation's own scale, the
inputs 1, 2, 4, 8, 16, so that one that is steep against the standard deviation is resolved too.
The borders move with the variance, and carry the derivatives of jumps.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.theory.existence import REACH, where_mean
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.types import Activation, Array

__all__ = [
    "Expectation",
    "expectation",
    "half_squared_difference",
    "kernel_mean",
    "mean",
    "pair_expectation",
    "pair_mean",
    "positive",
]

# Narrow where the density is large. A panel ends at 0, about which most activations change.
BORDERS = np.array([-REACH, -8, -5, -3, -1.5, 0, 1.5, 3, 5, 8, REACH])
SCALES = np.array([-16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16])

ORDER = 10
"""Nodes on a panel."""

LOWER_ORDER = 8
"""Nodes on a panel for the estimate of the error."""


class Expectation(NamedTuple):
    """A quadrature's value, and how far it may be off.

    Attributes:
      value: the expectation.
      error: its distance from the value that two nodes fewer on each panel give; the value's own
        error is far smaller where this is small.
    """

    value: Array
    error: Array


@checks.checked
def expectation(function: Activation, q: Array | float) -> Expectation:
    """`E f(sqrt(q) z)`, z ~ N(0, 1).

    Args:
      function: elementwise; it may have kinks and jumps.
      q: variance, at least 0; a number or an array.

    Returns:
      Value and error estimate, of q's shape: NumPy float64, or traced in q's dtype.

    Raises:
      TypeError: if function is not a function of one array.
      ValueError: if function is not elementwise or has no finite mean, or q is negative.

    >>> second_moment = expectation(lambda z: jax.nn.relu(z) ** 2, 2.0)
    >>> round(float(second_moment.value), 12)
    1.0
    """
    found = evaluate(_expectation, (find_pieces(function, "function"),), {"q": q})
    return where_mean("function", function, found, q)


@checks.checked
def pair_expectation(function: Activation, q: Array | float, c: Array | float) -> Expectation:
    """`E f(u) f(v)`, (u, v) Gaussian with variances q and correlation c.

    Args:
      function: elementwise; it may have kinks and jumps.
      q: variance, at least 0.
      c: correlation in [-1, 1]; q and c are numbers or arrays that broadcast.

    Returns:
      Value and error estimate: NumPy float64, or traced in the dtype of q and c.

    Raises:
      TypeError: if function is not a function of one array.
      ValueError: if function is not elementwise or the mean infinite, q is negative or c outside
        [-1, 1].

    >>> pair = pair_expectation(jax.nn.relu, 1.0, 0.0)
    >>> round(float(pair.value * 2 * np.pi), 12)
    1.0
    """
    found = evaluate(_pair_expectation, (find_pieces(function, "function"),), {"q": q, "c": c})
    return where_mean("function", function, found, q, c)


def mean(pieces: Pieces, q: jax.Array, order: int = ORDER) -> jax.Array:
    """`E f(sqrt(q) z)` of one q; differentiable in q, at 0 too.

    Args:
      pieces: f.
      q: variance, a scalar.
      order: Gauss-Legendre nodes on each panel.

    Returns:
      The mean, a scalar of q's dtype.

    >>> float(mean(find_pieces(jnp.abs), jnp.float32(jnp.pi / 2)).round(5))
    1.0
    """
    std = jnp.sqrt(positive(q))
    x, weight = _nodes(_places(pieces, std), order)
    return jnp.sum(weight * pieces.function(std * x))


def pair_mean(pieces: Pieces, q: jax.Array, c: jax.Array, order: int = ORDER) -> jax.Array:
    """`E f(u) f(v)` of one q and c; differentiable in both.

    The slope in c is `q E f'(u) f'(v)` (Price 1958), which is finite at c = 1 where the formula's
    own derivative is not. It holds where f is continuous.

    Args:
      pieces: f.
      q: variance of u and of v, a scalar.
      c: their correlation, a scalar in [-1, 1].
      order: Gauss-Legendre nodes on each panel.

    Returns:
      The mean, a scalar of q's dtype.

    Source: Price 1958, A useful theorem for nonlinear devices having Gaussian inputs.

    >>> relu, one = find_pieces(jax.nn.relu), jnp.float32(1.0)
    >>> float((2 * jnp.pi * pair_mean(relu, one, jnp.float32(0.0))).round(4))
    1.0
    """
    if pieces.order < 1:
        # At a jump f' has a delta function, which `slope_pieces` leaves out of Price's formula: the
        # moving borders of the panels carry it.
        return _pair_mean(pieces, q, c, order)

    @jax.custom_jvp
    def value(q: jax.Array, c: jax.Array) -> jax.Array:
        return _pair_mean(pieces, q, c, order)

    @value.defjvp
    def _(
        primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        q, c = primals
        dq, dc = tangents

        def of_q(q: jax.Array) -> jax.Array:
            return _pair_mean(pieces, q, c, order)

        out, along_q = jax.jvp(of_q, (q,), (dq,))
        # By `pair_mean` and not `_pair_mean`, so that second derivatives follow Price as well.
        return out, along_q + dc * q * pair_mean(slope_pieces(pieces), q, c, order)

    return value(q, c)


def half_squared_difference(pieces: Pieces, q: jax.Array, c: jax.Array) -> jax.Array:
    """`E (f(u) - f(v))^2 / (2 (1 - c))` for c in [0, 1): no digit is lost as c nears 1.

    Args:
      pieces: f.
      q: variance of u and of v, a scalar.
      c: their correlation, a scalar in [0, 1).

    Returns:
      The quotient, a scalar: q for the identity, and near c = 1 about `q E f'(u)^2`.

    >>> identity = find_pieces(lambda z: z)
    >>> float(half_squared_difference(identity, jnp.float32(3.0), jnp.float32(0.999)).round(4))
    3.0
    """
    std = jnp.sqrt(positive(q))
    along, across = jnp.sqrt((1 + c) / 2), jnp.sqrt((1 - c) / 2)
    kinks = np.asarray(pieces.kinks, np.float64)
    # As a function of b the inner integral breaks where u and v are at kinks at the same a, since
    # u - v = 2 std across b.
    differences = np.unique(np.concatenate([np.subtract.outer(kinks, kinks).ravel(), SCALES]))
    places = _divide(differences[differences > 0], 2 * across * std)
    borders = jnp.concatenate([jnp.asarray(BORDERS[BORDERS >= 0], q.dtype), places])
    # The integrand is even in the difference of the two.
    b, weight_b = _nodes_between(jnp.sort(borders), ORDER)

    def inner(b: jax.Array) -> jax.Array:
        # u = std (along a + across b) is at a kink where a = kink / (std along) - shift; v at
        # + shift.
        shift = across / along * b
        places = _places(pieces, std * along)
        a, weight = _nodes(jnp.concatenate([places - shift, places + shift]), ORDER)
        u, v = std * (along * a + across * b), std * (along * a - across * b)
        return jnp.sum(weight * (pieces.function(u) - pieces.function(v)) ** 2)

    return jnp.sum(2 * weight_b * jax.vmap(inner)(b)) / (4 * across**2)


def kernel_mean(
    pieces: Pieces, along: jax.Array, across: jax.Array, function: Callable[..., jax.Array]
) -> jax.Array:
    """`E g(s, d, f(u), f(v))`, `u, v = (s sqrt(along) +- d sqrt(across)) / sqrt(2)`.

    Args:
      pieces: f.
      along: variance of `(u + v) / sqrt(2)`.
      across: variance of `(u - v) / sqrt(2)`, independent of it.
      function: g, from arrays [N] of s, d, f(u) and f(v) to [..., N]; s and d are standard normals.

    Returns:
      The means [...].

    >>> identity, one = find_pieces(lambda z: z), jnp.float32(1.0)
    >>> covariance = kernel_mean(identity, 3 * one, one, lambda s, d, u, v: u * v)
    >>> float(covariance.round(4))  # (along - across) / 2
    1.0
    """
    swap = along < across
    sign = jnp.where(swap, -1, 1).astype(along.dtype)
    # The inner integral is over the wider of the two, as in `_pair_mean`: shift / std is at most 1.
    wide, narrow = jnp.where(swap, across, along), jnp.where(swap, along, across)
    std, shift = jnp.sqrt(positive(wide) / 2), jnp.sqrt(positive(narrow) / 2)
    kinks = jnp.asarray(pieces.kinks, along.dtype)
    meetings = jnp.ravel(kinks[:, None] - sign * kinks[None, :])
    features = jnp.concatenate([_divide(meetings, 2 * shift), _divide(SCALES, 2 * shift)])
    b, weight_b = _nodes(features, ORDER)

    def inner(b: jax.Array) -> jax.Array:
        places = _places(pieces, std)
        moved = shift / std * b
        a, weight = _nodes(jnp.concatenate([places - moved, sign * places + moved]), ORDER)
        u, v = std * a + shift * b, sign * (std * a - shift * b)
        b = jnp.full_like(a, b)
        s, d = jnp.where(swap, b, a), jnp.where(swap, a, b)
        values = function(s, d, pieces.function(u), pieces.function(v))
        return jnp.sum(weight.reshape((1,) * (values.ndim - 1) + weight.shape) * values, axis=-1)

    return jnp.tensordot(weight_b, jax.vmap(inner)(b), axes=1)


def _expectation(pieces: Pieces, q: jax.Array) -> Expectation:
    value = mean(pieces, q)
    return Expectation(value, jnp.abs(value - mean(pieces, q, LOWER_ORDER)))


def _pair_expectation(pieces: Pieces, q: jax.Array, c: jax.Array) -> Expectation:
    value = pair_mean(pieces, q, c)
    return Expectation(value, jnp.abs(value - pair_mean(pieces, q, c, LOWER_ORDER)))


def _pair_mean(pieces: Pieces, q: jax.Array, c: jax.Array, order: int) -> jax.Array:
    """Over the half-sum a and half-difference b of (u, sign(c) v), independent of each other.

    The inner integral, over a, of standard deviation at least sqrt(1/2), is smooth in b except
    where two kinks meet.
    """
    # v is reflected where c < 0: then along is at least sqrt(1/2), and nothing is divided by 0.
    sign = jnp.where(c < 0, -1, 1).astype(q.dtype)
    std = jnp.sqrt(positive(q))
    along, across = jnp.sqrt((1 + sign * c) / 2), jnp.sqrt((1 - sign * c) / 2)
    kinks = jnp.asarray(pieces.kinks, q.dtype)
    meetings = jnp.ravel(kinks[:, None] - sign * kinks[None, :])
    scale = 2 * across * std
    features = jnp.concatenate([_divide(meetings, scale), _divide(SCALES, scale)])
    b, weight_b = _nodes(features, order)

    def inner(b: jax.Array) -> jax.Array:
        shift = across / along * b
        places = _places(pieces, std * along)
        a, weight = _nodes(jnp.concatenate([places - shift, sign * places + shift]), order)
        u, v = std * (along * a + across * b), sign * std * (along * a - across * b)
        return jnp.sum(weight * pieces.function(u) * pieces.function(v))

    return jnp.sum(weight_b * jax.vmap(inner)(b))


def positive(q: jax.Array) -> jax.Array:
    """q, and where it is 0 a number far below every rounding error, so that slopes stay finite.

    Args:
      q: variance, at least 0, any shape.

    Returns:
      A positive number of q's shape and dtype.

    >>> float(positive(jnp.float32(2.0))), bool(positive(jnp.float32(0.0)) > 0)
    (2.0, True)
    """
    # Added and not selected by jnp.where: the derivative of sqrt at 0 would be infinite in the
    # selection too, and infinity times 0 is NaN.
    return q + (1e-60 if q.dtype == jnp.float64 else 1e-30)


def _places(pieces: Pieces, std: jax.Array) -> jax.Array:
    """Kinks and scales in units of the standard deviation."""
    return _divide(np.concatenate([pieces.kinks, SCALES]), std)


def _divide(places: jax.Array | np.ndarray, std: jax.Array) -> jax.Array:
    """`places / std`, or 2 REACH for what falls beyond that, without a division by nearly 0."""
    places = jnp.asarray(places, std.dtype)
    reached = jnp.abs(places) < 2 * REACH * std
    quotient = places / jnp.where(reached, std, jnp.ones_like(std))
    return jnp.where(reached, quotient, jnp.sign(places) * 2 * REACH)


def _nodes(places: jax.Array, order: int) -> tuple[jax.Array, jax.Array]:
    """Nodes and weights of the standard normal on panels that end at the places."""
    borders = jnp.concatenate([jnp.asarray(BORDERS, places.dtype), places])
    return _nodes_between(jnp.sort(borders), order)


def _nodes_between(borders: jax.Array, order: int) -> tuple[jax.Array, jax.Array]:
    # Borders beyond REACH collapse onto it. Their panels have no width, and so no weight: the
    # number of nodes, which a program must know, does not depend on the variance.
    borders = jnp.clip(borders, -REACH, REACH)
    node, weight = (
        jnp.asarray(each, borders.dtype)[None, :] for each in np.polynomial.legendre.leggauss(order)
    )
    low, half = borders[:-1, None], (borders[1:, None] - borders[:-1, None]) / 2
    x = jnp.ravel(low + half * (1 + node))
    density = jnp.exp(-(x**2) / 2) / np.asarray(np.sqrt(2 * np.pi), x.dtype)
    return x, jnp.ravel(half * weight) * density
