"""Finds the groups of exchangeable units of any model, from its program alone."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import jax

from initlab import checks
from initlab.programs.equations import has_lasting_effect
from initlab.programs.trace import trace
from initlab.symmetry.arrays import leaves_by_path
from initlab.symmetry.dimensions import Dimension, atoms, parts, pin, resolve
from initlab.symmetry.groups import UnitAxis, UnitGroup
from initlab.symmetry.propagate_axes import propagate_axes
from initlab.symmetry.rule_types import fresh
from initlab.types import Apply, Params

__all__ = ["Coverage", "find_groups"]


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
    leaves = _leaf_paths(params)
    program = _trace(apply, params, x)
    inputs = [fresh(variable.aval.shape) for variable in program.jaxpr.invars]
    unsupported: set[str] = set()
    for axes in inputs[len(leaves) :]:
        _pin_all(axes)
    for axes in propagate_axes(program, inputs, unsupported):
        _pin_all(axes)
    by_leaf = dict(zip(leaves, inputs[: len(leaves)], strict=True))
    found = [atom for axes in by_leaf.values() for axis in axes for atom in atoms(axis)]
    if found and not any(atom.read for atom in found):
        raise ValueError(
            "apply does not use its params: it must take them first, as apply(params, x)"
        )
    groups, strided = _groups(by_leaf)
    if not report:
        return groups
    axes = [axis for each in by_leaf.values() for axis in each if axis.size > 1]
    touched = sum(any(atom.unsupported for atom in atoms(axis)) for axis in axes)
    return groups, Coverage(tuple(sorted(unsupported)), touched / max(1, len(axes)), strided)


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
    # A print is dead code, as what is not used is: no output depends on it.
    lasting = [each for each in program.eqns if has_lasting_effect(each)]
    if lasting:
        named = {type(effect).__name__ for each in lasting for effect in each.effects}
        effects = ", ".join(sorted(named))
        raise ValueError(f"apply must be pure, got a function with side effects: {effects}")
    shapes = [aval.shape for aval in program.out_avals]
    if not any(map(math.prod, shapes)):
        raise ValueError(f"apply must return at least one entry, got arrays of shapes {shapes}")
    return program


def _pin_all(axes: Sequence[Dimension]) -> None:
    for axis in axes:
        pin(axis)


class _Place(NamedTuple):
    """Where an atom lies on an axis: `[outer, size, inner]` from `start` on."""

    start: int
    outer: int
    inner: int


def _groups(by_leaf: dict[tuple[Any, ...], Any]) -> tuple[tuple[UnitGroup, ...], tuple[str, ...]]:
    found: dict[Dimension, list[tuple[tuple[Any, ...], UnitAxis]]] = {}
    strided: dict[Dimension, list[str]] = {}
    for path, axes in by_leaf.items():
        name = checks.path_name(path)
        for number, axis in enumerate(axes):
            places: dict[Dimension, list[_Place]] = {}
            for atom in _locate(axis, _Place(0, 1, 1), places):
                strided.setdefault(atom, []).append(f"{name} {number}")
            for atom, where in places.items():
                for start, outer, inner in _merge(atom.size, where):
                    rest = axis.size - start - outer * atom.size * inner
                    unit = UnitAxis(name, number, outer, inner, start, rest)
                    found.setdefault(atom, []).append((path, unit))
    free = {atom: where for atom, where in found.items() if _is_free(atom) and atom not in strided}
    lost = {each for atom, names in strided.items() if _is_free(atom) for each in names}
    return _named(free), tuple(sorted(lost))


def _is_free(atom: Dimension) -> bool:
    return atom.size > 1 and atom.read and not atom.pinned


def _locate(axis: Dimension, at: _Place, places: dict[Dimension, list[_Place]]) -> list[Dimension]:
    """Fills in where each atom of an axis lies; returns those without such a place."""
    axis = resolve(axis)
    lost = []
    if axis.product:
        sizes = [each.size for each in axis.product]
        for number, each in enumerate(axis.product):
            outer, inner = math.prod(sizes[:number]), math.prod(sizes[number + 1 :])
            lost += _locate(each, _Place(at.start, at.outer * outer, at.inner * inner), places)
    elif axis.concatenation:
        if at.outer > 1:
            return atoms(axis)
        start = at.start
        for each in parts(axis):
            lost += _locate(each, _Place(start, 1, at.inner), places)
            start += each.size * at.inner
    else:
        places.setdefault(axis, []).append(at)
    return lost


def _merge(size: int, places: Sequence[_Place]) -> list[_Place]:
    """Pieces of one layout, one right after the other, are one."""
    merged: list[_Place] = []
    for place in sorted(places):
        last = merged[-1] if merged else None
        if (
            last is not None
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
    names = []
    for (path, unit), module, atom in zip(firsts, modules, found, strict=True):
        name = module
        if not module or modules.count(module) > 1:
            name = checks.path_name(path)
            rivals = [other.axis for _, other in firsts if other.path == unit.path]
            if len(rivals) > 1:
                name += f":{unit.axis}"
            if rivals.count(unit.axis) > 1:
                name += f"[{unit.outer},{atom.size},{unit.inner}]"
        names.append(name)
    return tuple(
        UnitGroup(name, atom.size, tuple(dict.fromkeys(unit for _, unit in where)))
        for name, (atom, where) in zip(names, found.items(), strict=True)
    )
