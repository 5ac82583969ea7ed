"""What one layer of a wide network does to q, correlation and gradient."""

import functools

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.theory.existence import where_mean
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import mean, pair_mean, positive
from initlab.types import Activation, Array, Numbers

__all__ = [
    "as_correlation",
    "c_map",
    "chi",
    "covariance_step",
    "gradient_factor",
    "q_map",
    "q_step",
    "second_moment",
    "second_moment_slope",
]


@checks.checked
def q_map(activation: Activation, sigma_w2: Numbers, sigma_b2: Numbers, q: Numbers) -> Array:
    """`q' = sigma_w2 E phi(sqrt(q) z)^2 + sigma_b2`, z ~ N(0, 1): the map of q.

    q is the variance of a layer's pre-activations, and q' that of the next layer's, in the limit of
    many units, with weights of variance `sigma_w2 / fan_in` and biases of variance `sigma_b2`.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      q: variance of the pre-activations; numbers or arrays that broadcast, at least 0.

    Returns:
      q', NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if activation is not elementwise, its mean square infinite, or a number negative.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3.

    >>> round(float(q_map(jax.nn.relu, 2.0, 0.0, 3.0)), 12)
    3.0
    """
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q": q}
    after = evaluate(q_step, (find_pieces(activation),), numbers)
    return where_mean("activation", activation, after, q, power=2)


@checks.checked
def c_map(
    activation: Activation, sigma_w2: Numbers, sigma_b2: Numbers, q: Numbers, c: Numbers
) -> Array:
    """`c' = (sigma_w2 E phi(u) phi(v) + sigma_b2) / q'`, (u, v) of variances q, correlation c.

    q' is `q_map` of q, which is q at a fixed point of `q_map`.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      q: variance of the pre-activations of either input.
      c: their correlation, in [-1, 1]; numbers or arrays that broadcast.

    Returns:
      c', NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if activation is not elementwise, a mean infinite, a number negative, or c outside
        [-1, 1].

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 5.

    >>> round(float(c_map(jax.nn.relu, 2.0, 0.0, 1.0, 0.0)), 10)
    0.3183098862
    """
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q": q, "c": c}
    after = evaluate(_correlation_step, (find_pieces(activation),), numbers)
    return where_mean("activation", activation, after, q, power=2)


@checks.checked
def chi(activation: Activation, sigma_w2: Numbers, q: Numbers, c: Numbers = 1.0) -> Array:
    """`chi = sigma_w2 E phi'(u) phi'(v)`: the slope of `c_map` at c for a fixed point q.

    At c = 1 it is also the factor of the mean squared gradient of each layer: gradients vanish
    under 1 and explode above.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights.
      q: variance of the pre-activations.
      c: correlation of the two inputs, in [-1, 1]; numbers or arrays that broadcast.

    Returns:
      chi, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if activation is not elementwise, a mean infinite, a number negative, or c outside
        [-1, 1].

    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> round(float(chi(jax.nn.relu, 2.0, 1.0)), 12)
    1.0
    """
    pieces = find_pieces(activation)
    # At the literal 1 it is a single integral, of phi'^2; an array or a traced c takes the double
    # one, whatever it holds, since its program must not depend on its numbers.
    if checks.is_concrete(c) and not hasattr(c, "shape") and c == 1:
        factor = evaluate(gradient_factor, (pieces,), {"sigma_w2": sigma_w2, "q": q})
        return where_mean("activation", slope_pieces(pieces).function, factor, q, power=2)
    factor = evaluate(_correlation_slope, (pieces,), {"sigma_w2": sigma_w2, "q": q, "c": c})
    return where_mean("activation", slope_pieces(pieces).function, factor, q, c)


def second_moment(pieces: Pieces, q: jax.Array) -> jax.Array:
    """`E phi(sqrt(q) z)^2`, z ~ N(0, 1).

    Args:
      pieces: phi.
      q: variance, a scalar.

    Returns:
      The second moment, a scalar of q's dtype.

    >>> float(second_moment(find_pieces(jax.nn.relu), jnp.float32(2.0)).round(5))
    1.0
    """
    return mean(_squared(pieces), q)


