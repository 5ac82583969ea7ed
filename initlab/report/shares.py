"""Shares of runs with their intervals, and which are as good as the largest within them."""

import math
from collections.abc import Mapping

from initlab import checks

__all__ = ["tied_best", "wilson_interval"]


@checks.checked
def wilson_interval(successes: int, runs: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The score interval of a share, 95 % by default.

    `(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`, p = successes / n.

    Args:
      successes: how many runs did.
      runs: of how many, at least 1.
      z: quantile of the normal distribution.

    Returns:
      The interval's ends, in [0, 1].

    Raises:
      ValueError: if runs is under 1 or successes not among them.

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.

    >>> [round(end, 3) for end in wilson_interval(10, 10)]
    [0.722, 1.0]
    """
    if runs < 1 or not 0 <= successes <= runs:
        raise ValueError(f"successes must be 0 to runs, got {successes} of {runs}")
    share = successes / runs
    center = share + z * z / (2 * runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    scale = 1 + z * z / runs
    # The ends at 0 and 1 are exact, where rounding would put the share outside of its interval.
    low = 0.0 if successes == 0 else (center - half) / scale
    high = 1.0 if successes == runs else (center + half) / scale
    return low, high


@checks.checked
def tied_best(shares: Mapping[str, tuple[int, int]]) -> list[str]:
    """The names whose `wilson_interval` reaches that of the largest share, if any run trained.

    Args:
      shares: `{name: (successes, runs)}`.

    Returns:
      Names, in the order given; those without a success are never among them.

    Raises:
      ValueError: if there is no share, runs is under 1 or successes not among them.

    >>> tied_best({"0.01": (0, 16), "Glorot": (16, 16), "He": (14, 16)})
    ['Glorot', 'He']
    """
    if not shares:
        raise ValueError("shares must hold at least one, got none")
    intervals = {name: wilson_interval(*each) for name, each in shares.items()}
    # The largest share, not the highest lower end: that would favour names with more runs.
    highest = max(shares, key=lambda name: shares[name][0] / shares[name][1])
    low, _ = intervals[highest]
    return [name for name, each in shares.items() if each[0] > 0 and intervals[name][1] >= low]
