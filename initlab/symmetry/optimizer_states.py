"""Groups carried over to what holds copies of the parameters, as an optimizer's state."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.symmetry.arrays import leaves_of
from initlab.symmetry.groups import UnitGroup

__all__ = ["is_real", "params_prefix", "state_groups"]


def state_groups(state: Any, groups: Sequence[UnitGroup]) -> tuple[UnitGroup, ...]:
    """The same groups, on every subtree of a state that is shaped like the params.

    An exchange of units permutes an optimizer's moments along with the parameters.

    Args:
      state: params themselves, `(params, optimizer state)`, a train state, ...
      groups: units of the params.

    Returns:
      The groups, their axes repeated under the prefix of each such subtree.

    Raises:
      ValueError: if the state holds no leaf that a group names.

    >>> import numpy as np
    >>> from initlab.symmetry.groups import UnitAxis
    >>> group = UnitGroup("hidden", 3, (UnitAxis("['w']", 0),))
    >>> state = {"params": {"w": np.ones(3)}, "momentum": {"w": np.ones(3)}}
    >>> [axis.path for axis in state_groups(state, [group])[0].axes]
    ["['momentum']['w']", "['params']['w']"]
    """
    prefixes = _prefixes(state, groups)
    return tuple(
        dataclasses.replace(
            group,
            axes=tuple(
                dataclasses.replace(unit, path=prefix + unit.path)
                for prefix in prefixes
                for unit in group.axes
            ),
        )
        for group in groups
    )


def params_prefix(state: Any, groups: Sequence[UnitGroup]) -> str:
    """Where the params themselves stand in a state: the least nested copy, the first of those."""
    return min(_prefixes(state, groups), key=lambda prefix: prefix.count("[") + prefix.count("."))


def is_real(leaf: Any) -> bool:
    """Whether a leaf of a state or a batch holds real numbers; counts and keys do not move."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _prefixes(state: Any, groups: Sequence[UnitGroup]) -> list[str]:
    wanted = [unit.path for group in groups for unit in group.axes]
    if not wanted:
        return [""]
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    paths = [jax.tree_util.keystr(path) for path, _ in leaves]
    found: list[str] = []
    for path in paths:
        prefix = path.removesuffix(wanted[0])
        if not path.endswith(wanted[0]) or not _holds(state, prefix, groups):
            continue
        # A copy within a copy would be a part of the params that looks like all of them.
        if not any(prefix.startswith(each) for each in found):
            found = [each for each in found if not each.startswith(prefix)] + [prefix]
    if not found:
        raise ValueError(f"no part of the state fits the groups' {wanted[0]}; it holds {paths}")
    return found


def _holds(state: Any, prefix: str, groups: Sequence[UnitGroup]) -> bool:
    try:
        for group in groups:
            axes = tuple(dataclasses.replace(unit, path=prefix + unit.path) for unit in group.axes)
            leaves_of(state, dataclasses.replace(group, axes=axes))
    except ValueError:
        return False
    return True
