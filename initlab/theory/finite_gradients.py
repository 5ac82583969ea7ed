"""What finite width adds to gradients, to the first order in depth / width.

Derivation. g_l is the gradient by z_l, and in wide networks |g_l|^2 = chi(q_l) |g_(l+1)|^2, where
chi(q) = sigma_w2 E phi'(sqrt(q) u)^2, u a unit normal. With F the map of q and n units a layer:

  (1)  ln E |g_l|^2 / |g_L|^2 = sum over k >= l of ln chi(q_k) + e_k + K_k I_(k+1) + A_(k+1) w_k

Mean. Q_l is off its limit by the mean delta_l and the variance v_l of `finite_width_variance`, so

  (2)  e_k = (chi' delta_k + chi'' v_k / 2) / chi          `chi_shift`
       delta_(k+1) = F' delta_k + F'' v_k / 2,    v_(k+1) = F'^2 v_k + sigma_w2^2 Var(phi^2) / n

Correlation of layers. The same units make the slopes of layer k and the next q, so ln chi_k
covaries with q_(k+1) by K_k, and q_(k+1) moves all factors above by the influence I_(k+1):

  (3)  K_k = (sigma_w2^2 Cov(phi^2, phi'^2) / n + chi' F' v_k) / chi       `chi_q_covariance`
       I_k = (ln chi)' + F' I_(k+1),    I_L = 0                            `influence`

Alignment. Going back, g_(l+1) meets weights W of which the forward pass has fixed
W a_l = z_(l+1) - b; given that, the rest of W is still Gaussian (Bolthausen 2014). So what counts
is A_l = n (z_l . g_l)^2 / (|z_l|^2 |g_l|^2) - 1, the excess of the gradient's share along z over
that of a random direction. It is 0 at the last layer, and

  (4)  A_l = t_l A_(l+1) + f_l - 1
       t = q_l F'^2 / (q_(l+1) chi)                      `alignment_gain`
       f = sigma_w2 E z^2 phi'^2 / (q chi)               `alignment_source`
       w = sigma_w2^2 E phi^2 phi'^2 / (n q_(l+1) chi)   `alignment_weight`
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import compute
from initlab.theory.existence import check_holds, lost_layers, nan_where
from initlab.theory.finite_width import check_numbers
from initlab.theory.maps import gradient_factor, second_moment
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import mean
from initlab.types import Activation, Array, Numbers

__all__ = ["finite_width_gradient"]


class _Layer(NamedTuple):
    """What one layer of many units does, and how n units are off; names as in the derivation.

    Attributes:
      q_slope: F', the slope of the map of q.
      chi: the gradient's factor.
      chi_shift: e, by what share the mean of chi is off.
      log_chi_slope: (ln chi)'.
      chi_q_covariance: K, of ln chi, as n units show it, with the next layer's q.
      alignment_weight: w.
      alignment_gain: t.
      alignment_source: f.
    """

    q_slope: jax.Array
    chi: jax.Array
    chi_shift: jax.Array
    log_chi_slope: jax.Array
    chi_q_covariance: jax.Array
    alignment_weight: jax.Array
    alignment_gain: jax.Array
    alignment_source: jax.Array


@checks.checked
def finite_width_gradient(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    width: Numbers,
    depth: int,
) -> Array:
    """Mean over networks of `|g_l|^2 / |g_L|^2`, g the gradient by z_l: `prod chi(q_k)` and a term.

    g_L is random and independent of the weights. Three things move the product: q of n units is not
    its limit, with the mean and variance of `finite_width_variance`; the factors of two layers
    are correlated, because the same units make the one's slopes and the next one's q; and going
    back, a gradient meets weights that the forward pass has conditioned on `W a_(l-1) = z_l - b`,
    so that its share along z_l, `(z . g)^2 / (|z|^2 |g|^2)`, counts, which is 1 / n at the last
    layer only. Equations (1) to (4) of this module are the derivation.
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
      ValueError: if activation is not elementwise, depth under 1, a number negative or not one, or
        a mean infinite or beyond float64; traced numbers give what is not finite.

    Source: the conditioning on the way forward is that of Bolthausen 2014, arXiv:1201.2891;
    Roberts, Yaida and Hanin 2021, arXiv:2106.10165, chapter 9, for gradients at finite width.

    >>> finite_width_gradient(jax.nn.relu, 2.0, 0.0, 1.0, 10, 3).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    checks.check_count("depth", depth, 1)
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q0": q0, "width": width}
    check_numbers(numbers)
    pieces = find_pieces(activation)
    means, q = compute(_gradients, (pieces, depth), numbers)
    # Products of the two have means where the fourth powers of both have.
    for function in (activation, slope_pieces(pieces).function):
        lost = lost_layers(function, q, q, power=4)
        if lost is not None:
            means = nan_where(jnp.append(jnp.full_like(lost, lost.any()), False), means)
    check_holds("the mean", means, ("activation", *numbers, "depth"))
    return means


