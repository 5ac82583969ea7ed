"""The names of groups: after where they first lie."""

import itertools
from collections.abc import Mapping, Sequence

from initlab.symmetry.groups import UnitAxis, UnitGroup
from initlab.symmetry.unit_axes import Units

__all__ = ["named"]


def named(found: Sequence[Units], modules: Mapping[str, str]) -> tuple[UnitGroup, ...]:
    """Groups named after the module that they first lie in, or what distinguishes two in it.

    Units of one slice of a leaf are named as those of all slices are, with the slice's index.

    Args:
      found: the units of each.
      modules: for the path of each leaf that of its module.

    Returns:
      The groups, each with a name of its own.
    """
    layouts = [_layout(each) for each in found]
    bases = _bases(dict.fromkeys(layouts), modules)
    names: list[str] = []
    for each, layout in zip(found, layouts, strict=True):
        at = each.axes[0].at
        name = bases[layout] + (f"[{', '.join(map(str, at))}]" if at else "")
        # A module may be called what a leaf of another is.
        alike = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
        names.append(next(other for other in alike if other not in names))
    return tuple(UnitGroup(name, *each) for name, each in zip(names, found, strict=True))


Layout = tuple[int, UnitAxis]


def _layout(units: Units) -> Layout:
    first = units.axes[0]
    return units.size, UnitAxis(
        first.path, first.axis, first.outer, first.inner, first.start, first.rest
    )


def _bases(layouts: Mapping[Layout, None], modules: Mapping[str, str]) -> dict[Layout, str]:
    firsts = [unit for _, unit in layouts]
    around = [modules[unit.path] for unit in firsts]
    bases: dict[Layout, str] = {}
    for (size, unit), module in zip(layouts, around, strict=True):
        name = module
        if not module or around.count(module) > 1:
            name = unit.path
            rivals = [other.axis for other in firsts if other.path == unit.path]
            if len(rivals) > 1:
                name += f":{unit.axis}"
            if rivals.count(unit.axis) > 1:
                start = f"{unit.start}:" if unit.start else ""
                name += f"[{start}{unit.outer},{size},{unit.inner}]"
        bases[size, unit] = name
    return bases
