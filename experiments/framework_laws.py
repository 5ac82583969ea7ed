"""From drawn layers to what they are: variance against fan, slope, and how deep it carries."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.framework_layers import Draw
from initlab import theory
from initlab.types import Activation

__all__ = ["bias_law", "depth_reached", "slope", "weight_law"]

REACH = 6
"""A signal reaches so many depth scales (Schoenholz et al. 2017, arXiv:1611.01232)."""

FANS = {
    "1": lambda draw: 1,
    "fan_in": lambda draw: draw.fan_in,
    "fan_out": lambda draw: draw.fan_out,
    "fan_avg": lambda draw: (draw.fan_in + draw.fan_out) / 2,
}

SAME = 0.05
"""Factors of different shapes that differ by less count as one; 16 draws of 64 x 64 weights are
within 1 %."""


def weight_law(draws: Mapping[tuple[int, int], Sequence[Draw]]) -> tuple[str, float]:
    """`Var w = factor / fan`: the fan under which shapes agree best, and the factor.

    Args:
      draws: `{(inputs, units): draws}` of one layer.

    Returns:
      The fan's name, "1" for a variance that depends on none, "width" where all shapes are square
      and fans are one, "none" where none of them fits; and the factor, its geometric mean over the
      shapes.
    """
    variances = {shape: _variance([d.weight for d in each]) for shape, each in draws.items()}
    found = {}
    for name, fan in FANS.items():
        factors = [math.log(variances[shape] * fan(each[0])) for shape, each in draws.items()]
        found[name] = (max(factors) - min(factors), math.exp(sum(factors) / len(factors)))
    best = min(found, key=lambda name: found[name][0])
    spread, factor = found[best]
    if spread > math.log1p(2 * SAME):
        best = "none"
    elif best != "1" and all(inputs == units for inputs, units in draws):
        best = "width"
    return best, factor


def bias_law(draws: Sequence[Draw]) -> float:
    """`fan_in Var b` of the draws of one shape; 0 for zeros, NaN for a layer without biases."""
    biases = [each.bias for each in draws if each.bias is not None]
    return draws[0].fan_in * _variance(biases) if biases else math.nan


def slope(activation: Activation, sigma_w2: float, sigma_b2: float) -> float:
    """chi1 where the length settles; where it grows for ever, that of large lengths.

    Args:
      activation: elementwise function.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.

    Returns:
      The slope of the correlation map at 1.

    >>> import jax
    >>> round(slope(jax.nn.relu, 1.0, 0.0), 6)
    0.5
    """
    return float(theory.fixed_point(activation, sigma_w2, sigma_b2).chi1)


def depth_reached(activation: Activation, sigma_w2: float, sigma_b2: float) -> float:
    """`6 xi`: after so many layers alike inputs and unlike ones are one, or the length is gone.

    xi is the depth scale of correlations where the length has a fixed point, and that of the length
    where it grows for ever.

    Args:
      activation: elementwise function.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.

    Returns:
      Layers; infinite on the critical line.

    >>> import jax
    >>> round(depth_reached(jax.nn.relu, 1.0, 0.0), 2), depth_reached(jax.nn.relu, 2.0, 0.0)
    (8.66, inf)
    """
    point = theory.fixed_point(activation, sigma_w2, sigma_b2)
    return REACH * float(point.xi_c if point.exists else 1 / np.log(point.chi1))


def _variance(arrays: Sequence[Any]) -> float:
    """About 0: initializers have mean 0."""
    return float(np.mean([np.mean(np.square(array, dtype=np.float64)) for array in arrays]))
