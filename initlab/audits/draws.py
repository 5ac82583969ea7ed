"""Which arrays are random draws: independent entries, as against tables of a closed form."""

import math
from collections.abc import Iterator

import numpy as np

__all__ = ["DISTINCT", "LEAST", "collapsed", "corner", "is_draw"]

DISTINCT = 8
"""A tensor with fewer different entries is not a draw: identities, Hadamard matrices, constants."""

LEAST = 16
"""With fewer entries than this two tensors may look alike by chance."""

ENTRIES = 4096
"""How many entries of a tensor are looked at."""

CHANCE = 1e-6
"""How rarely independent entries may be taken for a table."""

DEVIATIONS = 6.0
"""Of a turning-point count, by which one is a table: a normal variable has them once in 1e9."""

LINE_POWER = 0.9
"""Share of a line's power at one frequency that makes it a sinusoid: of 16 independent normal
entries the largest of 8 shares exceeds it with probability 8 (1 - 0.9)^7 < 1e-6 (Fisher 1929)."""


def is_draw(values: np.ndarray) -> bool:
    """Whether entries may be independent draws: no table of a closed form, no constant.

    Copies of a slice count once. What remains is a table if, along an axis,

    - every line is monotone: of n independent entries with probability 2 / n!; or turns once at
      most: under 2^n / n!;
    - lines turn too seldom: of three different independent entries the middle one is the largest or
      the smallest with probability 2/3, whatever their distribution (Bienaymé 1874); so along
      log(arange), HiPPO's matrices, positions of sines and cosines;
    - or nearly all of its power is at one frequency, as in a Fourier matrix.

    The entries other than the most common one, in their order, are such a line too: the diagonal of
    diag(arange). Random entries are taken for a table once in 1e6 times.

    Args:
      values: any shape, finite.

    Returns:
      False for a table, for fewer than 8 different entries, and for fewer than 16 that are no
      copies.

    >>> is_draw(np.random.default_rng(0).normal(size=(8, 16)))
    True
    >>> is_draw(np.tile(np.log(np.arange(1, 17)), (32, 1)))
    False
    """
    kept = collapsed(corner(values).astype(np.float64))
    if kept.size < LEAST or len(np.unique(kept)) < DISTINCT:
        return False
    return not any(_is_table(lines) for lines in _lines(kept))


def corner(values: np.ndarray, entries: int = ENTRIES) -> np.ndarray:
    """The first entries along every axis: a block of at most `entries`, its widest axes cut."""
    shape = list(values.shape)
    while math.prod(shape) > entries:
        widest = int(np.argmax(shape))
        shape[widest] = (shape[widest] + 1) // 2
    return values[tuple(slice(size) for size in shape)]


def collapsed(values: np.ndarray) -> np.ndarray:
    """The values without slices, along any axis, that are copies of an earlier one."""
    if values.ndim < 2:
        return values
    for axis in range(values.ndim):
        rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        # Slices of one entry are no copies: coarse draws are equal by chance.
        if len(rows) > 1 and rows.shape[1] > 1:
            _, first = np.unique(rows, axis=0, return_index=True)
            values = np.take(values, np.sort(first), axis)
    return values


def _lines(values: np.ndarray) -> Iterator[np.ndarray]:
    """[lines, n] along every axis, and the entries other than the most common one."""
    for axis, size in enumerate(values.shape):
        if size > 2:
            yield np.moveaxis(values, axis, -1).reshape(-1, size)
    different, counts = np.unique(values, return_counts=True)
    others = values[values != different[np.argmax(counts)]]
    if values.ndim > 1 and LEAST // 2 < others.size < values.size - 1:
        yield others[None]


def _is_table(lines: np.ndarray) -> bool:
    lines = lines[np.ptp(lines, axis=1) > 0]
    if not lines.size:
        return False
    count, size = lines.shape
    steps = np.diff(lines)
    if np.all(steps != 0):
        # Orders of n entries that turn nowhere: 2 of n!; those that turn once at most: under 2^n.
        most = int(np.max(np.sum(steps[:, 1:] * steps[:, :-1] < 0, axis=1)))
        orders = {0: 1, 1: size}.get(most, math.inf)
        if count * (orders * math.log(2) - math.lgamma(size + 1)) < math.log(CHANCE):
            return True
    # Signs that alternate turn everywhere, whatever the sizes do.
    return _turns_seldom(lines) or _turns_seldom(abs(lines)) or _is_sinusoid(lines)


def _turns_seldom(lines: np.ndarray) -> bool:
    steps = np.diff(lines)
    products = steps[:, 1:] * steps[:, :-1]
    # Ties turn nothing; of three different entries two orders in three turn.
    turning, triples = np.sum(products < 0), np.sum(products != 0)
    # Kendall and Stuart: the number of turning points of n entries has variance (16 n - 29) / 90.
    return bool(2 / 3 * triples - turning > DEVIATIONS * math.sqrt(16 / 90 * max(1, triples)))


def _is_sinusoid(lines: np.ndarray) -> bool:
    if lines.shape[1] < LEAST:
        return False
    power = abs(np.fft.rfft(lines - lines.mean(axis=1, keepdims=True)))[:, 1:] ** 2
    return bool(power.max(axis=1).sum() > LINE_POWER * power.sum())
