"""From drawn layers to laws: the variance of weights and biases against the fans."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.framework_defaults.layers import Draw

__all__ = ["bias_law", "weight_law"]

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


def _variance(arrays: Sequence[Any]) -> float:
    """About 0: initializers have mean 0."""
    return float(np.mean([np.mean(np.square(array, dtype=np.float64)) for array in arrays]))
