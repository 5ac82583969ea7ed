"""The symmetry invariant, as a predicate and as a chex assertion."""

from collections.abc import Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp

from initlab import checks
from initlab.symmetry.arrays import unit_tensors
from initlab.symmetry.classes import count_classes, exchange_keeps, unit_classes
from initlab.symmetry.groups import UnitGroup, check_names, mlp_groups
from initlab.types import Params

__all__ = [
    "assert_symmetry_broken",
    "assert_units_identical",
    "groups_differing",
    "units_identical",
]


@checks.checked
def assert_units_identical(params: Params, groups: Sequence[UnitGroup] | None = None) -> None:
    """Asserts that all units of each group have the same bits: incoming, bias and outgoing.

    Outside compiled code it can be called as it is. Inside `jit`, `scan` or `vmap` it is checked
    when the outermost compiled function is wrapped: `chex.chexify(jax.jit(f), async_check=False)`.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Raises:
      AssertionError: if two units of a group differ, with the group's name.
      TypeError: if params are traced by a function that is not wrapped.
      ValueError: if params do not fit the groups, or two groups have one name.

    >>> import jax
    >>> same = {"weight": jnp.ones((2, 2)), "bias": jnp.zeros((2,))}
    >>> assert_units_identical({"layer_1": same, "layer_2": same})
    """
    differing = groups_differing(params, groups)
    _assert_equal("params", differing, jax.tree.map(jnp.zeros_like, differing))


@checks.checked
def assert_symmetry_broken(
    params: Params, groups: Sequence[UnitGroup] | None = None, *, atol: float = 0.0
) -> None:
    """Asserts that no two units of a group are copies, which gradients would never separate.

    Inside compiled code it is checked as `assert_units_identical` is.

    Args:
      params: a params pytree.
      groups: the units, as `find_groups` finds them; the hidden layers of an mlp when absent.
      atol: largest difference of two entries that still counts as equal.

    Raises:
      AssertionError: if two units are copies, with the group's name and, outside compiled code, the
        units.
      TypeError: as `assert_units_identical`.
      ValueError: if params do not fit the groups, or two groups have one name.

    >>> layers = [{"weight": jnp.eye(2), "bias": jnp.zeros((2,))} for _ in range(2)]
    >>> assert_symmetry_broken({"layer_1": layers[0], "layer_2": layers[1]})
    """
    checks.check_scale("atol", atol)
    given = _given(params, groups)
    labels = {group.name: unit_classes(params, group, atol=atol) for group in given}
    if all(map(checks.is_concrete, labels.values())):
        if copies := [f"{name}: {_sets(each)}" for name, each in labels.items() if _sets(each)]:
            raise AssertionError(f"units are copies of each other: {'; '.join(copies)}")
        return
    distinct = {name: count_classes(each) for name, each in labels.items()}
    sizes = {group.name: jnp.full((), group.size, jnp.int32) for group in given}
    _assert_equal("params and atol", distinct, sizes)


def _assert_equal(names: str, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    try:
        chex.assert_trees_all_equal(given, wanted)
    except RuntimeError as error:
        if all(map(checks.is_concrete, given.values())):
            raise
        raise TypeError(
            f"{names} must be known or the compiled function wrapped, got traced arrays: write "
            "chex.chexify(jax.jit(f), async_check=False)"
        ) from error


def _sets(labels: jax.Array) -> str:
    """Units of one class, as "0 = 3, 1 = 2 = 5"; nothing where all differ."""
    classes: dict[int, list[str]] = {}
    for unit, label in enumerate(labels.tolist()):
        classes.setdefault(label, []).append(str(unit))
    return ", ".join(" = ".join(units) for units in classes.values() if len(units) > 1)


@checks.checked
def units_identical(params: Params, groups: Sequence[UnitGroup] | None = None) -> jax.Array:
    """Whether all units of each group have the same bits: incoming, bias and outgoing.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Returns:
      A boolean scalar, usable under `jit` and `vmap`.

    Raises:
      ValueError: if params do not fit the groups, or two groups have one name.
    """
    differing = groups_differing(params, groups)
    return ~jnp.any(jnp.asarray(list(differing.values()), dtype=bool))


@checks.checked
def groups_differing(
    params: Params, groups: Sequence[UnitGroup] | None = None
) -> dict[str, jax.Array]:
    """Which groups have a unit that differs from their first one; NaN does not differ from NaN.

    Entries are compared as numbers: 0.0 equals -0.0, and compiled code may flush subnormal numbers
    to zero, so that two of them are not distinguished.

    A bit for each group, rather than the entries themselves: inside a compiled loop an assertion
    carries along what it compares.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Returns:
      `{group name: boolean scalar}`.

    Raises:
      ValueError: if params do not fit the groups, or two groups have one name.
    """

    def differ(group: UnitGroup) -> jax.Array:
        # The exchanges of the first unit with each other one make up all permutations.
        kept = [exchange_keeps(each, 0) for each in unit_tensors(params, group)]
        return ~jnp.all(jnp.stack(kept))

    return {group.name: differ(group) for group in _given(params, groups)}


def _given(params: Params, groups: Sequence[UnitGroup] | None) -> Sequence[UnitGroup]:
    """The groups; ValueError where none are given: of nothing everything is true."""
    if groups is None:
        return mlp_groups(params)
    if not groups:
        raise ValueError("groups must hold at least one group, got none")
    return check_names(groups)
