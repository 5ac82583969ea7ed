"""What finite width adds to the correlation of two inputs, to the first order in depth / width."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import compute
from initlab.theory.finite_width import check_numbers
from initlab.theory.piecewise import Pieces, find_pieces
from initlab.theory.quadrature import kernel_mean
from initlab.types import Activation, Array

__all__ = ["finite_width_correlation"]

Numbers = Array | float


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
    return compute(_decorrelations, (find_pieces(activation), depth), numbers)


def _decorrelations(pieces: Pieces, depth: int, sigma_w2, sigma_b2, q0, c0, width) -> jax.Array:
    """By half-sum s and half-difference d of the two, over sqrt(2) each.

    They are independent in the mean. Of the kernel it follows Var s and Var d as in wide networks,
    the shift of their means [2], their covariance [2, 2], and the variance of Cov(s, d), half the
    difference of the two lengths. Shifts are followed to the first order alone: those of relu's
    lengths, which cancel in the cosine, are many times the cosine's own.
    """

    def layer(state: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], jax.Array]:
        kernel, shift, spread, lean = state
        # What n units show has n draws' own spread on top.
        s, d = kernel
        shown = spread + 2 * jnp.diag(kernel**2) / width, lean + s * d / width
        measured = _shown_decorrelation(s, d, shift, *shown)

        mean, covariance, lean_noise, first, second, by_lean, turn = _layer_moments(pieces, s, d)
        # Both sums of squares of two means of squares: sigma_b2 adds to the half-sum alone.
        biases = jnp.stack([2 * sigma_b2, jnp.zeros_like(sigma_b2)])
        bend = jnp.einsum("kij,ij->k", second, spread) + by_lean * lean
        slope = sigma_w2 * first
        after = (
            sigma_w2 * mean + biases,
            slope @ shift + sigma_w2 * bend / 2,
            slope @ spread @ slope.T + sigma_w2**2 * covariance / width,
            (sigma_w2 * turn) ** 2 * lean + sigma_w2**2 * lean_noise / width,
        )
        return after, measured

    zero = jnp.zeros_like(q0)
    start = jnp.stack([q0 * (1 + c0), q0 * (1 - c0)])
    none = jnp.zeros((2,), q0.dtype), jnp.zeros((2, 2), q0.dtype), zero
    return jax.lax.scan(layer, (start, *none), length=depth + 1)[1]


def _layer_moments(pieces: Pieces, along: jax.Array, across: jax.Array) -> tuple[jax.Array, ...]:
    """Of `p = ((a + b)^2 / 2, (a - b)^2 / 2)` and `r = (a^2 - b^2) / 2`, a and b activations.

    Derivatives of a Gaussian mean by its kernel are means with Hermite polynomials (Price 1958),
    which hold for activations with kinks too.

    Returns:
      E p [2], Cov p [2, 2], Var r; the slope [2, 2] and curvature [2, 2, 2] of E p in the two
      variances, its curvature [2] in the covariance of half-sum and half-difference, and the slope
      of E r in that.
    """

    def products(s: jax.Array, d: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        p0, p1, r = (a + b) ** 2 / 2, (a - b) ** 2 / 2, (a - b) * (a + b) / 2
        s2, d2 = s**2 - 1, d**2 - 1
        s4, d4 = s**4 - 6 * s**2 + 3, d**4 - 6 * d**2 + 3
        by = (jnp.ones_like(s), s2, d2, s4, s2 * d2, d4)
        return jnp.stack([p * h for p in (p0, p1) for h in by] + [p0**2, p1**2, r**2, r * s * d])

    *of_products, square, square_of_difference, lean_noise, turn = kernel_mean(
        pieces, along, across, products
    )
    by = jnp.stack(of_products).reshape(2, 6)
    mean, scale = by[:, 0], jnp.stack([along, across])
    first = by[:, 1:3] / (2 * scale[None, :])
    mixed = by[:, 4] / (along * across)
    second = jnp.stack(
        [
            jnp.stack([by[:, 3] / (4 * along**2), mixed / 4], axis=-1),
            jnp.stack([mixed / 4, by[:, 5] / (4 * across**2)], axis=-1),
        ],
        axis=-1,
    )
    # p0 p1 = r^2.
    squares = jnp.stack(
        [jnp.stack([square, lean_noise]), jnp.stack([lean_noise, square_of_difference])]
    )
    covariance = squares - jnp.outer(mean, mean)
    return mean, covariance, lean_noise, first, second, mixed, turn / jnp.sqrt(along * across)


def _shown_decorrelation(
    s: jax.Array, d: jax.Array, shift: jax.Array, spread: jax.Array, lean: jax.Array
) -> jax.Array:
    """Mean of `1 - (s - d) / sqrt((s + d)^2 - 4 r^2)`: its slopes and curvatures where r is 0."""
    whole = s + d
    moved = 2 * (s * shift[1] - d * shift[0]) / whole**2
    bend = d * spread[0, 0] - (s - d) * (spread[0, 1] + lean) - s * spread[1, 1]
    return 2 * d / whole + moved + 2 * bend / whole**3
