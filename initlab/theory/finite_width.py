"""What networks of finite width add to the maps: spread and shift of q, and dead layers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import compute
from initlab.theory.existence import check_holds, lost_layers, nan_after
from initlab.theory.maps import second_moment
from initlab.theory.piecewise import Pieces, find_pieces
from initlab.theory.quadrature import mean
from initlab.types import Activation, Array, Numbers

__all__ = ["FiniteWidth", "check_numbers", "dying_relu_probability", "finite_width_variance"]


class FiniteWidth(NamedTuple):
    """The mean square `|z_l|^2 / n_l` of the pre-activations over random networks, [depth + 1].

    Attributes:
      mean: its mean.
      variance: its variance: the band around the mean.
      kernel_variance: what of that came from the layers before: the variance of
        `sigma_w2 |a_(l-1)|^2 / n_(l-1) + sigma_b2`.
    """

    mean: Array
    variance: Array
    kernel_variance: Array


@checks.checked
def finite_width_variance(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    width: Numbers,
    depth: int,
) -> FiniteWidth:
    """`Var Q_(l+1) = F'(q_l)^2 Var Q_l + sigma_w2^2 E Var phi^2 / n_l`, `F = q_map`.

    Given the layers before, a layer's pre-activations are Gaussian, independent, of variance
    `Q_l = sigma_b2 + sigma_w2 |a_(l-1)|^2 / n_(l-1)`. Its mean obeys
    `m_(l+1) = F(m_l) + F''(m_l) Var Q_l / 2`, and the measured mean square has the variance
    `Var Q_l + 2 E Q_l^2 / n_l`. Right to the first order in depth / width; for relu and the
    identity without biases to every order, where `E Q^2 / (E Q)^2` is
    `prod (1 + 5 / n_l)` and `prod (1 + 2 / n_l)`.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the Gaussian weights.
      sigma_b2: variance of the biases.
      q0: variance of the pre-activations of the first layer, which is the same for all networks.
      width: units n_l, one number or one for each layer [depth + 1].
      depth: how many layers follow.

    Returns:
      Mean and variances [depth + 1], NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if activation is not a function of one array, depth not an integer, or a number not
        real.
      ValueError: if activation is not elementwise, depth under 1, a number negative, width of
        another shape, or a mean infinite or beyond float64; traced, these are not finite.

    Source: Hanin and Rolnick 2018, arXiv:1803.01719, for relu; Roberts, Yaida and Hanin 2021,
    arXiv:2106.10165, chapter 4, for any activation.

    >>> band = finite_width_variance(jax.nn.relu, 2.0, 0.0, 1.0, 50, 10)
    >>> round(float(1 + band.kernel_variance[10]), 4)
    2.5937
    """
    checks.check_count("depth", depth, 1)
    if np.shape(width) not in ((), (depth + 1,)):
        raise ValueError(f"width must be a number or [{depth + 1}], got shape {np.shape(width)}")
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q0": q0}
    check_numbers(numbers)
    found = compute(_layers, (find_pieces(activation), depth), numbers | {"width": width})
    lost = lost_layers(activation, found.mean[..., :-1], found.mean[..., :-1], power=4)
    for name, each in found._asdict().items():
        check_holds(name, each, ("activation", *numbers, "width", "depth"))
    return found if lost is None else FiniteWidth(*(nan_after(lost, each) for each in found))


def check_numbers(numbers: Mapping[str, Any]) -> None:
    """Raises ValueError for an array where one number is required.

    Args:
      numbers: by the names that the message gives them.

    Raises:
      ValueError: if one has axes.

    >>> check_numbers({"q0": np.ones(2)})
    Traceback (most recent call last):
    ValueError: q0 must be one number, got shape (2,)
    """
    for name, value in numbers.items():
        if np.shape(value):
            raise ValueError(f"{name} must be one number, got shape {np.shape(value)}")


def _layers(
    pieces: Pieces,
    depth: int,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q0: jax.Array,
    width: jax.Array,
) -> FiniteWidth:
    width = jnp.broadcast_to(width, (depth + 1,))

    def fourth_power(z: jax.Array) -> jax.Array:
        return pieces.function(z) ** 4

    fourth = pieces._replace(function=fourth_power)

    def step_and_noise(q: jax.Array) -> jax.Array:
        """`F(q)` and `sigma_w2^2 Var phi(sqrt(q) z)^2`."""
        moment = second_moment(pieces, q)
        noise = sigma_w2**2 * (mean(fourth, q) - moment**2)
        return jnp.stack([sigma_w2 * moment + sigma_b2, noise])

    def with_slope(q: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(step_and_noise, (q,), (jnp.ones_like(q),))

    def layer(state: tuple[jax.Array, jax.Array], units: jax.Array) -> Any:
        q, variance = state
        # Of n draws of variance Q: 2 E Q^2 / n, where E Q^2 = q^2 + Var Q.
        measured = variance + 2 * (q**2 + variance) / units
        (value, slope), (_, curvature) = jax.jvp(with_slope, (q,), (jnp.ones_like(q),))
        # By Taylor's formula under the mean: of the map, and of the noise that the layer adds.
        after, noise = value + curvature * variance / 2
        spread = slope[0] ** 2 * variance + noise / units
        return (after, spread), FiniteWidth(q, measured, variance)

    return jax.lax.scan(layer, (q0, jnp.zeros_like(q0)), width)[1]


@checks.checked
def dying_relu_probability(width: int | Array, depth: int | Array) -> Array:
    """`1 - (1 - 2^-width)^depth`: some layer of a relu network is 0 on a given input.

    Each layer is 0 with the probability that all of its units are negative, whatever came before,
    as long as that was not 0. Weights are symmetric about 0, without biases.

    Args:
      width: units of each layer.
      depth: how many layers.

    Returns:
      The probability, NumPy float64.

    Raises:
      ValueError: if one is under 1.

    Source: Lu et al. 2019, arXiv:1903.06733.

    >>> round(float(dying_relu_probability(4, 10)), 4)
    0.4755
    """
    width, depth = np.asarray(width, np.float64), np.asarray(depth, np.float64)
    if (width < 1).any() or (depth < 1).any():
        raise ValueError(f"width and depth must be at least 1, got {width} and {depth}")
    # By expm1 and log1p: 2^-width is under the rounding of 1 from width 53 on.
    return -np.expm1(depth * np.log1p(-(2.0**-width)))