def second_moment_slope(pieces: Pieces, q: jax.Array) -> jax.Array:
    """`d E phi(u)^2 / d q = E u phi(u) phi'(u) / q`, u ~ N(0, q).

    Args:
      pieces: phi.
      q: variance, a scalar.

    Returns:
      The derivative by q, a scalar of q's dtype.

    >>> float(second_moment_slope(find_pieces(jax.nn.relu), jnp.float32(3.0)).round(5))
    0.5
    """
    if pieces.order < 1:
        # Of a phi that jumps, phi' is without the jumps: what they add is in the panels' borders,
        # which move with q.
        return jax.grad(functools.partial(second_moment, pieces))(q)
    slope = slope_pieces(pieces)

    def product(u: jax.Array) -> jax.Array:
        return u * pieces.function(u) * slope.function(u)

    return mean(slope._replace(function=product), q) / positive(q)


def q_step(pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array) -> jax.Array:
    """`q_map` of scalars: `sigma_w2 E phi(sqrt(q) z)^2 + sigma_b2`.

    Args:
      pieces: phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      q: variance of the pre-activations.

    Returns:
      That of the next layer's.

    >>> two, half = jnp.float32(2.0), jnp.float32(0.5)
    >>> float(q_step(find_pieces(jax.nn.relu), two, half, two).round(5))
    2.5
    """
    return sigma_w2 * second_moment(pieces, q) + sigma_b2


def covariance_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> jax.Array:
    """`sigma_w2 E phi(u) phi(v) + sigma_b2`: the covariance of the next layer's pre-activations.

    Args:
      pieces: phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      q: variance of u and of v, a scalar.
      c: their correlation, a scalar in [-1, 1].

    Returns:
      The covariance, a scalar.

    >>> one, half = jnp.float32(1.0), jnp.float32(0.5)
    >>> identity = find_pieces(lambda z: z)
    >>> float(covariance_step(identity, one, one, one, half).round(5))
    1.5
    """
    return sigma_w2 * pair_mean(pieces, q, c) + sigma_b2


def gradient_factor(pieces: Pieces, sigma_w2: jax.Array, q: jax.Array) -> jax.Array:
    """`chi` at c = 1, of scalars: `sigma_w2 E phi'(sqrt(q) z)^2`.

    Args:
      pieces: phi.
      sigma_w2: fan_in times the variance of the weights.
      q: variance of the pre-activations.

    Returns:
      The factor of the mean squared gradient of a layer, a scalar.

    >>> two = jnp.float32(2.0)
    >>> float(gradient_factor(find_pieces(jax.nn.relu), two, two).round(5))
    1.0
    """
    return sigma_w2 * mean(_squared(slope_pieces(pieces)), q)


def as_correlation(ratio: jax.Array) -> jax.Array:
    """The ratio clipped to [-1, 1], which rounding may leave, with the derivative of the unclipped.

    Args:
      ratio: a covariance over a variance, any shape.

    Returns:
      The correlation, of the same shape.

    >>> float(as_correlation(jnp.float32(1.00001))), float(jax.grad(as_correlation)(1.00001))
    (1.0, 1.0)
    """
    # A clip's own derivative is 0 beyond the ends and 1/2 at them: chi at c = 1 would be lost.
    return ratio + jax.lax.stop_gradient(jnp.clip(ratio, -1, 1) - ratio)


def _correlation_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> jax.Array:
    after = q_step(pieces, sigma_w2, sigma_b2, q)
    return as_correlation(covariance_step(pieces, sigma_w2, sigma_b2, q, c) / after)


def _correlation_slope(
    pieces: Pieces, sigma_w2: jax.Array, q: jax.Array, c: jax.Array
) -> jax.Array:
    return sigma_w2 * pair_mean(slope_pieces(pieces), q, c)


def _squared(pieces: Pieces) -> Pieces:
    def square(z: jax.Array) -> jax.Array:
        return pieces.function(z) ** 2

    return pieces._replace(function=square)
