"""Parameters that a program takes index by index: which, and what their slices show of units."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from initlab.symmetry.dimensions import Dimension, factors, parts
from initlab.symmetry.groups import BlockAxis, UnitAxis
from initlab.symmetry.propagate_axes import Step
from initlab.symmetry.restriction import entries_of
from initlab.symmetry.rule_types import Axes
from initlab.symmetry.stacks import Place
from initlab.symmetry.unit_axes import Found, Units

__all__ = [
    "Slice",
    "SlicePlaces",
    "lifted",
    "merged",
    "slice_places",
    "slices_of",
    "with_slices",
]

MOST = 128
"""More slices than this are no layers, and stay one array."""

SlicePlaces = dict[int, tuple[Place, ...]]
"""For the number of a leaf where its slices lie, then where the slices of each slice do."""


class Slice(NamedTuple):
    """A slice of a leaf, of a slice of it, and so on.

    Attributes:
      path: of the leaf.
      taken: each place that it was sliced at, and the index taken there.
    """

    path: str
    taken: tuple[tuple[Place, int], ...]


def slice_places(
    leaves: Sequence[Axes], steps: Sequence[Step], root: Callable[[Dimension], Dimension]
) -> SlicePlaces | None:
    """The places at which leaves are sliced, where their slices may have units of their own.

    Layers that a scan hands to a residual stream are not among them: what the whole shows, with a
    block for each layer, is all that slices would.

    Args:
      leaves: the axes of each parameter, as a propagation has left them.
      steps: what it recorded.
      root: the one name of a dimension.

    Returns:
      For the number of each leaf that has them, its places; None where no slices of leaves, nor of
      what is put together from leaves, may have units of their own.
    """
    sliced = {root(each) for step in steps for each in _sliced(step)}
    found = {n: _places(axes, sliced, root) for n, axes in enumerate(leaves)}
    # Slices without two axes, as positions' are, tie no units, unless they lie beside others that
    # do, as biases beside weights.
    useful = {
        place.size
        for n, places in found.items()
        for place, _ in places
        if sum(len(factors(axis)) for axis in leaves[n]) > 2
    }
    kept = {
        n: _nested([each for each in places if each[0].size in useful])
        for n, places in found.items()
    }
    places = {n: each for n, each in kept.items() if each}
    shifts = any(step.name == "enter" and step.params["shifts"] for step in steps)
    return places if places or shifts else None


def _sliced(step: Step) -> Iterable[Dimension]:
    """The dimensions that a step takes a part of."""
    if not step.operands:
        return []
    operand = step.operands[0]
    if step.name == "enter":
        taken = [operand[0]] if step.params["shifts"] else []
    elif step.name == "unstack":
        taken = [operand[step.params["axis"]]]
    elif step.name in ("slice", "split"):
        taken = [axis for n, axis in enumerate(operand) if step.results[0][n].size < axis.size]
    elif step.name == "dynamic_slice":
        taken = [axis for n, axis in enumerate(operand) if step.results[0][n].size == 1 < axis.size]
    else:
        taken = []
    return [factors(axis)[0] for axis in taken if axis.size > 1]


def _places(
    axes: Axes, sliced: set[Dimension], root: Callable[[Dimension], Dimension]
) -> list[tuple[Place, bool]]:
    """Each place of an array, and whether its slices are the parts of a concatenation."""
    found: list[tuple[Place, bool]] = []
    for number, axis in enumerate(axes):
        inside = factors(axis)
        for n, each in enumerate(inside):
            outer = math.prod(other.size for other in inside[:n])
            inner = math.prod(other.size for other in inside[n + 1 :])
            length = math.gcd(*(part.size for part in parts(each))) if each.concatenation else 1
            size = each.size // length
            if root(each) in sliced and 1 < size <= MOST:
                found.append((Place(number, outer, size, length * inner), length > inner == 1))
    return found


def _nested(places: Sequence[tuple[Place, bool]]) -> tuple[Place, ...]:
    """Places of a leaf, each as it lies in the slices taken before."""
    found: list[Place] = []
    for place, are_parts in places:
        before = math.prod(each.size for each in found if each.axis == place.axis)
        # Parts that lie one after the other on an axis have units of their own already.
        is_apart = are_parts and place.outer == before
        if before * place.size <= MOST and not is_apart:
            found.append(dataclasses.replace(place, outer=place.outer // before))
    return tuple(found)


def merged(
    places: SlicePlaces, slices: Sequence[int], more: Mapping[int, tuple[Place, ...]]
) -> SlicePlaces:
    """The places of leaves with those that their slices turned out to have.

    Args:
      places: of the leaves.
      slices: for each slice the number of its leaf.
      more: the places of slices, by their numbers.

    Returns:
      All places; where one slice of a leaf has more, all of them are sliced there.
    """
    found = dict(places)
    for number, leaf in enumerate(slices):
        for place in more.get(number, ()):
            before = found.get(leaf, ())
            count = math.prod(each.size for each in before)
            if place not in before[len(places.get(leaf, ())) :] and count * place.size <= MOST:
                found[leaf] = (*before, place)
    return found


def slices_of(path: str, places: Sequence[Place]) -> list[Slice]:
    """The slices of a leaf at its places, in the order in which `unstacked` takes them."""
    found = [Slice(path, ())]
    for place in places:
        found = [
            Slice(path, (*each.taken, (place, index)))
            for each in found
            for index in range(place.size)
        ]
    return found


def lifted(found: Found, slices: Mapping[str, Slice]) -> Found:
    """What was found in slices, in the places of the leaves.

    Args:
      found: units whose paths are the keys of `slices`.
      slices: what each is.

    Returns:
      The same units; those of all slices, each with one permutation of its own, are one with a
      block for each.
    """
    kept = [
        Units(size, tuple(axis for axis in axes if axis is not None))
        for size, units in found.units
        if None not in (axes := [_in_leaf(unit, slices[unit.path]) for unit in units])
    ]
    lost = [each.split(" ") for each in found.strided]
    strided = sorted({f"{slices[key].path} {axis}" for key, axis in lost})
    return Found(tuple(_together(kept)), tuple(strided), ())


def _in_leaf(unit: UnitAxis, of: Slice) -> UnitAxis | None:
    """A slice's unit axis as one of the leaf, restricted to the slice; None if it has no layout."""
    axis: UnitAxis | None = unit
    for place, index in reversed(of.taken):
        axis = axis and _in_whole(axis, place, index)
    return axis and dataclasses.replace(axis, path=of.path)


