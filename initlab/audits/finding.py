"""What an audit finds: a code, a place, a number, its threshold, the cause and the remedy."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["SEVERITIES", "Finding", "listed"]

SEVERITIES = ("fail", "warn", "info")
"""Worst first: does not train, may not train, for information."""

NAMED = 6
"""Up to so many parameters are named one by one."""


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


def listed(paths: Sequence[str]) -> str:
    """A few names in a sentence, and how many more there are.

    >>> listed(["a", "b", "c"]), listed([f"w{n}" for n in range(9)])
    ('a, b and c', 'w0, w1, w2, w3, w4 and 4 more')
    """
    if len(paths) > NAMED:
        return f"{', '.join(paths[: NAMED - 1])} and {len(paths) - NAMED + 1} more"
    return " and ".join([", ".join(paths[:-1]), paths[-1]] if len(paths) > 1 else paths)
