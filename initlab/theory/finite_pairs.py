"""What finite width adds to the correlation of two inputs, to the first order in depth / width.

Derivation. Let z and z' be the pre-activations of two inputs, s = (z + z') / sqrt 2 and
d = (z - z') / sqrt 2. Given the layers before they are Gaussian with the random kernel
S = Var s, D = Var d, R = Cov(s, d) = (Var z - Var z') / 2, so (S, D) has the mean m and the
covariance V, and R has the mean 0 and the variance U (`cross_variance`). Exchanging the two inputs
turns R into -R, so R is uncorrelated with S and D. A layer of n units maps them, with
p = ((a + a')^2 / 2, (a - a')^2 / 2) and r = (a^2 - a'^2) / 2 of the activations a and a':

  (1)  m' = sigma_w2 E p + (2 sigma_b2, 0) + sigma_w2 (d2E p : V + d2E p/dR2 U) / 2
  (2)  V' = J V J^T + sigma_w2^2 Cov(p) / n,    J = sigma_w2 dE p / d(S, D)
  (3)  U' = (sigma_w2 dE r / dR)^2 U + sigma_w2^2 Var(r) / n

Derivatives of a Gaussian mean by its kernel are means with Hermite polynomials of the unit normals
u = s / sqrt S and v = d / sqrt D (Price 1958), which holds for activations with kinks too:

  (4)  d/dS = E[. (u^2 - 1)] / 2S          d2/dS2 = E[. (u^4 - 6 u^2 + 3)] / 4S^2
       d2/dSdD = E[. (u^2 - 1)(v^2 - 1)] / 4SD
       d/dR = E[. u v] / sqrt(SD)          d2/dR2 = E[. (u^2 - 1)(v^2 - 1)] / SD

What is measured in n units is their own kernel, whose spread adds that of n draws:

  (5)  V + 2 diag(S^2, D^2) / n,    U + S D / n

and the cosine distance is a function of it, with these derivatives where R = 0, W = S + D:

  (6)  1 - c = 1 - (S - D) / sqrt(W^2 - 4 R^2)
       d/dS = -2D / W^2, d/dD = 2S / W^2, d2/dS2 = 4D / W^3, d2/dSdD = -2 (S - D) / W^3,
       d2/dD2 = -4S / W^3, d2/dR2 = -4 (S - D) / W^3
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import compute
from initlab.theory.existence import check_holds, lost_layers, nan_after
from initlab.theory.finite_width import check_numbers
from initlab.theory.piecewise import Pieces, find_pieces
from initlab.theory.quadrature import kernel_mean
from initlab.types import Activation, Array, Numbers

__all__ = ["finite_width_correlation"]


@checks.checked
def finite_width_correlation(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    c0: Numbers,
    width: Numbers,
    depth: int,
) -> Array:
    """Mean over networks of `1 - c_l`, c_l the cosine of two inputs' z_l: `1 - c_map` and a term.

    Given the layers before, the pairs of pre-activations are Gaussian, independent, with the 2 x 2
    kernel `Q_l = sigma_b2 + sigma_w2 <a_(l-1) a_(l-1)>`, means over n units. Its mean obeys
    `m_(l+1) = F(m_l) + F''(m_l) : V_l / 2`, its covariance
    `V_(l+1) = F' V_l F'^T + sigma_w2^2 Cov(a a) / n`, and the cosine that n units show is off by
    its own curvature in a kernel of covariance `V_l` + that of n draws. Right to the first order in
    depth / width.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the Gaussian weights.
      sigma_b2: variance of the biases.
      q0: variance of either input's pre-activations of the first layer.
      c0: their correlation, in (-1, 1).
      width: n, units of each layer.
      depth: how many layers follow.

    Returns:
      The means of 1 - c [depth + 1], NumPy float64; digits are kept where c is nearly 1.

    Raises:
      TypeError: if activation is not a function of one array, depth not an integer, or a number not
        real.
      ValueError: if activation is not elementwise, depth under 1, a number negative or not one, or
        c0 outside (-1, 1).

    Source: Roberts, Yaida and Hanin 2021, arXiv:2106.10165, chapter 4, for two inputs.

    >>> finite_width_correlation(jax.nn.relu, 2.0, 0.0, 1.0, 0.0, 1e9, 1).round(6).tolist()
    [1.0, 0.68169]
    """
    checks.check_count("depth", depth, 1)
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q0": q0, "c0": c0, "width": width}
    check_numbers(numbers)
    if checks.is_concrete(c0) and abs(float(c0)) == 1:
        raise ValueError(f"c0 must be in (-1, 1), got {c0}")
    distances, q = compute(_cosine_distances, (find_pieces(activation), depth), numbers)
    lost = lost_layers(activation, q[:-1], q[:-1], power=4)
    check_holds("1 - c", distances, ("activation", *numbers, "depth"))
    return distances if lost is None else nan_after(lost, distances)


def _cosine_distances(
    pieces: Pieces,
    depth: int,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q0: jax.Array,
    c0: jax.Array,
    width: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Equations (1) to (6), layer by layer, and the variances that the means are taken at."""

    def layer(state: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], Any]:
        kernel, shift, covariance, cross_variance = state
        s, d = kernel
        # Equation (5).
        observed_covariance = covariance + 2 * jnp.diag(kernel**2) / width
        observed_cross = cross_variance + s * d / width
        measured = _observed_distance(s, d, shift, observed_covariance, observed_cross)

        moments = _layer_moments(pieces, s, d)
        # Both sums of squares of two means of squares: sigma_b2 adds to the half-sum alone.
        biases = jnp.stack([2 * sigma_b2, jnp.zeros_like(sigma_b2)])
        curvature = (
            jnp.einsum("kij,ij->k", moments.curvature, covariance)
            + moments.cross_curvature * cross_variance
        )
        slope = sigma_w2 * moments.slope
        # The mean shift is carried apart from the kernel and not added to it: the shifts of relu's
        # q, which cancel in the cosine, are many times the cosine's own, and their second order
        # would exceed it (at depth / width = 1/16, 2.6 % off instead of 0.3 %).
        after = (
            sigma_w2 * moments.mean + biases,
            slope @ shift + sigma_w2 * curvature / 2,
            slope @ covariance @ slope.T + sigma_w2**2 * moments.covariance / width,
            (sigma_w2 * moments.cross_slope) ** 2 * cross_variance
            + sigma_w2**2 * moments.cross_noise / width,
        )
        return after, (measured, (s + d) / 2)

    zero = jnp.zeros_like(q0)
    start = jnp.stack([q0 * (1 + c0), q0 * (1 - c0)])
    none = jnp.zeros((2,), q0.dtype), jnp.zeros((2, 2), q0.dtype), zero
    return jax.lax.scan(layer, (start, *none), length=depth + 1)[1]


