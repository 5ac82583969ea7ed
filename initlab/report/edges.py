"""Where training sets in and ends along an axis of scales."""

from collections.abc import Sequence

import numpy as np

from initlab import checks

__all__ = ["measured_edges"]


@checks.checked
def measured_edges(
    scale: Sequence[float] | np.ndarray, share: Sequence[float] | np.ndarray
) -> dict[str, tuple[float, bool]]:
    """The scales at which P(train) falls through 1/2 on both sides of its highest place.

    Linear in log10 of the scale between the scales that were run; a scale of 0 has none.

    Args:
      scale: at least 0, ascending [n].
      share: P(train) at each [n]; of equal highest ones the middle one is the place.

    Returns:
      `{"small": (scale, is_beyond), "large": (scale, is_beyond)}`: an edge that lies beyond the
      smallest or the largest scale is given as that one and True; {} where no scale trains half of
      the runs.

    Raises:
      ValueError: if the shapes differ, or the scales are not ascending or negative.

    >>> edges = measured_edges(np.array([0.01, 0.1, 1.0]), np.array([0.0, 1.0, 1.0]))
    >>> round(edges["small"][0], 4), edges["large"]
    (0.0316, (1.0, True))
    """
    scale, share = np.asarray(scale, float), np.asarray(share, float)
    if scale.ndim != 1 or scale.shape != share.shape:
        raise ValueError(
            f"scale and share must be [n] both, got shapes {scale.shape} and {share.shape}"
        )
    if np.any(np.diff(scale) <= 0) or np.any(scale < 0):
        raise ValueError(f"scale must be ascending and at least 0, got {scale}")
    scale, share = scale[scale > 0], share[scale > 0]
    if not np.any(share >= 0.5):
        return {}
    highest = np.flatnonzero(share == share.max())
    position = np.log10(scale)

    def edge(direction: int) -> tuple[float, bool]:
        # From the plateau's middle outward: the first fall on the way, not the outermost, so that
        # an island of luck beyond it does not count.
        at = int(highest[len(highest) // 2])
        while 0 <= at + direction < len(share):
            beside = at + direction
            if share[beside] < 0.5:
                within = (share[at] - 0.5) / (share[at] - share[beside])
                crossing = position[at] + within * (position[beside] - position[at])
                return float(10**crossing), False
            at = beside
        return float(scale[at]), True

    return {"small": edge(-1), "large": edge(1)}
