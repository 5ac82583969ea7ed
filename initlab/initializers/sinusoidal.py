"""Sinusoidal weights: deterministic, a wave of its own frequency and phase for each unit."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.initializers.fans import kernel_shape
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["sinusoidal"]


@checks.checked
def sinusoidal(gain: Number = 1.0) -> Initializer:
    """`w[j, k] = a sin(2 pi k (j/n + 1/m))`, inputs j = 0 .. n-1, units k = 1 .. m.

    a gives the entries the variance `gain^2 2/(n + m)`, about their mean and over one less than
    their number. A convolution's inputs are its channels and, within each, the places of its
    window. The waves are no basis: units k and n - k have the same frequency, and are opposite
    where n = m, copies where m = 2n. A square weight has rank `(n - 1) // 2`, and units of zeros.

    Args:
      gain: a factor of the whole; may be traced.

    Returns:
      The initializer.

    Raises:
      TypeError: if gain is not a number.
      ValueError: if gain is NaN or infinite; when drawn, if the spec's rank is under two, or all
        its waves are zero, as those of one or two units and inputs are.

    Source: Fernandez-Hernandez et al. 2025, Sinusoidal initialization, time for a new start,
    arXiv:2505.12909, section 3.1, and the authors' code (jmiravet/Sinusoidal-Initialization).

    >>> (2 * sinusoidal()(jax.random.key(0), ParamSpec((4, 1), 4, 1)).T).round(1).tolist()
    [[0.0, 1.5, 0.0, -1.5]]
    """
    checks.check_number("gain", gain)

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        window, channels, units = kernel_shape("sinusoidal", spec)
        inputs = channels * math.prod(window)
        waves = _waves(inputs, units)
        if not waves.any():
            raise ValueError(
                f"sinusoidal has waves of zeros only for {inputs} inputs and {units} units, of "
                f"shape {spec.shape} for {spec.path!r}"
            )
        waves *= math.sqrt(2 / (inputs + units)) / waves.std(ddof=1)
        # Channel by channel, as the authors' layout has it: here channels come last.
        kernel = np.moveaxis(waves.reshape(channels, *window, units), 0, -2)
        weight = jnp.asarray(kernel.reshape(spec.shape), spec.dtype)
        return weight * jnp.asarray(gain, spec.dtype)

    return init


def _waves(inputs: int, units: int) -> np.ndarray:
    """`sin(2 pi k (j/n + 1/m))`, [n, m], with turns counted in whole numbers: zeros are exact."""
    whole = inputs * units
    turns = np.arange(1, units + 1) * (np.arange(inputs)[:, None] * units + inputs) % whole
    return np.where(2 * turns % whole == 0, 0.0, np.sin(2 * np.pi / whole * turns))
