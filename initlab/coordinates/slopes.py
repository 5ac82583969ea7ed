"""Powers of width or depth, fitted to measured sizes, with their intervals over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from initlab import checks

__all__ = ["Slope", "fit_exponential", "fit_slope"]

LARGEST_POWER = 2.0
"""Of depth, that is taken for a power: branches that point one way add up to depth^1, and between
two depths a constant and a power of it grow by less than that power, however they bend."""


class Slope(NamedTuple):
    """`size ~ n^value`.

    Attributes:
      value: the mean of the seeds' slopes; NaN where a size is 0 or not finite.
      low: lower end of its 95 % interval over seeds.
      high: upper end.
    """

    value: float
    low: float
    high: float


@checks.checked
def fit_slope(sizes: Sequence[int], measured: np.ndarray) -> Slope:
    """Least squares of `log measured` against `log sizes`, for each seed; Student's t over seeds.

    Seeds are independent, sizes of one seed need not be: so each seed's slope is one observation.

    Args:
      sizes: widths or depths [W], at least two different ones.
      measured: positive numbers [W, S], a column for each of at least two seeds.

    Returns:
      The slope.

    Raises:
      ValueError: if there are fewer than two sizes or seeds, or the shapes do not fit.

    >>> slope = fit_slope([1, 10, 100], np.array([[1.0, 1.0], [10.0, 12.0], [100.0, 100.0]]))
    >>> round(slope.value, 6), slope.low == slope.value == slope.high
    (1.0, True)
    """
    measured = np.asarray(measured, np.float64)
    for position, size in enumerate(sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    if len(set(sizes)) < 2:
        raise ValueError(f"sizes must hold at least two different ones, got {list(sizes)}")
    if measured.ndim != 2 or len(measured) != len(sizes) or measured.shape[1] < 2:
        raise ValueError(f"measured must be [{len(sizes)}, seeds >= 2], got {measured.shape}")
    if not (np.isfinite(measured) & (measured > 0)).all():
        return Slope(np.nan, np.nan, np.nan)
    return _fit(np.log(sizes), np.log(measured))


def fit_exponential(sizes: Sequence[int], measured: np.ndarray) -> Slope | None:
    """`measured ~ exp(value size)`, where that and no power is what the sizes follow.

    An exponential's slope against log size grows with size: so its magnitude must be larger between
    the two largest sizes than between the two smallest, by more than their intervals, and over 2
    there, and its least squares smaller than those of a power. A slower one is left a power.

    Args:
      sizes: depths [W]; fewer than three cannot tell.
      measured: as for `fit_slope`.

    Returns:
      The exponent by unit of size, with its interval over seeds; None where it is a power, or the
      seeds cannot tell.

    >>> depths = [4, 8, 16]
    >>> round(fit_exponential(depths, np.exp(np.outer(depths, [0.3, 0.3]))).value, 6)
    0.3
    >>> fit_exponential(depths, np.outer(depths, [1.0, 2.0]))
    """
    measured = np.asarray(measured, np.float64)
    order = np.argsort(sizes)
    at, measured = np.asarray(sizes, np.float64)[order], measured[order]
    if len(at) < 3 or not (np.isfinite(measured) & (measured > 0)).all():
        return None
    logs = np.log(measured)
    first, last = (_fit(np.log(at[part]), logs[part]) for part in (slice(2), slice(-2, None)))
    sign = np.sign(last.value)
    least = min(sign * last.low, sign * last.high)
    mean = np.mean(logs, axis=1)
    is_steep = least > max(abs(first.low), abs(first.high), LARGEST_POWER)
    if not is_steep or _squares(at, mean) > _squares(np.log(at), mean):
        return None
    return _fit(at, logs)


def _squares(at: np.ndarray, values: np.ndarray) -> float:
    """What a line leaves."""
    return float(np.sum((values - np.polyval(np.polyfit(at, values, 1), at)) ** 2))


def _fit(at: np.ndarray, logs: np.ndarray) -> Slope:
    steps = at - np.mean(at)
    slopes = steps @ logs / (steps @ steps)
    seeds = slopes.size
    half = stdtrit(seeds - 1, 0.975) * np.std(slopes, ddof=1) / np.sqrt(seeds)
    value = float(np.mean(slopes))
    return Slope(value, value - float(half), value + float(half))
