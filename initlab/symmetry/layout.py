"""Where the atoms of an array's axes lie, and what they lie beside."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from initlab.symmetry.dimensions import Dimension, atoms, factors, parts

__all__ = ["Occurrence", "Place", "occurrences"]


class Place(NamedTuple):
    """Where a dimension lies on an axis of an array: `[outer, size, inner]` from `start` on."""

    axis: int
    start: int
    outer: int
    inner: int


class Occurrence(NamedTuple):
    """An atom in the axes of an array.

    Attributes:
      atom: which.
      axis: the number of the axis.
      place: where on it; None where it lies in a layout that a Place cannot express.
      beside: the dimensions that each of its entries also has an index in, each that occurs once,
        and where they lie: factors of other axes and of the atom's own. They are roots; a
        concatenation that is a whole factor is one of them, its parts are not.
    """

    atom: Dimension
    axis: int
    place: Place | None
    beside: Mapping[Dimension, Place]


def occurrences(axes: Sequence[Dimension]) -> list[Occurrence]:
    """Every atom of an array's axes, axis by axis; without axes along which the array is uniform.

    Args:
      axes: of one array.

    Returns:
      An occurrence for each time that an atom lies on an axis.

    >>> head, feature, row = Dimension(2), Dimension(3), Dimension(4)
    >>> from initlab.symmetry.dimensions import product
    >>> found = occurrences((row, product((head, feature))))
    >>> [(each.place, len(each.beside)) for each in found if each.atom is feature]
    [(Place(axis=1, start=0, outer=2, inner=1), 2)]
    """
    top = [
        each
        for number, axis in enumerate(axes)
        if not axis.uniform
        for each in _placed(axis, Place(number, 0, 1, 1))
    ]
    return list(_found(top, []))


Placed = tuple[Dimension, Place]


def _placed(axis: Dimension, at: Place) -> list[Placed]:
    """The factors of an axis, or of a part of one, and where they lie."""
    inside = factors(axis)
    sizes = [each.size for each in inside]
    found: list[Placed] = []
    for number, each in enumerate(inside):
        outer, inner = math.prod(sizes[:number]), math.prod(sizes[number + 1 :])
        found.append((each, at._replace(outer=at.outer * outer, inner=at.inner * inner)))
    return found


def _found(here: Sequence[Placed], around: Sequence[Placed]) -> Iterator[Occurrence]:
    every = [*around, *here]
    for number, (each, place) in enumerate(here):
        others = [other for other in every if other is not here[number]]
        if not each.concatenation:
            counts: dict[Dimension, int] = {}
            for other, _ in others:
                counts[other] = counts.get(other, 0) + 1
            beside = {other: at for other, at in others if counts[other] == 1 and other is not each}
            yield Occurrence(each, place.axis, place, beside)
        elif place.outer > 1:
            # Each part lies in several stretches: no place of one start.
            for atom in atoms(each):
                yield Occurrence(atom, place.axis, None, {})
        else:
            start = place.start
            for part in parts(each):
                inside = _placed(part, place._replace(start=start))
                yield from _found(inside, others)
                start += part.size * place.inner
