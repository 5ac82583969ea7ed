"""Whether one weight can be a draw of a scheme: its values beside draws of the scheme itself.

Nothing is known of a scheme but what it draws, so that anybody's is compared as the lab's own: what
is the same in all of its draws must be the same in the weight, what repeats must repeat, and what
is left is compared as a sample with a sample. Its tests are distribution-free or conservative.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["first_draws", "refute"]

TESTS = 5
"""How many tests are made of one weight and scheme, each at the level over their number."""

ENTRIES = 2**12
"""References hold at least so many entries, but that of a large weight there are four of them."""

FEW = 30
"""Entries under which a mean square has no distribution of a common form; other tests remain."""

SAMPLE = 2**16
"""Entries of a weight that the test of distributions sorts, evenly spaced; references 4 times."""

ROWS = 256
"""Rows of a Gram matrix: those of an orthogonal matrix are orthonormal whichever are taken."""

Matrices = Callable[[np.ndarray], np.ndarray]
"""`array -> [count, inputs, units]`, or [0, 1, 1] where it is no matrix."""


def refute(
    weight: np.ndarray,
    draw: Callable[[int, int], np.ndarray],
    matrices: Matrices,
    level: float,
) -> str:
    """Why the weight is no draw of a scheme, or "" where nothing speaks against it.

    Args:
      weight: any shape, float64.
      draw: `(first, count) -> [count, *shape]`: independent draws of the scheme, rounded as the
        weight is.
      matrices: how an array is a matrix, to compare singular values.
      level: of all tests together: how often a draw of the scheme is refuted by chance, at most.

    Returns:
      The reason, in words for a table.
    """
    if not weight.size:
        return ""
    level /= TESTS
    draws = draw(0, first_draws(weight.size))
    # Most schemes have another scale, which one draw of a large weight shows.
    if len(draws) == 1:
        if reason := _scale(weight.ravel(), draws.ravel(), level):
            return reason
        draws = np.concatenate([draws, draw(1, 3)])
    first = draws[0]
    fixed = _fixed(draws)
    if not np.allclose(weight[fixed], first[fixed], rtol=1e-5, atol=0):
        return _of_fixed(weight[fixed], first[fixed])
    if fixed.all():
        return ""
    count = max(4, min(16, 2**20 // weight.size), ENTRIES // weight.size)
    draws = np.concatenate([draws, draw(4, count - 4)]) if count > 4 else draws
    entries, samples = weight[~fixed], draws[:, ~fixed]
    zeros = np.sum(samples == 0, axis=1)
    if zeros[0] and (zeros == zeros[0]).all():
        if np.sum(entries == 0) != zeros[0]:
            return f"{np.sum(entries == 0)} zeros, not {zeros[0]}"
        entries, samples = entries[entries != 0], samples[samples != 0].reshape(count, -1)
    kept, signs = _repeats(samples)
    if not np.allclose(entries, entries[kept] * signs, rtol=1e-3, atol=0):
        return "entries that repeat in its draws do not"
    own = np.unique(kept)
    entries, pooled = entries[own], samples[:, own].ravel()
    return (
        _scale(entries, pooled, level)
        or _distribution(entries, pooled, level)
        or _extremes(entries, pooled, level)
        or _products(matrices(weight), [matrices(each) for each in draws[:16]], level)
    )


def first_draws(entries: int) -> int:
    """How many draws of a weight of so many entries are asked for first."""
    return 1 if entries >= ENTRIES else 4


def _fixed(draws: np.ndarray) -> np.ndarray:
    """Which entries are the same in all draws [count, *shape], and not by chance."""
    fixed = (draws == draws[0]).all(axis=0)
    are_zero = draws == 0
    if (are_zero.any(axis=0) & ~are_zero.all(axis=0)).any():
        # Zeros in places that are drawn fall together now and then.
        fixed &= ~are_zero[0]
    # So do a few numbers of a low precision.
    return fixed if fixed.mean() > 1e-3 else np.zeros_like(fixed)


def _of_fixed(entries: np.ndarray, wanted: np.ndarray) -> str:
    values = np.unique(wanted)
    if values.size > 1:
        return "not the numbers that it always draws"
    return f"not {values[0]:.3g}, rms {np.sqrt(np.mean(entries**2)):.3g}"


def _repeats(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(kept, signs)`: `x = signs x[kept]` in every sample [count, n]; kept is the first of each.

    Where fewer than a tenth of the entries repeat it is rounding.
    """
    sizes = np.abs(samples)
    _, firsts, inverse = np.unique(sizes[0], return_index=True, return_inverse=True)
    alone = np.arange(samples.shape[1])
    kept = firsts[inverse]
    kept = np.where((sizes == sizes[:, kept]).all(axis=0), kept, alone)
    if np.mean(kept != alone) < 0.1:
        kept = alone
    return kept, np.where(samples[0] == samples[0][kept], 1.0, -1.0)


