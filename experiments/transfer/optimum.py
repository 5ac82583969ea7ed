"""The best learning rate of each seed by a fit, and how far it moves when the size doubles."""

from typing import Any, NamedTuple

import numpy as np

from initlab.coordinates import Slope, fit_slope

__all__ = ["Movement", "best_rates", "movement"]

REACH = 2
"""Rates on each side of the smallest loss that the parabola is fitted to."""


class Movement(NamedTuple):
    """How the best rate depends on size.

    Attributes:
      rates: the best, over the middle of those tried, by size and seed [N, S]; NaN where the
        smallest loss is at an end of the rates.
      slope: `best rate ~ size^value` with its 95 % interval over seeds: log2 of what it is
        multiplied by when the size doubles.
      at_end: the share of sizes and seeds whose smallest loss is at an end.
    """

    rates: np.ndarray
    slope: Slope
    at_end: float


def best_rates(rates: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """The vertex of a parabola of log loss over log rate, near the smallest loss.

    Args:
      rates: that were tried [R], increasing by one factor.
      loss: final [R, ...]; what diverged is NaN or infinite.

    Returns:
      The best rates [...]. NaN where the smallest loss is at an end.

    >>> rates = 2.0 ** np.arange(-3, 4)
    >>> loss = np.exp((np.log2(rates) - 0.5) ** 2)
    >>> round(float(np.log2(best_rates(rates, loss))), 6)
    0.5
    """
    loss = np.where(np.isfinite(loss), loss, np.inf)
    flat = loss.reshape(len(rates), -1).T
    return np.array([_best(np.log2(rates), each) for each in flat]).reshape(loss.shape[1:])


def _best(at: np.ndarray, loss: np.ndarray) -> float:
    middle = int(np.argmin(loss))
    if not np.isfinite(loss[middle]) or middle in (0, len(at) - 1):
        return float("nan")
    near = slice(max(0, middle - REACH), middle + REACH + 1)
    x, y = at[near], loss[near]
    # A loss of zero has no logarithm; one that diverged has no place in a fit.
    fits = np.isfinite(y) & (y > 0)
    low, high = at[middle - 1], at[middle + 1]
    if fits.sum() < 3:
        return float(2 ** at[middle])
    curvature, slope, _ = np.polyfit(x[fits], np.log(y[fits]), 2)
    vertex = -slope / (2 * curvature) if curvature > 0 else at[middle]
    # The true minimum of what was measured is between the neighbours of the smallest.
    return float(2 ** np.clip(vertex, low, high))


def movement(sizes: Any, rates: np.ndarray, loss: np.ndarray) -> Movement:
    """How far the best rate moves.

    Args:
      sizes: [N], at least two.
      rates: that were tried [R].
      loss: final [N, R, S], S at least two.

    Returns:
      The movement. Seeds with a smallest loss at an end, at any size, are left out of the slope;
      it is NaN where fewer than two are left.
    """
    best = best_rates(rates, np.moveaxis(loss, 1, 0))
    known = ~np.isnan(best).any(0)
    slope = Slope(np.nan, np.nan, np.nan)
    if known.sum() >= 2:
        slope = fit_slope([int(size) for size in sizes], best[:, known])
    return Movement(best, slope, float(np.isnan(best).mean()))
