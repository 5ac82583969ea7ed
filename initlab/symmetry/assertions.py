"""The symmetry invariant, as a fact to be told and as a chex assertion."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp

from initlab.symmetry.groups import UnitGroup, mlp_groups, unit_rows
from initlab.types import Params

__all__ = ["assert_units_identical", "units_identical"]


def assert_units_identical(params: Params, groups: Sequence[UnitGroup] | None = None) -> None:
    """Asserts that all units of each group have the same bits: incoming, bias and outgoing.

    Outside compiled code it can be called as it is. Inside `jit`, `scan` or `vmap` it is checked
    when the outermost compiled function is wrapped: `chex.chexify(jax.jit(f), async_check=False)`.

    Args:
      params: a params pytree.
      groups: the units; the hidden layers of an mlp when absent.

    Raises:
      AssertionError: if two units of a group differ, with the group's name and the values.
      ValueError: if params do not fit the groups.

    >>> import jax
    >>> same = {"weight": jnp.ones((2, 2)), "bias": jnp.zeros((2,))}
    >>> assert_units_identical({"layer_1": same, "layer_2": same})
    """
    for group in mlp_groups(params) if groups is None else groups:
        rows = unit_rows(params, group)
        first = jnp.broadcast_to(rows[:1], rows.shape)
        chex.assert_trees_all_equal({group.name: rows}, {group.name: first})


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
    groups = mlp_groups(params) if groups is None else groups
    rows = [unit_rows(params, group) for group in groups]
    return jnp.all(jnp.stack([jnp.all(each == each[:1]) for each in rows]))
