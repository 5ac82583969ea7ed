"""What an audit finds: a code, a place, a number, its threshold, the cause and the remedy."""

from typing import NamedTuple

__all__ = ["SEVERITIES", "Finding"]

SEVERITIES = ("fail", "warn", "info")
"""Worst first: does not train, may not train, for information."""


class Finding(NamedTuple):
    """One diagnosis of an audit.

    Attributes:
      code: the diagnostic, as "vanishing_gradient".
      severity: "fail", "warn" or "info".
      place: where: a parameter's path, a group of units, an operation.
      value: the number that was measured; over several seeds their median.
      threshold: the number that it is compared with.
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
