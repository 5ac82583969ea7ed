"""What an audit finds: a code, a place, a number, the line that it crossed, why, and what to do."""

from typing import NamedTuple

__all__ = ["SEVERITIES", "Finding"]

SEVERITIES = ("fail", "warn", "info")
"""Worst first: will not train, may not train, good to know."""


class Finding(NamedTuple):
    """One thing that an audit has to say.

    Attributes:
      code: what kind of thing, as "vanishing_gradient".
      severity: "fail", "warn" or "info".
      place: where: a parameter's path, a group of units, an operation.
      value: the number that was measured; over several seeds their median.
      threshold: the number that it is held against.
      cause: one sentence.
      remedy: one sentence.
      interval: over several seeds, the 5 % and 95 % quantiles of the value.
      seeds: in which share of the seeds it was found, in (0, 1].
    """

    code: str
    severity: str
    place: str
    value: float
    threshold: float
    cause: str
    remedy: str
    interval: tuple[float, float] | None = None
    seeds: float = 1.0
