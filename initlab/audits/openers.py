"""Which parameter's step gave others their first gradient, read off one more measurement."""

import math
from collections.abc import Sequence

import numpy as np

from initlab.audits.slots import Flags, Slot

__all__ = ["SHARES", "find_candidates", "find_opener", "shares_of"]

SHARES = tuple(2.0**-n for n in (1, 3, 5, 7, 9, 11, 13))
"""Shares of a step, by which candidates are told from each other.

Odd powers, so that what waits for two of them at once, an even one, is not taken for a third's.
"""


def find_candidates(slots: Sequence[Slot], alive: Flags, zero: Flags) -> list[int]:
    """The leaves that may have given a gradient: those at zero first, as many as have a share.

    Args:
      slots: of the leaves.
      alive: flags of the slots that have a gradient at the start, [seeds, slots].
      zero: flags of those that are zero.

    Returns:
      Their numbers.
    """
    found: dict[int, None] = {}
    for which in (alive & zero, alive):
        numbers = np.flatnonzero(which.any(axis=0)).tolist()
        found |= dict.fromkeys(slots[n].leaf for n in numbers if not slots[n].is_member)
    return list(found)[: len(SHARES)]


def shares_of(slots: Sequence[Slot], candidates: Sequence[int]) -> np.ndarray:
    """The share of its step that each slot takes, [slots]: 1 where it is no candidate."""
    share = dict(zip(candidates, SHARES, strict=False))
    return np.asarray([share.get(slot.leaf, 1.0) for slot in slots])


def find_opener(part: float, whole: float) -> int | None:
    """Which candidate gave a gradient: it is in proportion to that one's share of a step.

    Args:
      part: its size where each candidate took its share.
      whole: its size where each took a whole step.

    Returns:
      The candidate's number; None where it is in proportion to none of them.

    >>> find_opener(0.125, 1.0), find_opener(0.25, 1.0), find_opener(1.0, 1.0)
    (1, None, None)
    """
    if not (part > 0 and whole > 0 and np.isfinite(part) and np.isfinite(whole)):
        return None
    power = -math.log2(part / whole)
    nearest = round((power - 1) / 2)
    is_near = abs(power - (2 * nearest + 1)) < 0.5
    return nearest if is_near and 0 <= nearest < len(SHARES) else None
