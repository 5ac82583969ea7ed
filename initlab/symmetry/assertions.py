"""The symmetry invariant, as a fact to be told and as a chex assertion."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from initlab.symmetry.arrays import unit_tensors
from initlab.symmetry.classes import exchange_keeps
from initlab.symmetry.groups import UnitGroup, mlp_groups
from initlab.types import Params

__all__ = ["assert_units_identical", "groups_differing", "units_identical"]


def assert_units_identical(params: Params, groups: Sequence[UnitGroup] | None = None) -> None:
    """Asserts that all units of each group have the same bits: incoming, bias and outgoing.

    Outside compiled code it can be called as it is. Inside `jit`, `scan` or `vmap` it is checked
    when the outermost compiled function is wrapped: `chex.chexify(jax.jit(f), async_check=False)`.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Raises:
      AssertionError: if two units of a group differ, with the group's name.
      ValueError: if params do not fit the groups.

    >>> import jax
    >>> same = {"weight": jnp.ones((2, 2)), "bias": jnp.zeros((2,))}
    >>> assert_units_identical({"layer_1": same, "layer_2": same})
    """
    differing = groups_differing(params, groups)
    chex.assert_trees_all_equal(differing, jax.tree.map(jnp.zeros_like, differing))


def units_identical(params: Params, groups: Sequence[UnitGroup] | None = None) -> jax.Array:
    """Whether all units of each group have the same bits: incoming, bias and outgoing.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Returns:
      A boolean scalar, usable under `jit` and `vmap`.

    Raises:
      ValueError: if params do not fit the groups.
    """
    differing = groups_differing(params, groups)
    return ~jnp.any(jnp.asarray(list(differing.values()), dtype=bool))


def groups_differing(
    params: Params, groups: Sequence[UnitGroup] | None = None
) -> dict[str, jax.Array]:
    """Which groups have a unit that differs from their first one; NaN does not differ from NaN.

    Entries are compared as numbers: 0.0 equals -0.0, and compiled code may flush subnormal numbers
    to zero, so that two of them are not told apart.

    A bit for each group, rather than the entries themselves: inside a compiled loop an assertion
    carries along what it compares.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Returns:
      `{group name: boolean scalar}`.

    Raises:
      ValueError: if params do not fit the groups.
    """

    def differ(group: UnitGroup) -> jax.Array:
        # The exchanges of the first unit with each other one make up all permutations.
        kept = [exchange_keeps(each, 0) for each in unit_tensors(params, group)]
        return ~jnp.all(jnp.stack(kept))

    given = mlp_groups(params) if groups is None else groups
    return {group.name: differ(group) for group in given}
