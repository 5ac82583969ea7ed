"""Draws that were made in low precision: entries stuck at a bound, few different values."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from initlab.audits.draws import DISTINCT, collapsed, corner, is_draw
from initlab.audits.evidence import Evidence
from initlab.audits.finding import Finding
from initlab.audits.singular import broken_functions
from initlab.audits.thresholds import Thresholds

__all__ = ["Draw", "coarse_draw", "find_coarse"]

SAMPLE = 16384
"""How many entries of a parameter are counted."""

ENOUGH = 512
"""Of fewer entries the number of values is not measurable: 512 independent pairs of entries that
agree once in 256 give 511 equal pairs, and 654, as of 200 values, lie 6 deviations above it."""


class Draw(NamedTuple):
    """How coarse a parameter's draw is.

    Attributes:
      path: its name.
      values: the effective number of different values, n (n - 1) / sum count (count - 1), of the
        entries other than the most common one.
      stuck: share of the entries that are the most common one.
      bound: that entry.
      not_finite: share of the entries that are infinite or NaN.
    """

    path: str
    values: float
    stuck: float
    bound: float
    not_finite: float


def find_coarse(tensors: Sequence[tuple[str, np.ndarray]], thresholds: Thresholds) -> list[Draw]:
    """The parameters that look like draws, and coarse ones.

    Entries of zero are not counted, sparse draws having many, nor copies of a slice.

    Args:
      tensors: (name, values) of whole parameters.
      thresholds: `draw_values` and `stuck_share`.

    Returns:
      Those that cross one of the two, or are infinite in a part of their entries.
    """
    found = []
    for name, values in tensors:
        block = corner(values, SAMPLE)
        narrow = block.dtype.itemsize < 2
        draw = _measured(name, block.astype(np.float64), narrow)
        if draw is None or not _is_coarse(draw, thresholds):
            continue
        block = block.astype(np.float64)
        block = np.where(np.isfinite(block), block, 0.0)
        if draw.not_finite > 0 and is_draw(block):
            found.append(draw)
            continue
        # What only repeats a slice, as heads or sub-pixel kernels may, is not coarse.
        draw = _measured(name, collapsed(block), narrow)
        if draw is not None and _is_coarse(draw, thresholds) and is_draw(block):
            found.append(draw)
    return found


def _measured(name: str, block: np.ndarray, narrow: bool) -> Draw | None:
    is_finite = np.isfinite(block)
    drawn = block[is_finite & (block != 0)]
    if drawn.size < ENOUGH:
        return None
    values, counts = np.unique(drawn, return_counts=True)
    if len(values) < DISTINCT:
        return None
    common = int(np.argmax(counts))
    stuck, bound = float(counts[common] / drawn.size), float(values[common])
    rest = np.delete(counts, common).astype(float)
    equal, size = float(np.sum(rest * (rest - 1))), float(np.sum(rest))
    # A dtype of 8 bits has no more than 256 values.
    effective = math.inf if narrow or equal == 0 or size < ENOUGH / 2 else size * (size - 1) / equal
    return Draw(name, effective, stuck, bound, float(1 - is_finite.mean()))


def _is_coarse(draw: Draw, thresholds: Thresholds) -> bool:
    return (
        draw.values < thresholds.draw_values
        or draw.stuck > thresholds.stuck_share
        or 0 < draw.not_finite < 0.5
    )


def coarse_draw(evidence: Evidence, thresholds: Thresholds) -> Iterator[Finding]:
    """A draw in low precision: entries at one bound, few values, or the log of a zero.

    The zero may be one that the model takes the log of, or divides by.
    """
    remedy = (
        "draw in float32 and round the result (astype) to the parameter's dtype: uniform numbers "
        "drawn in bfloat16 are multiples of 1/128"
    )
    # What the model masks afterwards does no harm.
    if not evidence.is_finite:
        yield from broken_functions(evidence.broken)
    for draw in evidence.coarse:
        if draw.not_finite > 0:
            yield Finding(
                "coarse_draw",
                "fail",
                draw.path,
                draw.not_finite,
                0.0,
                f"{draw.not_finite:.2g} of its entries are infinite or NaN where the others are "
                "random numbers, as the logarithm of a uniform draw that came out as 0",
                "draw the uniform numbers in float32 and with minval above 0",
            )
        elif draw.stuck > thresholds.stuck_share:
            yield Finding(
                "coarse_draw",
                "warn",
                draw.path,
                draw.stuck,
                thresholds.stuck_share,
                f"{draw.stuck:.0%} of its entries are exactly {draw.bound:.3g}: a draw in low "
                "precision, or a clip, put there what lies beyond",
                remedy,
            )
        else:
            yield Finding(
                "coarse_draw",
                "warn",
                draw.path,
                draw.values,
                thresholds.draw_values,
                f"its random entries take as few values as {draw.values:.0f} equally likely ones: "
                "they were drawn in low precision, which cuts the tails and shifts the mean",
                remedy,
            )
