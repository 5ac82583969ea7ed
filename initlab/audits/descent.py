"""Params moved by a step of descent, as a whole or in part, and what is then measured of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["STEP", "Flags", "Program", "Slot", "moved"]

STEP = 0.05
"""A step of descent changes a tensor by this share of its rms."""

Flags = np.ndarray


class Slot(NamedTuple):
    """One parameter, or one slice of it: which leaf, and which of the slices along an axis."""

    leaf: int
    row: int | None
    path: str
    axis: int = 0
    is_member: bool = False

    @property
    def place(self) -> tuple[Any, ...]:
        """Its index in a leaf whose first axis is seeds."""
        return (slice(None),) * (self.axis + 1) + (() if self.row is None else (self.row,))


class Program(NamedTuple):
    """The compiled measurement: leaves with a first axis of seeds to `(sizes, gradients)`.

    `sizes` [seeds, slots] is zero where a slot has a gradient of exactly zero.
    """

    paths: Sequence[str]
    slots: Sequence[Slot]
    run: Callable[[list[np.ndarray]], tuple[np.ndarray, list[Any]]]

    def leaves_of(self, which: Flags) -> list[int]:
        """The leaves of some slots, of any seed."""
        numbers = np.nonzero(which.any(axis=0))[0].tolist()
        return sorted({self.slots[number].leaf for number in numbers})

    def within(self, leaves: Iterable[int]) -> Flags:
        """The slots of some leaves: a flag for each."""
        return np.isin([slot.leaf for slot in self.slots], list(leaves))[None]


def moved(
    slots: Sequence[Slot],
    leaves: list[np.ndarray],
    directions: Sequence[Any],
    which: Flags,
    factors: np.ndarray | float = 1.0,
) -> list[np.ndarray]:
    """Leaves after a step against some directions, each slot's as long as a share of its rms.

    What is zero moves by that share of 1 / sqrt(its longest axis), the size of a usual weight.

    Args:
      slots: of the leaves.
      leaves: params with a first axis of seeds.
      directions: of each leaf.
      which: flags of the slots that are moved, [seeds, slots].
      factors: [slots], what each slot's share is multiplied by.

    Returns:
      The leaves; those without such a slot are the ones given.
    """
    after = list(leaves)
    sizes = STEP * np.broadcast_to(factors, len(slots))
    for n, slot in enumerate(slots):
        if not which[:, n].any():
            continue
        if after[slot.leaf] is leaves[slot.leaf]:
            after[slot.leaf] = leaves[slot.leaf].copy()
        part = leaves[slot.leaf][slot.place]
        rows = part.reshape(len(part), -1).astype(np.float32)
        direction = np.asarray(directions[slot.leaf])[slot.place]
        direction = direction.reshape(rows.shape).astype(np.float32)
        largest = np.abs(direction).max(axis=1, keepdims=True)
        unit = direction / np.where(largest > 0, largest, 1)
        unit /= np.sqrt(np.mean(unit**2, axis=1, keepdims=True)) + np.float32(1e-30)
        usual = max(part.shape[1:], default=1) ** -0.5
        size = np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
        stepped = rows - np.float32(sizes[n]) * np.where(size > 0, size, usual) * unit
        chosen = which[:, n] & np.isfinite(stepped).all(axis=1)
        part = np.where(chosen[:, None], stepped, rows).astype(part.dtype).reshape(part.shape)
        after[slot.leaf][slot.place] = part
    return after
