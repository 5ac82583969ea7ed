"""Parameters, slices of loops and members: what a gradient is asked of, and a step in each."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.taps import Model

__all__ = ["STEP", "Flags", "Slot", "find_slots", "flags_of", "moved", "sizes_of", "zeros_of"]

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


def find_slots(model: Model, members: Sequence[tuple[str, int]]) -> list[Slot]:
    """A slot for each parameter or slice of a loop, then one for each member of some.

    Args:
      model: the model.
      members: parameters and an axis of theirs whose slices are members.

    Returns:
      The slots; none of a parameter without entries.
    """
    slots = []
    for leaf, (path, shape) in enumerate(zip(model.paths, model.shapes, strict=True)):
        if not math.prod(shape):
            continue
        if model.notes.stacked >> leaf & 1:
            slots += [Slot(leaf, row, f"{path}[{row}]") for row in range(shape[0])]
        else:
            slots.append(Slot(leaf, None, path))
    for path, axis in members:
        leaf = model.paths.index(path)
        size = model.shapes[leaf][axis]
        before = ":, " * axis
        if not model.notes.stacked >> leaf & 1:
            slots += [
                Slot(leaf, row, f"{path}[{before}{row}]", axis, is_member=True)
                for row in range(size)
            ]
    return slots


def flags_of(bits: int, slots: Sequence[Slot]) -> Flags:
    """Which slots are of a bit set of parameters, [1, slots]."""
    return np.asarray([bits >> slot.leaf & 1 for slot in slots], bool)[None]


def sizes_of(measured: Any, slots: Sequence[Slot]) -> np.ndarray:
    """What is zero where a slot's gradient is exactly zero, [seeds, slots]."""
    found = [np.concatenate([np.asarray(each["gradient_rms"]) for each in measured["params"]], 1)]
    gradients = jax.tree.leaves(measured["gradients"])
    for leaf, axis in sorted({(slot.leaf, slot.axis) for slot in slots if slot.is_member}):
        each = jnp.abs(gradients[leaf])
        others = [n for n in range(1, each.ndim) if n != axis + 1]
        found.append(np.asarray(jnp.max(each, axis=others), np.float32))
    return np.concatenate(found, axis=1)


def zeros_of(leaves: Sequence[np.ndarray], slots: Sequence[Slot]) -> Flags:
    """Which slots are zero, [seeds, slots]."""
    columns = []
    for slot in slots:
        part = leaves[slot.leaf][slot.place]
        columns.append(~part.reshape(len(part), -1).any(axis=1))
    return np.stack(columns, axis=1)


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
