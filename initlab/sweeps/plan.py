"""Which runs are computed and written together: chunks of the grid of all runs."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from initlab.sweeps.axes import Axis

__all__ = ["Chunk", "Plan", "chunk_lengths", "chunk_points"]


class Chunk(NamedTuple):
    """A hyper-rectangle of runs of one combination of the structure.

    Attributes:
      number: among the plan's chunks.
      index: its place in the grid of chunks, structure's dimensions first.
      combination: which of the structure's runs, first dimension slowest.
      place: the same as an index along each dimension of the structure.
      start: its first run along each axis.
      shape: how many runs along each axis.
    """

    number: int
    index: tuple[int, ...]
    combination: int
    place: tuple[int, ...]
    start: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return math.prod(self.shape)

    @property
    def region(self) -> tuple[slice, ...]:
        """Where it lies in an array over structure and axes."""
        along = (*((at, 1) for at in self.place), *zip(self.start, self.shape, strict=True))
        return tuple(slice(first, first + count) for first, count in along)


class Plan(NamedTuple):
    """How the grid of all runs falls into chunks; no array as long as the runs is ever made.

    Attributes:
      structure: lengths of the structure's dimensions; a chunk holds one index of each.
      lengths: lengths of the axes.
      chunk: lengths of a chunk along the axes; the last one along an axis may be shorter.
    """

    structure: tuple[int, ...]
    lengths: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, ...]:
        """How many chunks along each dimension, structure's first."""
        pairs = zip(self.lengths, self.chunk, strict=True)
        return (*self.structure, *(-(-length // part) for length, part in pairs))

    @property
    def count(self) -> int:
        """How many chunks."""
        return math.prod(self.grid)

    @property
    def runs(self) -> int:
        """How many runs."""
        return math.prod((*self.structure, *self.lengths))

    def at(self, number: int) -> Chunk:
        """The chunk of that number; those of one combination follow each other."""
        index = tuple(int(each) for each in np.unravel_index(number, self.grid))
        place, along = index[: len(self.structure)], index[len(self.structure) :]
        start = tuple(at * part for at, part in zip(along, self.chunk, strict=True))
        shape = tuple(
            min(part, length - first)
            for part, length, first in zip(self.chunk, self.lengths, start, strict=True)
        )
        combination = 0
        for at, length in zip(place, self.structure, strict=True):
            combination = combination * length + at
        return Chunk(number, index, combination, place, start, shape)

    def chunks(self, first: int = 0, step: int = 1) -> Iterator[Chunk]:
        """Every `step`-th chunk from the first on."""
        return (self.at(number) for number in range(first, self.count, step))


def chunk_lengths(lengths: Sequence[int], runs: int) -> tuple[int, ...]:
    """Lengths of chunks of at most `runs` runs: whole last axes, one axis cut, single first ones.

    >>> chunk_lengths((5, 100, 3), 64)
    (1, 21, 3)
    """
    parts = []
    left = max(1, runs)
    for length in reversed(lengths):
        parts.append(min(length, left))
        # Once an axis is cut, those before it are taken one at a time.
        left = left // length if length <= left else 1
    return tuple(reversed(parts))


def chunk_points(axes: Sequence[Axis], chunk: Chunk, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The points of some of a chunk's runs.

    Args:
      axes: the sweep's axes.
      chunk: the chunk.
      rows: [k] numbers of runs in the chunk, first axis slowest.

    Returns:
      `{name: [k]}`.
    """
    places = np.unravel_index(rows, chunk.shape)
    return {
        name: column[first + place]
        for axis, first, place in zip(axes, chunk.start, places, strict=True)
        for name, column in axis.columns.items()
    }
