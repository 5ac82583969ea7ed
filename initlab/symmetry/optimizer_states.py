"""Groups carried over to what holds copies of the parameters, as an optimizer's state."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from initlab import checks
from initlab.symmetry.arrays import leaves_of
from initlab.symmetry.groups import UnitGroup

__all__ = ["is_real", "is_under", "params_prefix", "state_groups"]


@checks.checked
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
    >>> group = UnitGroup("hidden", 3, (UnitAxis("w", 0),))
    >>> state = {"params": {"w": np.ones(3)}, "momentum": {"w": np.ones(3)}}
    >>> [axis.path for axis in state_groups(state, [group])[0].axes]
    ['momentum/w', 'params/w']
    """
    prefixes = _prefixes(state, groups)
    return tuple(_under(prefixes, group) for group in groups)


def params_prefix(state: Any, groups: Sequence[UnitGroup]) -> str:
    """Where the params themselves stand in a state: the least nested copy, the first of those."""
    return min(_prefixes(state, groups), key=lambda prefix: len(prefix.split("/")) if prefix else 0)


def is_under(path: str, prefix: str) -> bool:
    """Whether a leaf, or a subtree, lies in the subtree of a prefix; all do under "".

    >>> is_under("model/w", "model"), is_under("models/w", "model")
    (True, False)
    """
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def is_real(leaf: Any) -> bool:
    """Whether a leaf of a state or a batch holds real numbers; counts and keys do not move."""
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)


def _prefixes(state: Any, groups: Sequence[UnitGroup]) -> list[str]:
    paths_of_units = [unit.path for group in groups for unit in group.axes]
    if not paths_of_units:
        return [""]
    paths = list(checks.leaves_by_path("state", state))
    found: list[str] = []
    for path in paths:
        prefix = _prefix(path, paths_of_units[0])
        if prefix is None or not _holds(state, prefix, groups):
            continue
        # A copy within a copy would be a part of the params that looks like all of them.
        if not any(is_under(prefix, each) for each in found):
            found = [each for each in found if not is_under(each, prefix)] + [prefix]
    if not found:
        raise ValueError(
            "params must be, or be a state that holds, what the groups were made for: no part "
            f"fits {paths_of_units[0]!r}, got {paths}"
        )
    return found


def _under(prefixes: Sequence[str], group: UnitGroup) -> UnitGroup:
    axes = [
        dataclasses.replace(unit, path=_joined(prefix, unit.path))
        for prefix in prefixes
        for unit in group.axes
    ]
    return dataclasses.replace(group, axes=tuple(axes))


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}/{path}" if prefix and path else prefix or path


def _prefix(path: str, end: str) -> str | None:
    """The prefix that gives `path` when joined with `end`; None if there is none."""
    if path == end:
        return ""
    prefix = path.removesuffix(f"/{end}") if end else path
    return prefix if _joined(prefix, end) == path else None


def _holds(state: Any, prefix: str, groups: Sequence[UnitGroup]) -> bool:
    try:
        for group in groups:
            leaves_of(state, _under([prefix], group))
    except ValueError:
        return False
    return True
