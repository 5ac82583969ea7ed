"""Whether a wide two-layer network learns features or stays close to its start."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.types import Array, Numbers

__all__ = ["Regime", "training_regime"]


class Regime(NamedTuple):
    """Where an initialization lies among the regimes of training.

    Attributes:
      gamma: how fast the output's scale falls with width.
      gamma_prime: how much faster the second layer's scale falls than the first's.
      margin: `max(1 - gamma, gamma_prime - gamma + 1)`: positive in the linear regime, negative in
        the condensed one, 0 between them.
    """

    gamma: Array
    gamma_prime: Array
    margin: Array


@checks.checked
def training_regime(
    output_scale: Numbers, second_std: Numbers, first_std: Numbers, width: Numbers
) -> Regime:
    """`gamma = -ln(b_1 b_2 / alpha) / ln m`, `gamma' = -ln(b_1 / b_2) / ln m`.

    The network is `f(x) = (1 / alpha) sum_k a_k phi(w_k x)` over m units, `a ~ N(0, b_1^2)` and
    `w ~ N(0, b_2^2)`. In the linear regime (gamma < 1 or gamma' > gamma - 1) its units' directions
    hardly move, as in the neural tangent kernel's limit; else they condense to a few. The exponents
    are meant for m to infinity: constant factors of the scales vanish as 1 / ln m.

    Args:
      output_scale: alpha.
      second_std: b_1, of the weights after the activation.
      first_std: b_2, of those before it.
      width: m, over 1; numbers or arrays that broadcast.

    Returns:
      The regime, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: if a number is not real.
      ValueError: if one is not over 0, or width not over 1.

    Source: Luo et al. 2021, Phase diagram for two-layer ReLU neural networks at infinite-width
    limit, arXiv:2007.07497.

    >>> round(float(training_regime(100.0, 1.0, 1.0, 1e4).gamma), 9)
    0.5
    """
    numbers = {
        "output_scale": output_scale,
        "second_std": second_std,
        "first_std": first_std,
        "width": width,
    }
    for name, value in numbers.items():
        least = 1 if name == "width" else 0
        if checks.is_concrete(value) and not (np.asarray(value) > least).all():
            raise ValueError(f"{name} must be over {least}, got {value}")
    return evaluate(_regime, (), numbers)


def _regime(
    output_scale: jax.Array, second_std: jax.Array, first_std: jax.Array, width: jax.Array
) -> Regime:
    gamma = -jnp.log(second_std * first_std / output_scale) / jnp.log(width)
    gamma_prime = -jnp.log(second_std / first_std) / jnp.log(width)
    return Regime(gamma, gamma_prime, jnp.maximum(1 - gamma, gamma_prime - gamma + 1))