def _in_whole(unit: UnitAxis, place: Place, index: int) -> UnitAxis | None:
    blocks = [_laid_out(each, each.size, place, index) for each in unit.blocks]
    if unit.axis != place.axis or place.outer > 1:
        blocks.insert(0, BlockAxis(place.axis, place.size, place.outer, place.inner))
        unit = dataclasses.replace(unit, at=(index, *unit.at))
    span = BlockAxis(unit.axis, 0, unit.outer, unit.inner, unit.start, unit.rest)
    size = place.outer * place.inner - unit.start - unit.rest
    placed = _laid_out(span, size // (unit.outer * unit.inner), place, index)
    if placed is None or None in blocks:
        return None
    return dataclasses.replace(
        unit,
        outer=placed.outer,
        inner=placed.inner,
        start=placed.start,
        rest=placed.rest,
        blocks=tuple(each for each in blocks if each is not None),
    )


def _laid_out(inside: BlockAxis, size: int, place: Place, index: int) -> BlockAxis | None:
    """What lies on an axis of a slice, on the axis of the whole; None if it has no layout there."""
    if inside.axis != place.axis:
        return inside
    if place.outer == 1:
        before, after = index * place.inner, (place.size - 1 - index) * place.inner
        return dataclasses.replace(inside, start=inside.start + before, rest=inside.rest + after)
    if inside.start or inside.rest:
        return None
    if place.inner % (size * inside.inner) == 0:
        return dataclasses.replace(inside, outer=inside.outer * place.size)
    if inside.inner % place.inner == 0:
        return dataclasses.replace(inside, inner=inside.inner * place.size)
    return None


def _together(found: Sequence[Units]) -> list[Units]:
    """Units of every slice, alike but for the slice, as one with a block for each slice."""
    families: dict[Units, dict[int, Units]] = {}
    for each in found:
        for number in range(min(len(unit.at) for unit in each.axes)):
            indices = {unit.at[number] for unit in each.axes}
            if len(indices) == 1:
                family = _freed(each, number)
                families.setdefault(family, {})[indices.pop()] = each
    for family, members in families.items():
        first = family.axes[0]
        if len(members) == first.blocks[len(first.at)].size:
            rest = [each for each in found if each not in members.values()]
            return _together([family, *rest])
    return list(found)


def _freed(units: Units, number: int) -> Units:
    """Units without one restriction: its block becomes the first of those that are free."""
    axes = []
    for unit in units.axes:
        last = len(unit.at)
        taken, free = list(unit.blocks[:last]), unit.blocks[last:]
        block = taken.pop(number)
        at = (*unit.at[:number], *unit.at[number + 1 :])
        axes.append(dataclasses.replace(unit, blocks=(*taken, block, *free), at=at))
    return Units(units.size, tuple(axes))


def with_slices(found: Found, finer: Found, leaves: Mapping[str, Sequence[int]]) -> Found:
    """What whole leaves show, with what their slices show where that is more.

    Args:
      found: read off the program.
      finer: read off the program of slices, in the places of the leaves.
      leaves: the shape of each leaf by its path, in their order.

    Returns:
      Units that are replaced by finer ones which together hold every entry of theirs, and finer
      ones that no other units overlap.
    """
    kept: list[Units] = []
    new: list[Units] = []
    for each in found.units:
        inside = [
            other
            for other in finer.units
            if other.size == each.size
            and all(any(_lies_in(one, unit) for unit in each.axes) for one in other.axes)
        ]
        is_finer = sum(map(_exchanges, inside)) > _exchanges(each)
        if is_finer and sum(_entries(one, leaves) for one in inside) == _entries(each, leaves):
            new += inside
        else:
            kept.append(each)
    taken = [unit for each in kept for unit in each.axes]
    new += [
        each
        for each in finer.units
        if each not in new and not any(_overlap(one, other) for one in each.axes for other in taken)
    ]
    order = list(leaves)
    units = sorted((*kept, *new), key=lambda each: order.index(each.axes[0].path))
    batched = dict.fromkeys(
        (
            *found.batched,
            *(
                (unit.path, block)
                for each in new
                for unit in each.axes
                for block in unit.blocks
                if block.outer == block.inner == 1
            ),
        )
    )
    return Found(tuple(units), finer.strided, tuple(batched))


def _exchanges(units: Units) -> int:
    """How many blocks have an exchange of their own."""
    first = units.axes[0]
    return math.prod(block.size for block in first.blocks[len(first.at) :])


def _entries(units: Units, leaves: Mapping[str, Sequence[int]]) -> int:
    """How many entries an exchange moves, those on two axes twice."""
    count = 0
    for unit in units.axes:
        shape = leaves[unit.path]
        where = entries_of(shape, unit)
        along, end = where[unit.axis], shape[unit.axis] - unit.rest
        where[unit.axis] = along[(along >= unit.start) & (along < end)]
        count += math.prod(map(len, where))
    return count


def _lies_in(one: UnitAxis, other: UnitAxis) -> bool:
    return (
        (one.path, one.axis, one.inner) == (other.path, other.axis, other.inner)
        and one.start >= other.start
        and one.rest >= other.rest
    )


def _overlap(one: UnitAxis, other: UnitAxis) -> bool:
    """Whether units that lie on one axis in one layout may be the same ones."""
    return (one.path, one.axis, one.inner) == (other.path, other.axis, other.inner)
