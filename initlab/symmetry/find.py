"""Finds the groups of exchangeable units of any model, from its program alone."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, overload

import jax

from initlab import checks
from initlab.programs.equations import has_lasting_effect
from initlab.programs.trace import trace
from initlab.symmetry.arrays import leaves_by_path
from initlab.symmetry.blocks import find_blocks
from initlab.symmetry.dimensions import Dimension, atoms, pin
from initlab.symmetry.groups import BlockAxis, UnitAxis, UnitGroup
from initlab.symmetry.layout import Occurrence, Place, occurrences
from initlab.symmetry.propagate_axes import Record, propagate_axes
from initlab.symmetry.rule_types import fresh
from initlab.types import Apply, Params

__all__ = ["Coverage", "Symmetry", "find_groups", "read_symmetry"]


class Coverage(NamedTuple):
    """What `find_groups` could not follow.

    Attributes:
      primitives: the operations without a rule, by name.
      share: the share of the axes of parameters, in [0, 1], that these operations touched and
        that are therefore taken as fixed.
      strided: axes that hold units in a layout that a UnitAxis cannot express, as "path axis".
    """

    primitives: tuple[str, ...]
    share: float
    strided: tuple[str, ...]


@overload
def find_groups(
    apply: Apply, params: Params, x: Any, *, report: Literal[False] = False
) -> tuple[UnitGroup, ...]: ...
@overload
def find_groups(
    apply: Apply, params: Params, x: Any, *, report: Literal[True]
) -> tuple[tuple[UnitGroup, ...], Coverage]: ...
def find_groups(apply: Apply, params: Params, x: Any, *, report: bool = False) -> Any:
    """`apply(permute(params, group, pi), x) = apply(params, x)`, for each group, every pi and x.

    The program of `apply` is traced and its axes are followed from the parameters on; nothing is
    computed. What inputs, outputs or arrays that vary fix, and what cannot be followed, is no unit:
    a symmetry may be missed, none is made up. Exchanging units that a network does not tell apart
    goes back to Hecht-Nielsen (1990).

    Args:
      apply: a pure function `(params, x) -> outputs`.
      params: a pytree of floating arrays, or of `jax.ShapeDtypeStruct`.
      x: a pytree of inputs, or of `jax.ShapeDtypeStruct`.
      report: whether to return what could not be followed too.

    Returns:
      The groups, in the order of the parameters that they lie in; with `report`, those and a
      `Coverage`.

    Raises:
      TypeError: if apply is not a function of `(params, x)`, or a leaf of params is not floating.
      ValueError: if apply cannot be traced, has side effects, or does not use its params.

    >>> import jax.numpy as jnp
    >>> layers = {"in": jnp.zeros((3, 8)), "out": jnp.zeros((8, 2))}
    >>> mlp = lambda params, x: jnp.tanh(x @ params["in"]) @ params["out"]
    >>> (group,) = find_groups(mlp, layers, jnp.ones((5, 3)))
    >>> group.name, group.size, [unit.path for unit in group.axes]
    ('in', 8, ['in', 'out'])
    """
    symmetry = read_symmetry(apply, params, x)
    return (symmetry.groups, symmetry.coverage) if report else symmetry.groups


class Symmetry(NamedTuple):
    """All that is read off a program's axes.

    Attributes:
      groups: of exchangeable units.
      coverage: what could not be followed.
      batched: axes that parameters and signals share, of which each index has units of its own:
        layers of a stack, heads, experts, members; the path of a leaf and where it has one, whether
        its indices may be exchanged or not.
    """

    groups: tuple[UnitGroup, ...]
    coverage: Coverage
    batched: tuple[tuple[str, BlockAxis], ...]


def read_symmetry(apply: Apply, params: Params, x: Any) -> Symmetry:
    """What `find_groups` finds, and the axes along which units have blocks.

    Args:
      apply: as for `find_groups`.
      params: as for `find_groups`.
      x: as for `find_groups`.

    Returns:
      Groups, coverage and batched axes.

    Raises:
      TypeError: as `find_groups`.
      ValueError: as `find_groups`.
    """
    with checks.naming_exchanged(apply, params, x):
        leaves = _leaf_paths(params)
        program = _trace(apply, params, x)
    _check_program(program)
    inputs = [fresh(variable.aval.shape) for variable in program.jaxpr.invars]
    record = Record(set(), [])
    for axes in inputs[len(leaves) :]:
        _pin_all(axes)
    for axes in propagate_axes(program, inputs, record):
        _pin_all(axes)
    by_leaf = dict(zip(leaves, inputs[: len(leaves)], strict=True))
    found = [atom for axes in by_leaf.values() for axis in axes for atom in atoms(axis)]
    if found and not any(atom.read for atom in found):
        raise ValueError(
            "apply does not use its params: it must take them first, as apply(params, x)"
        )
    groups, strided, batched = _groups(by_leaf, *find_blocks(list(by_leaf.values()), record.steps))
    axes = [axis for each in by_leaf.values() for axis in each if axis.size > 1]
    touched = sum(any(atom.unsupported for atom in atoms(axis)) for axis in axes)
    share = touched / max(1, len(axes))
    return Symmetry(groups, Coverage(tuple(sorted(record.unsupported)), share, strided), batched)


def _leaf_paths(params: Params) -> list[tuple[Any, ...]]:
    checks.check_floating_params(params)
    leaves_by_path(params)
    return [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def _trace(apply: Apply, params: Params, x: Any) -> Any:
    checks.check_callable("apply", apply)
    try:
        program, _ = trace(apply, params, x)
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.NonConcreteBooleanIndexError,
        jax.errors.TracerArrayConversionError,
        jax.errors.TracerIntegerConversionError,
    ) as error:
        raise ValueError(
            f"apply must not look at values in Python (branches, loops, NumPy): {error}"
        ) from error
    except Exception as error:
        raise TypeError(
            f"apply must be a function of (params, x), params first; calling it on their shapes "
            f"raised {type(error).__name__}: {error}"
        ) from error
    return program


def _check_program(program: Any) -> None:
    # A print is dead code, as what is not used is: no output depends on it.
    lasting = [each for each in program.eqns if has_lasting_effect(each)]
    if lasting:
        named = {type(effect).__name__ for each in lasting for effect in each.effects}
        effects = ", ".join(sorted(named))
        raise ValueError(f"apply must be pure, got a function with side effects: {effects}")
    shapes = [aval.shape for aval in program.out_avals]
    if not any(map(math.prod, shapes)):
        raise ValueError(f"apply must return at least one entry, got arrays of shapes {shapes}")


def _pin_all(axes: Sequence[Dimension]) -> None:
    for axis in axes:
        pin(axis)


def _groups(
    by_leaf: dict[tuple[Any, ...], Any],
    blocks: dict[Dimension, tuple[Dimension, ...]],
    root: Callable[[Dimension], Dimension],
) -> tuple[tuple[UnitGroup, ...], tuple[str, ...], tuple[tuple[str, BlockAxis], ...]]:
    found: dict[Dimension, list[tuple[tuple[Any, ...], UnitAxis]]] = {}
    strided: dict[Dimension, list[str]] = {}
    for path, axes in by_leaf.items():
        name = checks.path_name(path)
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
            for unit in _unit_axes(name, sizes, here, where):
                found.setdefault(atom, []).append((path, unit))
    found = {atom: _with_common_blocks(where) for atom, where in found.items()}
    free = {atom: where for atom, where in found.items() if _is_free(atom) and atom not in strided}
    lost = {each for atom, names in strided.items() if _is_free(atom) for each in names}
    batched = dict.fromkeys(
        (unit.path, each)
        for atom, where in found.items()
        if atom.size > 1 and atom.read
        for _, unit in where
        for each in unit.blocks
    )
    return _named(free), tuple(sorted(lost)), tuple(batched)


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
    where: list[tuple[tuple[Any, ...], UnitAxis]],
) -> list[tuple[tuple[Any, ...], UnitAxis]]:
    """Without the blocks that have no one place beside some unit axis."""
    kept = [
        number
        for number in range(len(where[0][1].blocks))
        if all(unit.blocks[number].axis >= 0 for _, unit in where)
    ]
    return [
        (path, dataclasses.replace(unit, blocks=tuple(unit.blocks[number] for number in kept)))
        for path, unit in where
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


def _named(
    found: dict[Dimension, list[tuple[tuple[Any, ...], UnitAxis]]],
) -> tuple[UnitGroup, ...]:
    """Groups named after where they first lie: the module, or what distinguishes two in it."""
    firsts = [where[0] for where in found.values()]
    modules = [checks.path_name(path[:-1]) for path, _ in firsts]
    names: list[str] = []
    for (path, unit), module, atom in zip(firsts, modules, found, strict=True):
        name = module
        if not module or modules.count(module) > 1:
            name = checks.path_name(path)
            rivals = [other.axis for _, other in firsts if other.path == unit.path]
            if len(rivals) > 1:
                name += f":{unit.axis}"
            if rivals.count(unit.axis) > 1:
                start = f"{unit.start}:" if unit.start else ""
                name += f"[{start}{unit.outer},{atom.size},{unit.inner}]"
        # A module may be called what a leaf of another is.
        alike = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
        names.append(next(each for each in alike if each not in names))
    return tuple(
        UnitGroup(name, atom.size, tuple(dict.fromkeys(unit for _, unit in where)))
        for name, (atom, where) in zip(names, found.items(), strict=True)
    )
