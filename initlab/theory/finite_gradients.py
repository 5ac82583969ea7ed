"""What finite width adds to gradients, to the first order in depth / width."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import compute
from initlab.theory.finite_width import check_numbers
from initlab.theory.maps import gradient_factor, second_moment
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import mean
from initlab.types import Activation, Array

__all__ = ["finite_width_gradient"]

Numbers = Array | float


class _Layer(NamedTuple):
    """What one layer of many units does, and how n units are off.

    Attributes:
      after: q of the next layer.
      stretch: the slope of the length map.
      chi: the gradient's factor.
      drift: by what share the mean of chi is off, through the length's mean and variance.
      rise: the slope of ln chi in the length.
      noise: covariance of ln chi, as n units show it, with the next layer's length.
      overlap: `sigma_w2^2 E phi'^2 phi^2 / (n q_(l+1) chi)`.
      turn: `q_(l+1) s^2 / (q chi)`, s the factor of `z . gradient` along the weights' known part.
      fresh: `sigma_w2 E z^2 phi'^2 / (q chi)`.
    """

    after: jax.Array
    stretch: jax.Array
    chi: jax.Array
    drift: jax.Array
    rise: jax.Array
    noise: jax.Array
    overlap: jax.Array
    turn: jax.Array
    fresh: jax.Array


def finite_width_gradient(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    width: Numbers,
    depth: int,
) -> Array:
    """Mean over networks of `|g_l|^2 / |g_L|^2`, g the gradient by z_l: `prod chi(q_k)` and a term.

    g_L is random and independent of the weights. Three things move the product: lengths differ from
    q, with the mean and variance of `finite_width_variance`; the factors of two layers are
    correlated, because the same units make the one's slopes and the next ones' length; and going
    back, a gradient meets weights of which the way forward has told `W a_(l-1) = z_l - b`, so that
    its share along z_l, `(z . g)^2 / (|z|^2 |g|^2)`, counts, which is 1 / n at the last layer only.
    The logarithm is right to the first order in depth / width; relu without biases has no term.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the Gaussian weights.
      sigma_b2: variance of the biases.
      q0: variance of the pre-activations of the first layer.
      width: n, units of each layer.
      depth: L, how many layers follow.

    Returns:
      The means [depth + 1], 1 for the last layer, NumPy float64.

    Raises:
      TypeError: if activation is not a function of one array, depth not an integer, or a number not
        real.
      ValueError: if activation is not elementwise, depth under 1, or a number negative or not one.

    Source: the conditioning on the way forward is that of Bolthausen 2014, arXiv:1201.2891;
    Roberts, Yaida and Hanin 2021, arXiv:2106.10165, chapter 9, for gradients at finite width.

    >>> finite_width_gradient(jax.nn.relu, 2.0, 0.0, 1.0, 10, 3).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    checks.check_count("depth", depth, 1)
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q0": q0, "width": width}
    check_numbers(numbers)
    return compute(_gradients, (find_pieces(activation), depth), numbers)


def _gradients(pieces: Pieces, depth: int, sigma_w2, sigma_b2, q0, width) -> jax.Array:
    slope = slope_pieces(pieces)

    def average(function: Any, q: jax.Array) -> jax.Array:
        """`E f(z, phi, phi')`."""

        def of(z: jax.Array) -> jax.Array:
            return function(z, pieces.function(z), slope.function(z))

        return mean(slope._replace(function=of), q)

    def forward(state: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], _Layer]:
        q, shift, variance = state
        (after, stretch), bend = _two_slopes(
            lambda q: sigma_w2 * second_moment(pieces, q) + sigma_b2, q
        )
        (chi, rise), chi_bend = _two_slopes(lambda q: gradient_factor(pieces, sigma_w2, q), q)
        moment, slope_moment = (after - sigma_b2) / sigma_w2, chi / sigma_w2
        squared = average(lambda z, a, s: a**2 * s**2, q)
        spread = sigma_w2**2 * (average(lambda z, a, s: a**4, q) - moment**2) / width
        noise = sigma_w2**2 * (squared - moment * slope_moment) / width + rise * stretch * variance
        layer = _Layer(
            after,
            stretch,
            chi,
            (rise * shift + chi_bend * variance / 2) / chi,
            rise / chi,
            noise / chi,
            sigma_w2**2 * squared / (width * after * chi),
            q * stretch**2 / (after * chi),
            sigma_w2 * average(lambda z, a, s: z**2 * s**2, q) / (q * chi),
        )
        shift = stretch * shift + bend * variance / 2
        return (after, shift, stretch**2 * variance + spread), layer

    zero = jnp.zeros_like(q0)
    _, layers = jax.lax.scan(forward, (q0, zero, zero), length=depth)

    def backward(state: tuple[jax.Array, ...], layer: _Layer) -> tuple[tuple, jax.Array]:
        # aligned: n times the gradient's share along z, less 1. influence: how the length of the
        # layer above, moved, moves the logarithm of the product of all factors from there on.
        log, aligned, influence = state
        log = log + jnp.log(layer.chi) + layer.drift + layer.noise * influence
        log = log + aligned * layer.overlap
        aligned = layer.turn * aligned + layer.fresh - 1
        influence = layer.rise + layer.stretch * influence
        return (log, aligned, influence), log

    _, logs = jax.lax.scan(backward, (zero, zero, zero), layers, reverse=True)
    return jnp.concatenate([jnp.exp(logs), jnp.ones_like(logs[:1])])


def _two_slopes(function: Any, q: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """`(f, f'), f''`."""

    def with_slope(q: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(function, (q,), (jnp.ones_like(q),))

    value, (_, bend) = jax.jvp(with_slope, (q,), (jnp.ones_like(q),))
    return value, bend
