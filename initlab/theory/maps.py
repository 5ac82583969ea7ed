"""What one layer of a wide network does to q, correlation and gradient."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import mean, pair_mean, positive
from initlab.types import Activation, Array, Numbers

__all__ = [
    "as_correlation",
    "c_map",
    "chi",
    "covariance_step",
    "gradient_factor",
    "length_step",
    "q_map",
    "second_moment",
    "second_moment_slope",
]


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
      ValueError: if activation is not elementwise, or a number negative.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3.

    >>> round(float(q_map(jax.nn.relu, 2.0, 0.0, 3.0)), 12)
    3.0
    """
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q": q}
    return evaluate(length_step, (find_pieces(activation),), numbers)


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
      ValueError: if activation is not elementwise, a number negative, or c outside [-1, 1].

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 5.

    >>> round(float(c_map(jax.nn.relu, 2.0, 0.0, 1.0, 0.0)), 10)
    0.3183098862
    """
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q": q, "c": c}
    return evaluate(_correlation_step, (find_pieces(activation),), numbers)


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
      ValueError: if activation is not elementwise, a number negative, or c outside [-1, 1].

    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

    >>> round(float(chi(jax.nn.relu, 2.0, 1.0)), 12)
    1.0
    """
    pieces = find_pieces(activation)
    if checks.is_concrete(c) and not hasattr(c, "shape") and c == 1:
        return evaluate(gradient_factor, (pieces,), {"sigma_w2": sigma_w2, "q": q})
    return evaluate(_correlation_slope, (pieces,), {"sigma_w2": sigma_w2, "q": q, "c": c})


def second_moment(pieces: Pieces, q: jax.Array) -> jax.Array:
    """`E phi(sqrt(q) z)^2`."""
    return mean(_squared(pieces), q)


def second_moment_slope(pieces: Pieces, q: jax.Array) -> jax.Array:
    """`d E phi(u)^2 / d q = E u phi(u) phi'(u) / q`, u ~ N(0, q)."""
    if pieces.order < 1:
        return jax.grad(lambda q: second_moment(pieces, q))(q)
    slope = slope_pieces(pieces)
    product = slope._replace(function=lambda u: u * pieces.function(u) * slope.function(u))
    return mean(product, q) / positive(q)


def length_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array
) -> jax.Array:
    """`q_map` of scalars."""
    return sigma_w2 * second_moment(pieces, q) + sigma_b2


def covariance_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> jax.Array:
    """`sigma_w2 E phi(u) phi(v) + sigma_b2`: the covariance of the next layer's pre-activations."""
    return sigma_w2 * pair_mean(pieces, q, c) + sigma_b2


def gradient_factor(pieces: Pieces, sigma_w2: jax.Array, q: jax.Array) -> jax.Array:
    """`chi` at c = 1, of scalars."""
    return sigma_w2 * mean(_squared(slope_pieces(pieces)), q)


def as_correlation(ratio: jax.Array) -> jax.Array:
    """The ratio, of which rounding must not lead out of [-1, 1], with its own derivative."""
    return ratio + jax.lax.stop_gradient(jnp.clip(ratio, -1, 1) - ratio)


def _correlation_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> jax.Array:
    after = length_step(pieces, sigma_w2, sigma_b2, q)
    return as_correlation(covariance_step(pieces, sigma_w2, sigma_b2, q, c) / after)


def _correlation_slope(
    pieces: Pieces, sigma_w2: jax.Array, q: jax.Array, c: jax.Array
) -> jax.Array:
    return sigma_w2 * pair_mean(slope_pieces(pieces), q, c)


def _squared(pieces: Pieces) -> Pieces:
    return pieces._replace(function=lambda z: pieces.function(z) ** 2)
