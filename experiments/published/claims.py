"""A published number beside a measured one: the interval over seeds, and what follows from it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from initlab.types import Array

__all__ = ["VERDICTS", "Claim", "Reproduction", "interval", "judge"]

VERDICTS = AGREES, DISAGREES, NOT_COMPARABLE = "agrees", "disagrees", "not comparable"


class Claim(NamedTuple):
    """What is published of one quantity.

    Attributes:
      quantity: its name in what the recipe returns.
      published: the number, or the end of a range that is open on its other side.
      tolerance: how far off a number may be: its rounding, and what the paper leaves open or holds
        in a limit only; 0 of a range.
      sense: "is", "below" or "above".
    """

    quantity: str
    published: float
    tolerance: float = 0.0
    sense: str = "is"

    @property
    def range(self) -> tuple[float, float]:
        """What agrees with it: the least and the largest number."""
        if self.sense == "below":
            return -np.inf, self.published
        if self.sense == "above":
            return self.published, np.inf
        return self.published - self.tolerance, self.published + self.tolerance

    def __str__(self) -> str:
        """As a table has it."""
        if self.sense != "is":
            return f"{self.sense} {self.published:.4g}"
        return f"{self.published:.4g} +- {self.tolerance:.2g}"


class Reproduction(NamedTuple):
    """A published result, and how it is measured.

    Attributes:
      recipe: `(seeds, **setting) -> {quantity: [seeds]}`, at most fifteen lines of the public API.
      source: author, year, arXiv number or journal; which figure, table or section.
      claims: what is published.
      setting: what the claims are of.
      seeds: how many are measured.
      small: a setting in which it runs within a second.
      small_seeds: how many are measured there.
    """

    recipe: Callable[..., Mapping[str, Array]]
    source: str
    claims: tuple[Claim, ...]
    setting: Mapping[str, Any]
    seeds: int
    small: Mapping[str, Any]
    small_seeds: int = 2


def interval(mean: float, std: float, seeds: int) -> tuple[float, float]:
    """The 95 % interval of a mean, `mean -+ t std / sqrt(seeds)`, t Student's; NaN of one seed.

    >>> interval(0.0, 1.0, 4)  # t of three degrees of freedom is 3.182
    (-1.5912..., 1.5912...)
    """
    if seeds < 2:
        return np.nan, np.nan
    half = float(stats.t.ppf(0.975, seeds - 1)) * std / seeds**0.5
    return mean - half, mean + half


def judge(claim: Claim, low: float, high: float, is_same_setting: bool) -> str:
    """What an interval says of a claim.

    Args:
      claim: what is published.
      low: the interval's lower end.
      high: its upper end.
      is_same_setting: whether what was measured is what the claim is of.

    Returns:
      "disagrees" if no number of the interval agrees with what is published. "agrees" if one does
      and the interval is no wider than the tolerance allows; of an open range, if all do. "not
      comparable" otherwise: in another setting, with an interval that is not finite, and with one
      so wide that agreeing would mean nothing.
    """
    if not (is_same_setting and np.isfinite(low) and np.isfinite(high)):
        return NOT_COMPARABLE
    least, most = claim.range
    if high < least or low > most:
        return DISAGREES
    is_within = least <= low and high <= most
    is_narrow = claim.sense == "is" and high - low <= most - least
    return AGREES if is_within or is_narrow else NOT_COMPARABLE