def _scale(entries: np.ndarray, pooled: np.ndarray, level: float) -> str:
    """Mean squares by an F test, with the degrees of freedom that the kurtosis gives."""
    from scipy.special import fdtrc, ndtr

    own, wanted = np.mean(entries**2), np.mean(pooled**2)
    reason = f"rms {np.sqrt(own):.3g}, not {np.sqrt(wanted):.3g}"
    if not (own and wanted):
        return "" if own == wanted else reason
    if entries.size < FEW:
        return ""
    ratio = own / wanted
    # Of one size the kurtosis is 1, and the ratio exact.
    spread = max(np.mean(pooled**4) / wanted**2 - 1, 1e-6)
    n, m = 2 * entries.size / spread, 2 * pooled.size / spread
    # Mean squares are less skewed than gamma variables where tails are light: then a normal's lower
    # tail is the nearer one.
    error = math.sqrt(2 / n + 2 / m)
    below = max(fdtrc(m, n, 1 / ratio), ndtr((ratio - 1) / error))
    p = 2 * min(below, fdtrc(n, m, ratio))
    return reason if p < level else ""


def _distribution(entries: np.ndarray, pooled: np.ndarray, level: float) -> str:
    """Kolmogorov and Smirnov's test of two samples, as of one of their harmonic size."""
    from scipy.special import smirnov

    entries, pooled = _thinned(entries, SAMPLE), _thinned(pooled, 4 * SAMPLE)
    places = np.concatenate([entries, pooled])
    ours, theirs = (
        np.searchsorted(each, places, side="right") / each.size for each in (entries, pooled)
    )
    distance = float(np.max(np.abs(ours - theirs)))
    size = max(1, entries.size * pooled.size // places.size)
    return f"distribution, by {distance:.2g}" if 2 * smirnov(size, distance) < level else ""


def _thinned(entries: np.ndarray, most: int) -> np.ndarray:
    """So many, evenly spaced, in order."""
    return np.sort(entries[:: -(-entries.size // most)])


def _extremes(entries: np.ndarray, pooled: np.ndarray, level: float) -> str:
    """How many are larger than all of the other sample: Rosenbaum's exact test, of sizes."""
    ours, theirs = np.abs(entries), np.abs(pooled)
    beyond = _beyond(ours, theirs), _beyond(theirs, ours)
    if beyond[0][1] < level / 2:
        return f"{beyond[0][0]} entries beyond its largest, {theirs.max():.3g}"
    if beyond[1][1] < level / 2:
        return f"no entries over {ours.max():.3g}, where it has some"
    return ""


def _beyond(sample: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    """`(j, C(n, j) / C(n + m, j))`, j how many are larger than the other's largest."""
    j, n, m = int(np.sum(sample > other.max() * (1 + 1e-6))), sample.size, other.size
    logs = [math.lgamma(each + 1) for each in (n, n + m - j, n - j, n + m)]
    return j, math.exp(logs[0] + logs[1] - logs[2] - logs[3])


def _products(own: np.ndarray, draws: Sequence[np.ndarray], level: float) -> str:
    """How unequal singular values are, by Student's test against that of the draws."""
    from scipy.special import stdtr

    if not own.size or min(own.shape[1:]) < 8:
        return ""
    unequal, wanted = _inequality(own), [_inequality(each) for each in draws]
    # Rounding alone makes the singular values of an orthogonal matrix unequal.
    error = max(float(np.std(wanted, ddof=1)), 1e-4) * math.sqrt(1 + 1 / len(wanted))
    p = 2 * stdtr(len(wanted) - 1, -abs(unequal - float(np.mean(wanted))) / error)
    return (
        f"singular values: inequality {unequal:.3g}, not {np.mean(wanted):.3g}" if p < level else ""
    )


def _inequality(matrices: np.ndarray) -> float:
    """`log(k tr(G^2) / tr(G)^2)` of the Gram matrix of k rows: 0 of equal singular values."""
    rows = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.transpose(0, 2, 1)
    gram = np.einsum("cri,csi->crs", rows[:, :ROWS], rows[:, :ROWS], optimize=True)
    traces = np.trace(gram, axis1=1, axis2=2)
    return float(np.mean(np.log(gram.shape[1] * np.sum(gram**2, axis=(1, 2)) / traces**2)))
