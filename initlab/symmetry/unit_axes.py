"""From the axes of parameters, as a propagation has left them, to the places of units."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from initlab.symmetry.dimensions import Dimension
from initlab.symmetry.groups import BlockAxis, UnitAxis
from initlab.symmetry.layout import Occurrence, Place, occurrences
from initlab.symmetry.rule_types import Axes

__all__ = ["Found", "Units", "find_units"]


class Units(NamedTuple):
    """Units that may be exchanged.

    Attributes:
      size: how many.
      axes: where they lie.
    """

    size: int
    axes: tuple[UnitAxis, ...]


class Found(NamedTuple):
    """What the axes of parameters hold.

    Attributes:
      units: of each atom that may be permuted, in the order of the leaves that they lie in.
      strided: axes that hold such units in a layout that a UnitAxis cannot express, as "path axis".
      batched: axes that parameters and signals share, as `Symmetry` has them.
    """

    units: tuple[Units, ...]
    strided: tuple[str, ...]
    batched: tuple[tuple[str, BlockAxis], ...]


def find_units(
    leaves: Sequence[tuple[str, Axes]],
    blocks: Mapping[Dimension, tuple[Dimension, ...]],
    root: Callable[[Dimension], Dimension],
) -> Found:
    """Reads the units off axes.

    Args:
      leaves: the path of each leaf, and its axes.
      blocks: for each atom the dimensions in each index of which it may be exchanged alone.
      root: the one name of a dimension.

    Returns:
      What was found.
    """
    found: dict[Dimension, list[UnitAxis]] = {}
    strided: dict[Dimension, list[str]] = {}
    for name, axes in leaves:
        places: dict[tuple[Dimension, int], list[Occurrence]] = {}
        for each in occurrences(axes):
            if each.place is None:
                strided.setdefault(each.atom, []).append(f"{name} {each.axis}")
            else:
                places.setdefault((each.atom, each.axis), []).append(each)
        sizes = [axis.size for axis in axes]
        for (atom, _), here in places.items():
            wanted = blocks.get(atom, ())
            beside = [{root(one): at for one, at in each.beside.items()} for each in here]
            where = [[(each.size, its[each]) for each in wanted] for its in beside]
            found.setdefault(atom, []).extend(_unit_axes(name, sizes, here, where))
    found = {atom: _with_common_blocks(where) for atom, where in found.items()}
    lost = {each for atom, names in strided.items() if _is_free(atom) for each in names}
    batched = dict.fromkeys(
        (unit.path, each)
        for atom, where in found.items()
        if atom.size > 1 and atom.read
        for unit in where
        for each in unit.blocks
    )
    units = tuple(
        Units(atom.size, tuple(dict.fromkeys(where)))
        for atom, where in found.items()
        if _is_free(atom) and atom not in strided
    )
    return Found(units, tuple(sorted(lost)), tuple(batched))


def _is_free(atom: Dimension) -> bool:
    return atom.size > 1 and atom.read and not atom.pinned


def _unit_axes(
    name: str,
    sizes: Sequence[int],
    here: Sequence[Occurrence],
    blocks: Sequence[Sequence[tuple[int, Place]]],
) -> Iterator[UnitAxis]:
    """The occurrences of an atom on one axis of a leaf, merged, with the places of its blocks."""
    size, axis = here[0].atom.size, here[0].axis
    places = [each.place for each in here if each.place is not None]
    for merged in _merge(size, places):
        last = merged.start + merged.outer * size * merged.inner
        inside = [
            its
            for place, its in zip(places, blocks, strict=True)
            if place.inner == merged.inner and merged.start <= place.start < last
        ]
        found = []
        for each in zip(*inside, strict=True):
            length, number = each[0][0], each[0][1].axis
            together = _merge(length, list(dict.fromkeys(place for _, place in each)))
            # Blocks of several layouts have no one place.
            at = together[0] if len(together) == 1 else Place(-1, 0, 1, 1)
            rest = sizes[number] - at.start - at.outer * length * at.inner
            found.append(BlockAxis(at.axis, length, at.outer, at.inner, at.start, rest))
        rest = sizes[axis] - last
        yield UnitAxis(
            name, axis, merged.outer, merged.inner, merged.start, rest, blocks=tuple(found)
        )


def _with_common_blocks(
    where: list[UnitAxis],
) -> list[UnitAxis]:
    """Without the blocks that have no one place beside some unit axis."""
    kept = [
        number
        for number in range(len(where[0].blocks))
        if all(unit.blocks[number].axis >= 0 for unit in where)
    ]
    return [
        dataclasses.replace(unit, blocks=tuple(unit.blocks[number] for number in kept))
        for unit in where
    ]


def _merge(size: int, places: Sequence[Place]) -> list[Place]:
    """Pieces of one layout, one right after the other, are one."""
    merged: list[Place] = []
    for place in sorted(places):
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.axis == place.axis
            and last.inner == place.inner
            and last.start + last.outer * size * last.inner == place.start
        ):
            merged[-1] = last._replace(outer=last.outer + place.outer)
        else:
            merged.append(place)
    return merged
