"""From depth x scale maps to edges: where half of the runs train, and where theory puts that."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray

from initlab import report, theory
from initlab.types import Activation

__all__ = [
    "best_rates",
    "compare",
    "constants",
    "distances",
    "measured_edges",
    "predicted_edges",
    "stops_at",
    "tied_best",
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


def best_rates(results: xarray.Dataset, constant_loss: float, fraction: float) -> xarray.Dataset:
    """Each cell at the learning rate that trains most seeds; of equal ones that of the least loss.

    Args:
      results: `loss` over learning_rate, seed, step and what makes a cell.
      constant_loss: of the best constant prediction.
      fraction: a run trained if its loss ended under this share of it.

    Returns:
      Over the cells: `trained` (number of seeds), `p_train`, `loss` (median over seeds, infinite
      where most diverged) and `learning_rate`.
    """
    trained = report.trained(results, constant_loss, fraction).sum("seed")
    final = results["loss"].isel(step=-1)
    best = report.best_rate(final, fraction * constant_loss)
    median = final.where(np.isfinite(final), np.inf).quantile(0.5, "seed", method="inverted_cdf")
    cells = xarray.Dataset({"trained": trained, "loss": median.drop_vars("quantile")})
    chosen = cells.isel(learning_rate=best)
    share = chosen["trained"] / results.sizes["seed"]
    return chosen.assign(p_train=share).reset_coords("learning_rate")


def measured_edges(scale: np.ndarray, share: np.ndarray) -> dict[str, tuple[float, bool]]:
    """The scales at which P(train) falls through 1/2 on both sides of its highest place.

    Linear in log10 of the scale between the scales that were run; a scale of 0 has none.

    Args:
      scale: ascending [n].
      share: P(train) [n].

    Returns:
      `{side: (scale, whether the edge lies beyond it)}`: an edge beyond the smallest or the largest
      scale is given as that one and True; none where no scale trains half of the runs.

    >>> edges = measured_edges(np.array([0.01, 0.1, 1.0]), np.array([0.0, 1.0, 1.0]))
    >>> round(edges["small"][0], 4), edges["large"]
    (0.0316, (1.0, True))
    """
    scale, share = scale[scale > 0], share[scale > 0]
    if not np.any(share >= 0.5):
        return {}
    top = _middle(np.flatnonzero(share == share.max()))
    position = np.log10(scale)

    def walk(step: int) -> tuple[float, bool]:
        at = top
        while 0 <= at + step < len(share):
            if share[at + step] < 0.5:
                within = (share[at] - 0.5) / (share[at] - share[at + step])
                crossing = position[at] + within * (position[at + step] - position[at])
                return float(10**crossing), False
            at += step
        return float(scale[at]), True

    return {"small": walk(-1), "large": walk(1)}


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
    edges = theory.trainable_edges(activation, depths)
    return {side: np.sqrt(sigma_w2 / width) for side, sigma_w2 in zip(SIDES, edges, strict=True)}


def compare(
    measured: Mapping[str, tuple[float, bool]], predicted: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """How far each side's measured edge is from the predicted one.

    Args:
      measured: as from `measured_edges`.
      predicted: `{side: scale}`, NaN where there is none.

    Returns:
      `{side: {measured, beyond, predicted, log10_distance}}`: the logarithm of measured over
      predicted, None where one of them is missing or where neither lies within the scales that
      were run. Where `beyond`, the true distance is at least as large.
    """
    sides = {}
    for side in SIDES:
        scale, beyond = measured.get(side, (math.nan, False))
        wanted = float(predicted[side])
        distance = math.log10(scale / wanted)
        outward = distance > 0 if side == "large" else distance < 0
        known = math.isfinite(distance) and (not beyond or outward)
        sides[side] = {
            "measured": scale,
            "beyond": beyond,
            "predicted": wanted,
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


def tied_best(shares: Mapping[str, tuple[int, int]]) -> list[str]:
    """The names whose Wilson interval reaches that of the largest share, if any run trained.

    >>> tied_best({"0.01": (0, 16), "Glorot": (16, 16), "He": (14, 16)})
    ['Glorot', 'He']
    """
    highest = max(shares.values(), key=lambda each: each[0] / each[1])
    low, _ = report.wilson_interval(*highest)
    return [
        name
        for name, each in shares.items()
        if each[0] > 0 and report.wilson_interval(*each)[1] >= low
    ]


def stops_at(depths: Sequence[int], shares: Sequence[float]) -> int | None:
    """The first depth from which on no depth trains half of the runs.

    >>> stops_at([1, 2, 4], [1.0, 0.5, 0.1])
    4
    """
    trains = [depth for depth, share in zip(depths, shares, strict=True) if share >= 0.5]
    later = [depth for depth in depths if not trains or depth > max(trains)]
    return min(later, default=None)


def _middle(places: np.ndarray) -> int:
    return int(places[len(places) // 2])
