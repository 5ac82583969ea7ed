"""Powers of width or depth, fitted to measured sizes, with their intervals over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from initlab import checks

__all__ = ["Slope", "fit_slope"]


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
    steps = np.log(sizes) - np.mean(np.log(sizes))
    slopes = steps @ np.log(measured) / (steps @ steps)
    seeds = slopes.size
    half = stdtrit(seeds - 1, 0.975) * np.std(slopes, ddof=1) / np.sqrt(seeds)
    value = float(np.mean(slopes))
    return Slope(value, value - float(half), value + float(half))
