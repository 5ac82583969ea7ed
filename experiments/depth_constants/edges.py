"""The scales of named constants, and where training sets in and ends: measured and predicted."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initlab import theory
from initlab.types import Activation

__all__ = [
    "SIDES",
    "compare",
    "constants",
    "distances",
    "distinct_scales",
    "predicted_edges",
    "stops_at",
]

SIDES = ("small", "large")


def constants(activation: Activation, width: int) -> dict[str, float]:
    """The std of hidden weights [width, width] under each of the named constants.

    Args:
      activation: of the hidden layers.
      width: units of a hidden layer.

    Returns:
      `{name: std}`: the lecture's 0.01, Glorot's, He's and the critical one, without biases.

    Raises:
      ValueError: if no scale is critical for the activation without biases.
    """
    sigma_w2 = float(theory.critical_sigma_w2(activation, 0.0))
    if math.isnan(sigma_w2):
        name = getattr(activation, "__name__", activation)
        raise ValueError(f"no scale of the weights is critical for {name} without biases")
    return {
        "0.01": 0.01,
        "Glorot": width**-0.5,
        "He": (2 / width) ** 0.5,
        "critical": (sigma_w2 / width) ** 0.5,
    }


def distinct_scales(scales: Sequence[float]) -> list[float]:
    """The scales in their order, one of those that are the same to a run, which holds float32.

    Two constants that are one number, as Glorot's and tanh's critical one, may differ by rounding.
    """
    # The first of them stays: what a flag says is what the results are labelled by.
    kept = {np.float32(scale): scale for scale in reversed(scales)}
    return sorted(kept.values())


def predicted_edges(
    activation: Activation, width: int, depths: Sequence[float] | np.ndarray
) -> dict[str, np.ndarray]:
    """`theory.trainable_edges` without biases, as scales: `sigma_w2 = width scale^2`.

    Args:
      activation: of the hidden layers.
      width: their units.
      depths: hidden layers.

    Returns:
      `{side: scales [depths]}`; NaN where theory has no edge: tanh carries a signal through 13
      layers at any large scale.
    """
    edges = theory.trainable_edges(activation, np.asarray(depths))
    return {side: np.sqrt(sigma_w2 / width) for side, sigma_w2 in zip(SIDES, edges, strict=True)}


def compare(
    measured: Mapping[str, tuple[float, bool]], predicted: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """How far each side's measured edge is from the predicted one.

    Args:
      measured: as from `report.measured_edges`.
      predicted: `{side: scale}`, NaN where there is none.

    Returns:
      `{side: {measured, beyond, predicted, log10_distance}}`: the logarithm of measured over
      predicted, None where one of them is missing or where neither lies within the scales that
      were run. Where `beyond`, the true distance is at least as large.
    """
    sides = {}
    for side in SIDES:
        scale, beyond = measured.get(side, (math.nan, False))
        expected = float(predicted[side])
        distance = math.log10(scale / expected)
        # An edge beyond the scales that were run is a bound: its distance from a prediction that
        # lies beyond them too is unknown.
        outward = distance > 0 if side == "large" else distance < 0
        known = math.isfinite(distance) and (not beyond or outward)
        sides[side] = {
            "measured": scale,
            "beyond": beyond,
            "predicted": expected,
            "log10_distance": distance if known else None,
        }
    return sides


def distances(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median and largest of the distances of all depths and sides, and of how many.

    Args:
      rows: each with `edges`, as from `compare`.

    Returns:
      `{median, largest, compared, at_least}`: decades; `at_least` counts edges beyond the scales
      that were run, whose distances are bounds.
    """
    sides = [each for row in rows for each in row["edges"].values()]
    sides = [each for each in sides if each["log10_distance"] is not None]
    sizes = [abs(each["log10_distance"]) for each in sides]
    return {
        "median": float(np.median(sizes)) if sizes else None,
        "largest": max(sizes, default=None),
        "compared": len(sizes),
        "at_least": sum(each["beyond"] for each in sides),
    }


def stops_at(depths: Sequence[int], shares: Sequence[float]) -> int | None:
    """The first depth from which on no depth trains half of the runs.

    >>> stops_at([1, 2, 4], [1.0, 0.5, 0.1])
    4
    """
    trains = [depth for depth, share in zip(depths, shares, strict=True) if share >= 0.5]
    later = [depth for depth in depths if not trains or depth > max(trains)]
    return min(later, default=None)
