"""How rough the border of a map of yes and no is: box-counting dimension, uncertainty exponent."""

from typing import NamedTuple

import numpy as np

from initlab import checks

__all__ = ["Scaling", "boundary", "box_dimension", "uncertainty_exponent"]

LEAST_SIDE = 15
"""Squares along a side of a map of 16 pixels: fewer hold no two sizes."""

RESAMPLED = 1000
"""Resamples of the interval, under a fixed key: the same maps have the same interval."""


class Scaling(NamedTuple):
    """A power law fitted to maps, with its interval.

    Attributes:
      exponent: the mean of log2 ratios between neighbouring sizes, over maps and octaves.
      low: lower end of its 95 % interval.
      high: upper end.
      sizes: in pixels, each twice the one before [K].
      values: what was counted, of each map that has a boundary [M, K].
    """

    exponent: float
    low: float
    high: float
    sizes: np.ndarray
    values: np.ndarray


@checks.checked
def boundary(trained: np.ndarray) -> np.ndarray:
    """Where neighbours differ: squares of 2 x 2 pixels that hold both True and False.

    Args:
      trained: booleans [..., H, W].

    Returns:
      Booleans [..., H - 1, W - 1].

    Raises:
      TypeError: if trained are not booleans.
      ValueError: if it is no map, or has fewer than two pixels along a side.

    Source: Sohl-Dickstein 2024, arXiv:2402.06184, whose notebook calls such squares edges.

    >>> boundary(np.array([[True, True, False], [True, True, False]])).tolist()
    [[False, True]]
    """
    maps = _as_maps("trained", trained, 2)
    before, behind = slice(None, -1), slice(1, None)
    corners = [maps[..., y, x] for y in (before, behind) for x in (before, behind)]
    return np.any(corners, axis=0) & ~np.all(corners, axis=0)


@checks.checked
def box_dimension(marked: np.ndarray) -> Scaling:
    """`D = -d log N(s) / d log s`, N(s) the boxes of s x s pixels that hold a marked one.

    Boxes of 1, 2, 4, ... pixels, up to an eighth of the shorter side. The interval is a bootstrap's
    over the maps and the octaves of sizes together, so that a count which is no power law widens
    it. A set of few pixels, or one that fills the map, has no dimension that this could find.

    Args:
      marked: booleans [H, W], or of several maps [M, H, W]; as `boundary` gives them.

    Returns:
      The dimension: 1 of a smooth line, 2 of what fills the map.

    Raises:
      TypeError: if marked are not booleans.
      ValueError: if it is no map, no pixel of any is marked, or it is too small for two sizes.

    Source: Falconer 2003, Fractal geometry, section 3.1.

    >>> round(box_dimension(np.eye(64, dtype=bool)).exponent, 6)
    1.0
    """
    maps = _stacked("marked", marked)
    sizes = _octaves(maps)
    marks = maps[maps.any(axis=(1, 2))]
    if not len(marks):
        raise ValueError("marked must hold a marked pixel, got a map without a boundary")
    counts = np.stack([_count_boxes(marks, size) for size in sizes], axis=1)
    return _fit(sizes, counts, sign=-1)


@checks.checked
def uncertainty_exponent(trained: np.ndarray) -> Scaling:
    """`phi = d log f(eps) / d log eps`, f the share of pixel pairs eps apart that differ.

    A boundary of dimension D has phi = 2 - D: where phi is small, a hundredfold better known
    parameter hardly makes the outcome better known. Pairs lie along both axes, 1, 2, 4, ... pixels
    apart, up to an eighth of the shorter side; each distance has as many. The interval is that of
    `box_dimension`.

    Args:
      trained: booleans [H, W], or of several maps [M, H, W].

    Returns:
      The exponent: 1 of a smooth boundary, 0 where the outcome is as good as random.

    Raises:
      TypeError: if trained are not booleans.
      ValueError: if it is no map, no two neighbours of any differ, or it is too small.

    Source: McDonald, Grebogi, Ott and Yorke 1985, Fractal basin boundaries, Physica D 17.

    >>> round(uncertainty_exponent(np.arange(64) < np.full((64, 1), 20)).exponent, 6)
    1.0
    """
    maps = _stacked("trained", trained)
    sizes = _octaves(maps)
    height, width = (side - sizes[-1] for side in maps.shape[1:])
    here = maps[:, :height, :width]

    def differing(distance: int) -> np.ndarray:
        below = maps[:, distance : distance + height, :width]
        beside = maps[:, :height, distance : distance + width]
        return np.mean([here != below, here != beside], axis=(0, 2, 3))

    shares = np.stack([differing(size) for size in sizes.tolist()], axis=1)
    shares = shares[(shares > 0).all(axis=1)]
    if not len(shares):
        raise ValueError("trained must hold both True and False, got a map without a boundary")
    return _fit(sizes, shares, sign=1)


def _as_maps(name: str, given: np.ndarray, least: int) -> np.ndarray:
    checks.check_known(name, given, "a map's boundary")
    maps = np.asarray(given)
    if maps.dtype != np.bool_:
        raise TypeError(f"{name} must be booleans, got {maps.dtype}; compare first, as p > 0.5")
    if maps.ndim < 2 or min(maps.shape[-2:]) < least:
        raise ValueError(
            f"{name} must be maps of at least {least} x {least} pixels, got shape {maps.shape}"
        )
    return maps


def _stacked(name: str, given: np.ndarray) -> np.ndarray:
    maps = _as_maps(name, given, LEAST_SIDE)
    if maps.ndim > 3 or 0 in maps.shape:
        raise ValueError(f"{name} must be [H, W] or [M, H, W], got shape {maps.shape}")
    return maps.reshape(-1, *maps.shape[-2:])


def _octaves(maps: np.ndarray) -> np.ndarray:
    """1, 2, 4, ... pixels, up to an eighth of the shorter side (of the map it is the border of)."""
    return 2 ** np.arange(int(np.log2((min(maps.shape[1:]) + 1) / 8)) + 1)


def _count_boxes(marks: np.ndarray, size: int) -> np.ndarray:
    """How many boxes of a grid hold a mark [M]; boxes at the far sides may be cut."""
    down, across = (np.arange(0, side, size) for side in marks.shape[1:])
    rows = np.logical_or.reduceat(marks, down, axis=1)
    return np.logical_or.reduceat(rows, across, axis=2).sum(axis=(1, 2))


def _fit(sizes: np.ndarray, values: np.ndarray, *, sign: int) -> Scaling:
    """The mean slope between neighbouring sizes, with a bootstrap's interval."""
    slopes = sign * np.diff(np.log2(values), axis=1)
    maps, octaves = slopes.shape
    draw = np.random.default_rng(0)
    chosen = (
        draw.integers(maps, size=(RESAMPLED, maps, 1)),
        draw.integers(octaves, size=(RESAMPLED, 1, octaves)),
    )
    low, high = np.quantile(slopes[chosen].mean(axis=(1, 2)), (0.025, 0.975))
    return Scaling(float(slopes.mean()), float(low), float(high), sizes, values)