class _Moments(NamedTuple):
    """What one layer does to the kernel of a pair.

    Attributes:
      mean: E p [2].
      covariance: Cov p [2, 2].
      cross_noise: Var r.
      slope: of E p in (S, D) [2, 2].
      curvature: of E p in (S, D) [2, 2, 2].
      cross_curvature: of E p in R [2].
      cross_slope: of E r in R.
    """

    mean: jax.Array
    covariance: jax.Array
    cross_noise: jax.Array
    slope: jax.Array
    curvature: jax.Array
    cross_curvature: jax.Array
    cross_slope: jax.Array


def _layer_moments(pieces: Pieces, s_variance: jax.Array, d_variance: jax.Array) -> _Moments:
    """The moments that equations (1) to (3) need, by equation (4), in one integral."""

    def products(u: jax.Array, v: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        p0, p1, r = (a + b) ** 2 / 2, (a - b) ** 2 / 2, (a - b) * (a + b) / 2
        u2, v2 = u**2 - 1, v**2 - 1
        u4, v4 = u**4 - 6 * u**2 + 3, v**4 - 6 * v**2 + 3
        by = (jnp.ones_like(u), u2, v2, u4, u2 * v2, v4)
        return jnp.stack([p * h for p in (p0, p1) for h in by] + [p0**2, p1**2, r**2, r * u * v])

    *of_products, p0_squared, p1_squared, r_squared, r_times_uv = kernel_mean(
        pieces, s_variance, d_variance, products
    )
    by = jnp.stack(of_products).reshape(2, 6)
    mean, scale = by[:, 0], jnp.stack([s_variance, d_variance])
    mixed = by[:, 4] / (s_variance * d_variance)
    curvature = jnp.stack(
        [
            jnp.stack([by[:, 3] / (4 * s_variance**2), mixed / 4], axis=-1),
            jnp.stack([mixed / 4, by[:, 5] / (4 * d_variance**2)], axis=-1),
        ],
        axis=-1,
    )
    # The product of the two entries of p is r^2, whose mean is the entry off the diagonal.
    squares = jnp.stack([jnp.stack([p0_squared, r_squared]), jnp.stack([r_squared, p1_squared])])
    return _Moments(
        mean=mean,
        covariance=squares - jnp.outer(mean, mean),
        cross_noise=r_squared,
        slope=by[:, 1:3] / (2 * scale[None, :]),
        curvature=curvature,
        cross_curvature=mixed,
        cross_slope=r_times_uv / jnp.sqrt(s_variance * d_variance),
    )


def _observed_distance(
    s: jax.Array,
    d: jax.Array,
    shift: jax.Array,
    covariance: jax.Array,
    cross_variance: jax.Array,
) -> jax.Array:
    """Mean of equation (6): its value, slopes times shifts and half its curvatures times spreads.

    Written by its own derivatives, since `1 - c` of two equal numbers would have no digits left.
    """
    whole = s + d
    by_shift = 2 * (s * shift[1] - d * shift[0]) / whole**2
    by_spread = (
        d * covariance[0, 0] - (s - d) * (covariance[0, 1] + cross_variance) - s * covariance[1, 1]
    )
    return 2 * d / whole + by_shift + 2 * by_spread / whole**3
