"""The singular values of a deep network's Jacobian: their mean, and how far they spread."""

from typing import NamedTuple

import jax
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.theory.existence import where_mean
from initlab.theory.maps import gradient_factor
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.theory.quadrature import mean
from initlab.types import Activation, Array

__all__ = ["JacobianSpectrum", "jacobian_spectrum"]


class JacobianSpectrum(NamedTuple):
    """The squared singular values of `J = prod D_l W_l`, D the slopes, W the weights.

    Attributes:
      mean: of the squared singular values: by what a gradient's squared norm is multiplied.
      variance: of the squared singular values; 0 is dynamical isometry.
    """

    mean: Array
    variance: Array


@checks.checked
def jacobian_spectrum(
    activation: Activation,
    sigma_w2: Array | float,
    q: Array | float,
    depth: int,
    *,
    orthogonal: bool = False,
) -> JacobianSpectrum:
    """`mean = chi^L`, `variance = chi^(2L) L (mu_2 / mu_1^2 - 1 - s_1)`, `mu_k = E phi'^(2k)`.

    s_1 is -1 for Gaussian weights and 0 for orthogonal ones. At chi = 1 the mean is kept, but the
    spread grows with depth: for Gaussian weights by at least 1 a layer, for orthogonal ones by as
    little as the slopes differ. relu spreads by 1 a layer even so, which no scale changes; tanh
    does not where q goes to 0.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights; for orthogonal ones the squared gain.
      q: variance of the pre-activations, the same in all layers.
      depth: how many layers, L.
      orthogonal: whether weights are scaled orthogonal rather than Gaussian matrices.

    Returns:
      Mean and variance, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if activation is not a function of one array, depth not an integer, or a number not
        real.
      ValueError: if activation is not elementwise, depth under 1, or a number negative.

    Source: Pennington, Schoenholz and Ganguli 2017, arXiv:1711.04735, and 2018, arXiv:1802.09979.

    >>> [round(float(each), 9) for each in jacobian_spectrum(jax.nn.relu, 2.0, 1.0, 10)]
    [1.0, 20.0]
    """
    checks.check_count("depth", depth, 1)
    numbers = {"sigma_w2": sigma_w2, "q": q}
    if checks.is_concrete(sigma_w2) and not np.all(sigma_w2):
        raise ValueError("sigma_w2 must be over 0, got 0: the Jacobian is 0")
    pieces = find_pieces(activation)
    found = evaluate(_spectrum, (pieces, depth, bool(orthogonal)), numbers)
    return where_mean("activation", slope_pieces(pieces).function, found, q, power=4)


def _spectrum(
    pieces: Pieces, depth: int, orthogonal: bool, sigma_w2: jax.Array, q: jax.Array
) -> JacobianSpectrum:
    slope = slope_pieces(pieces)

    def fourth_power(z: jax.Array) -> jax.Array:
        return slope.function(z) ** 4

    fourth = slope._replace(function=fourth_power)
    chi = gradient_factor(pieces, sigma_w2, q)
    # mu_2 / mu_1^2, by factors of sigma_w2 that cancel.
    ratio = sigma_w2**2 * mean(fourth, q) / chi**2
    return JacobianSpectrum(
        chi**depth, chi ** (2 * depth) * depth * (ratio - (1 if orthogonal else 0))
    )
