"""Finds the groups of exchangeable units of any model, from its program alone."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import jax

from initlab import checks
from initlab.programs.equations import has_lasting_effect
from initlab.programs.trace import trace
from initlab.symmetry.blocks import find_blocks
from initlab.symmetry.dimensions import Dimension, atoms, pin
from initlab.symmetry.group_names import named
from initlab.symmetry.groups import BlockAxis, UnitGroup
from initlab.symmetry.propagate_axes import Record, propagate_axes
from initlab.symmetry.rule_types import Axes, fresh
from initlab.symmetry.slices import (
    SlicePlaces,
    lifted,
    merged,
    slice_places,
    slices_of,
    with_slices,
)
from initlab.symmetry.unit_axes import Found, find_units
from initlab.symmetry.unstack import unstacked
from initlab.types import Apply, Params

__all__ = ["Coverage", "Symmetry", "find_groups", "read_symmetry"]

ROUNDS = 3
"""How often slices may turn out to have slices of their own: layers, parts of each, ..."""


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
@checks.checked
def find_groups(apply: Apply, params: Params, x: Any, *, report: bool = False) -> Any:
    """`apply(permute(params, group, pi), x) = apply(params, x)`, for each group, every pi and x.

    The program of `apply` is traced and its axes are followed from the parameters on; nothing is
    computed. What inputs, outputs or arrays that vary fix, and what cannot be followed, is no unit:
    a symmetry may be missed, none is made up. Exchanging units that a network does not tell apart
    goes back to Hecht-Nielsen (1990).

    Args:
      apply: a pure function `(params, x) -> outputs`.
      params: a pytree of floating or complex arrays, or of `jax.ShapeDtypeStruct`.
      x: a pytree of inputs, or of `jax.ShapeDtypeStruct`.
      report: whether to return what could not be followed too.

    Returns:
      The groups, in the order of the parameters that they lie in; with `report`, those and a
      `Coverage`.

    Raises:
      TypeError: if apply is not a function of `(params, x)`, or a leaf of params is not floating or
        complex.
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


@checks.checked
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
        paths = _leaf_paths(params)
        program = _trace(apply, params, x)
    _check_program(program)
    names = [checks.path_name(path) for path in paths]
    leaves, record = _propagated(program, len(paths))
    if names and not any(atom.read for axes in leaves for axis in axes for atom in atoms(axis)):
        raise ValueError(
            "apply does not use its params: it must take them first, as apply(params, x)"
        )
    blocks, root = find_blocks(leaves, record.steps)
    found = find_units(list(zip(names, leaves, strict=True)), blocks, root)
    places = slice_places(leaves, record.steps, root)
    if places is not None:
        shapes = [tuple(axis.size for axis in axes) for axes in leaves]
        finer = _of_slices(program, names, places)
        found = with_slices(found, finer, dict(zip(names, shapes, strict=True)))
    axes = [axis for each in leaves for axis in each if axis.size > 1]
    touched = sum(any(atom.unsupported for atom in atoms(axis)) for axis in axes)
    coverage = Coverage(
        tuple(sorted(record.unsupported)), touched / max(1, len(axes)), found.strided
    )
    modules = dict(zip(names, (checks.path_name(path[:-1]) for path in paths), strict=True))
    return Symmetry(named(found.units, modules), coverage, found.batched)


def _propagated(program: Any, count: int) -> tuple[list[Axes], Record]:
    """The axes of the first inputs, the parameters; those of the others are pinned, and outputs."""
    inputs = [fresh(variable.aval.shape) for variable in program.jaxpr.invars]
    record = Record()
    for axes in inputs[count:]:
        _pin_all(axes)
    for axes in propagate_axes(program, inputs, record):
        _pin_all(axes)
    return inputs[:count], record


def _of_slices(
    program: Any, names: Sequence[str], places: SlicePlaces, rounds: int = ROUNDS
) -> Found:
    """What the program of slices shows, in the places of the whole leaves."""
    slices = [each for n, name in enumerate(names) for each in slices_of(name, places.get(n, ()))]
    leaves, record = _propagated(unstacked(program, places), len(slices))
    blocks, root = find_blocks(leaves, record.steps)
    # A loop whose slices tie their units may show, once they are apart, that its layers are too.
    more = slice_places(leaves, record.steps, root) or {}
    finer = merged(places, [names.index(each.path) for each in slices], more)
    if finer != places and rounds > 1:
        return _of_slices(program, names, finer, rounds - 1)
    keys = [str(number) for number in range(len(slices))]
    found = find_units(list(zip(keys, leaves, strict=True)), blocks, root)
    return lifted(found, dict(zip(keys, slices, strict=True)))


def _leaf_paths(params: Params) -> list[tuple[Any, ...]]:
    checks.check_floating_params(params, allow_complex=True)
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
            "apply must not look at values in Python (branches, loops, NumPy): "
            f"{_first_line(error)}"
        ) from error
    except Exception as error:
        raise TypeError(
            f"apply must be a function of (params, x), params first; calling it on their shapes "
            f"raised {type(error).__name__}: {_first_line(error)}"
        ) from error
    return program


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


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