def _gradients(
    pieces: Pieces,
    depth: int,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q0: jax.Array,
    width: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The means, and the variances [depth] that their factors are taken at."""
    slope = slope_pieces(pieces)

    def average(
        function: Callable[[jax.Array, jax.Array, jax.Array], jax.Array], q: jax.Array
    ) -> jax.Array:
        """`E f(z, phi, phi')`."""

        def of(z: jax.Array) -> jax.Array:
            return function(z, pieces.function(z), slope.function(z))

        return mean(slope._replace(function=of), q)

    def forward(state: tuple[jax.Array, ...], _: None) -> Any:
        q, shift, variance = state
        (moment, moment_slope), moment_curvature = _two_slopes(
            lambda q: second_moment(pieces, q), q
        )
        (slope_moment, slope_of_it), curvature_of_it = _two_slopes(
            lambda q: gradient_factor(pieces, one, q), q
        )
        q_slope = sigma_w2 * moment_slope
        # Where all pre-activations are 0, the next are so too unless something is added.
        is_zero = q == 0
        added = sigma_w2 * pieces.function(zero) ** 2 + sigma_b2
        next_q = jnp.where(is_zero, added, sigma_w2 * moment + sigma_b2)
        share = _ratio(sigma_w2, next_q)
        squares = average(lambda z, a, s: a**2 * s**2, q)
        noise = sigma_w2**2 * (average(lambda z, a, s: a**4, q) - moment**2) / width
        # Equation (3): what the layer's own units add to the covariance, beside the part due to v.
        own = sigma_w2 * (squares - moment * slope_moment) / width
        layer = _Layer(
            q_slope=q_slope,
            chi=sigma_w2 * slope_moment,
            chi_shift=_ratio(slope_of_it * shift + curvature_of_it * variance / 2, slope_moment),
            log_chi_slope=_ratio(slope_of_it, slope_moment),
            chi_q_covariance=_ratio(own + slope_of_it * q_slope * variance, slope_moment),
            alignment_weight=share * _ratio(squares, width * slope_moment),
            alignment_gain=share * _ratio(q * moment_slope**2, slope_moment),
            alignment_source=_ratio(average(lambda z, a, s: z**2 * s**2, q), q * slope_moment),
        )
        # Equation (2): the next layer's delta and v.
        shift = q_slope * shift + sigma_w2 * moment_curvature * variance / 2
        variance = q_slope**2 * variance + noise
        # A layer of zeros has no fluctuations; its derivatives by q may be infinite.
        certain = _Layer(q_slope, layer.chi, zero, zero, zero, layer.alignment_weight, zero, one)
        layer, shift, variance = jax.tree.map(
            functools.partial(jnp.where, is_zero),
            (certain, zero, zero),
            (layer, shift, variance),
        )
        return (next_q, shift, variance), (layer, q)

    zero, one = jnp.zeros_like(q0), jnp.ones_like(q0)
    _, (layers, seen) = jax.lax.scan(forward, (q0, zero, zero), length=depth)

    def backward(
        state: tuple[jax.Array, ...], layer: _Layer
    ) -> tuple[tuple[jax.Array, ...], jax.Array]:
        mean, alignment, influence = state
        # Equation (1), before the state moves on: alignment and influence are those of layer k + 1.
        log = layer.chi_shift + layer.chi_q_covariance * influence
        # By its factors, of which one may be 0: no weights, or no slopes.
        mean = mean * layer.chi * jnp.exp(log + alignment * layer.alignment_weight)
        # Equations (4) and (3), for the layer before.
        alignment = layer.alignment_gain * alignment + layer.alignment_source - 1
        influence = layer.log_chi_slope + layer.q_slope * influence
        return (mean, alignment, influence), mean

    _, before = jax.lax.scan(backward, (one, zero, zero), layers, reverse=True)
    return jnp.concatenate([before, jnp.ones_like(before[:1])]), seen


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    """`part / whole`; 0 for a whole of 0, of which what counts is that chi or a signal is 0."""
    is_zero = whole == 0
    return jnp.where(is_zero, jnp.zeros_like(part), part / jnp.where(is_zero, 1, whole))


def _two_slopes(
    function: Callable[[jax.Array], jax.Array], q: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """`(f, f'), f''`."""

    def with_slope(q: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(function, (q,), (jnp.ones_like(q),))

    value, (_, curvature) = jax.jvp(with_slope, (q,), (jnp.ones_like(q),))
    return value, curvature
