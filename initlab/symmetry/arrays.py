"""The units of a group as arrays: exchanged, averaged, or set out one by one."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.symmetry.groups import UnitAxis, UnitGroup
from initlab.symmetry.restriction import entries_of, whole
from initlab.types import Array, Params

__all__ = ["leaves_of", "permute", "symmetric_part", "unit_rows", "unit_tensors"]


@checks.checked
def permute(params: Params, group: UnitGroup, permutation: Array | Sequence[int]) -> Params:
    """`params` with unit k replaced by unit `permutation[k]`, on all axes of the group at once.

    A network that the group was found in computes the same function of both.

    Args:
      params: the pytree that the group was made for.
      group: the units.
      permutation: [size] integers, each of 0 ... size - 1 once.

    Returns:
      Params of the same tree, shapes and dtypes.

    Raises:
      TypeError: if group is no UnitGroup, or the permutation does not hold integers.
      ValueError: if it is no permutation of the units, or params do not fit the group.

    >>> group = UnitGroup("hidden", 3, (UnitAxis("w", 1),))
    >>> permute({"w": jnp.asarray([[1.0, 2.0, 3.0]])}, group, [2, 0, 1])["w"].tolist()
    [[3.0, 1.0, 2.0]]
    """
    found = leaves_of(params, group)
    order = _check_permutation(group, permutation)
    for unit in group.axes:
        leaf = found[unit.path]
        # Where each entry of the axis comes from.
        source = np.arange(leaf.shape[unit.axis])
        first, last = _span(group.size, unit)
        blocks = source[first:last].reshape(unit.outer, group.size, unit.inner)
        moved = jnp.take(jnp.asarray(blocks), order, axis=1).ravel()
        source = jnp.concatenate([source[:first], moved, source[last:]])
        exchanged = jnp.take(leaf, source, axis=unit.axis)
        if unit.at:
            # An exchange leaves every entry in its block, so that blocks can be told by position.
            where = np.ix_(*entries_of(leaf.shape, unit))
            exchanged = leaf.at[where].set(exchanged[where])
        found[unit.path] = exchanged
    return _with_leaves(params, found)


@checks.checked
def unit_rows(params: Params, group: UnitGroup) -> jax.Array:
    """Every parameter of every unit: `[size, entries]`, one row for each unit.

    Args:
      params: the pytree that the group was made for.
      group: the units, on one axis of each leaf.

    Returns:
      The rows; two equal rows are two units whose exchange leaves params alone.

    Raises:
      ValueError: if params lack a leaf of the group, its axis has another length, or a leaf has
        the units on more than one axis: no row is then a unit's alone.
    """
    tensors = unit_tensors(params, group)
    if any(tensor.ndim != 2 for tensor in tensors):
        raise ValueError(
            f"units of {group.name!r} have no rows of their own: a leaf has them on several axes"
        )
    return jnp.concatenate(tensors, axis=1)


@checks.checked
def unit_tensors(params: Params, group: UnitGroup) -> list[jax.Array]:
    """Every entry that an exchange of units moves, by the number of times it names a unit.

    Args:
      params: the pytree that the group was made for.
      group: the units.

    Returns:
      Arrays [size, entries], and of leaves that have the units on two axes, as a recurrent weight,
      [size, size, entries]; and so on. An exchange permutes all axes but the last.

    Raises:
      ValueError: if params do not fit the group.
    """
    found = leaves_of(params, group)
    return [
        block.take(part)
        for path, where, units in _by_part(found, group)
        for part in [found[path] if where is None else found[path][where]]
        for block in _blocks(part.shape, group.size, units)
    ]


@checks.checked
def symmetric_part(params: Params, groups: Sequence[UnitGroup]) -> Params:
    """The mean of params over all permutations of units: the nearest with identical units.

    Args:
      params: the pytree that the groups were made for, or a tangent of it.
      groups: units whose permutations are independent, each on at most two axes of a leaf.

    Returns:
      Params that every exchange leaves alone.

    Raises:
      ValueError: if params do not fit a group, or a leaf has its units on three axes.

    >>> group = UnitGroup("hidden", 2, (UnitAxis("w", 1),))
    >>> symmetric_part({"w": jnp.asarray([[1.0, 3.0]])}, [group])["w"].tolist()
    [[2.0, 2.0]]
    """
    for group in groups:
        found = leaves_of(params, group)
        for path, where, units in _by_part(found, group):
            part = found[path] if where is None else found[path][where]
            for block in _blocks(part.shape, group.size, units):
                part = block.put(part, _mean_over_exchanges(block.take(part)))
            found[path] = part if where is None else found[path].at[where].set(part)
        params = _with_leaves(params, found)
    return params


def _mean_over_exchanges(tensor: jax.Array) -> jax.Array:
    """Means of differences from the first unit, so that identical units keep their bits."""
    size, names = tensor.shape[0], tensor.ndim - 1
    if names == 1:
        first = tensor[:1]
        mean = first + jnp.mean(tensor - first, axis=0, keepdims=True)
        return jnp.broadcast_to(mean, tensor.shape)
    if names > 2:
        raise ValueError(f"a leaf has its units on {names} axes; at most 2 can be averaged over")
    # Pairs of one unit with itself go to such pairs, pairs of two to pairs of two.
    is_own = jnp.eye(size, dtype=bool)[:, :, None]
    means = []
    for first, pairs, count in (
        (tensor[:1, :1], is_own, size),
        (tensor[:1, 1:2], ~is_own, size * (size - 1)),
    ):
        difference = jnp.where(pairs, tensor - first, 0)
        means.append(first + jnp.sum(difference, axis=(0, 1), keepdims=True) / count)
    return jnp.where(is_own, *means)


def _by_part(
    found: Mapping[str, jax.Array], group: UnitGroup
) -> list[tuple[str, tuple[np.ndarray, ...] | None, list[UnitAxis]]]:
    """The parts of leaves that an exchange moves, where they lie, and the unit axes of each.

    Where a group is restricted to a block, a leaf may have several: rows of one layer's weight and
    columns of another's.
    """
    parts: dict[Any, list[UnitAxis]] = {}
    for unit in group.axes:
        parts.setdefault((unit.path, unit.blocks[: len(unit.at)], unit.at), []).append(unit)
    return [
        (
            path,
            np.ix_(*entries_of(found[path].shape, units[0])) if at else None,
            [whole(unit) for unit in units],
        )
        for (path, _, at), units in parts.items()
    ]


def _with_leaves(params: Params, found: Mapping[str, jax.Array]) -> Params:
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    return tree.unflatten([found.get(checks.path_name(path), leaf) for path, leaf in leaves])


def leaves_of(params: Params, group: UnitGroup) -> dict[str, jax.Array]:
    """The group's leaves by path; ValueError unless they fit it, TypeError if it is no group."""
    if not isinstance(group, UnitGroup):
        raise TypeError(f"group must be a UnitGroup, got {type(group).__name__}")
    by_path = checks.leaves_by_path("params", params)
    found = {}
    for unit in group.axes:
        if unit.path not in by_path:
            raise ValueError(
                f"group {group.name!r} requires the leaf {unit.path!r}, params hold {list(by_path)}"
            )
        leaf = jnp.asarray(by_path[unit.path])
        length = unit.start + unit.outer * group.size * unit.inner + unit.rest
        if not 0 <= unit.axis < leaf.ndim or leaf.shape[unit.axis] != length:
            raise ValueError(
                f"group {group.name!r} requires length {length} on axis {unit.axis} of "
                f"{unit.path!r}, "
                f"got shape {leaf.shape}"
            )
        found[unit.path] = leaf
    return found


def _span(size: int, unit: UnitAxis) -> tuple[int, int]:
    """Where the units of an axis begin and end."""
    return unit.start, unit.start + unit.outer * size * unit.inner


class _Block(NamedTuple):
    """A part of a leaf whose units lie on the same axes all over.

    Attributes:
      where: the part of the leaf.
      split: its shape, with an axis of its own for each naming of a unit.
      units: those axes.
    """

    where: tuple[slice, ...]
    split: tuple[int, ...]
    units: tuple[int, ...]

    def take(self, leaf: jax.Array) -> jax.Array:
        """As a tensor [size, ..., size, entries]."""
        moved = jnp.moveaxis(leaf[self.where].reshape(self.split), self.units, self._front)
        return moved.reshape(*moved.shape[: len(self.units)], -1)

    def put(self, leaf: jax.Array, tensor: jax.Array) -> jax.Array:
        """The leaf with the tensor in its place."""
        rest = [n for axis, n in enumerate(self.split) if axis not in self.units]
        moved = jnp.moveaxis(tensor.reshape(*tensor.shape[:-1], *rest), self._front, self.units)
        return leaf.at[self.where].set(moved.reshape(leaf[self.where].shape))

    @property
    def _front(self) -> tuple[int, ...]:
        return tuple(range(len(self.units)))


def _blocks(shape: Sequence[int], size: int, units: Sequence[UnitAxis]) -> list[_Block]:
    """A leaf cut into blocks that hold units on the same axes; those that hold none left out."""
    spans = [_spans(length, axis, size, units) for axis, length in enumerate(shape)]
    blocks = []
    for parts in itertools.product(*spans):
        split: list[int] = []
        carrying = []
        for (first, last), here in parts:
            length = last - first
            for unit in here:
                carrying.append(len(split) + 1)
                split += [length // (size * unit.inner), size]
                length = unit.inner
            split.append(length)
        if carrying:
            where = tuple(slice(*span) for span, _ in parts)
            blocks.append(_Block(where, tuple(split), tuple(carrying)))
    return blocks


def _spans(
    length: int, axis: int, size: int, units: Sequence[UnitAxis]
) -> list[tuple[tuple[int, int], list[UnitAxis]]]:
    """An axis as stretches, each with the units on it, the outermost first."""
    here = [unit for unit in units if unit.axis == axis]
    borders = sorted({0, length, *itertools.chain(*(_span(size, unit) for unit in here))})
    stretches = []
    for first, last in itertools.pairwise(borders):
        inside = [unit for unit in here if _span(size, unit) == (first, last)]
        crossing = [
            unit for unit in here if _span(size, unit)[0] < last and first < _span(size, unit)[1]
        ]
        if len(crossing) > len(inside):
            raise ValueError(f"units overlap on axis {axis} of {here[0].path}: {here}")
        stretches.append(((first, last), sorted(inside, key=lambda unit: -unit.inner)))
    return stretches


def _check_permutation(group: UnitGroup, permutation: Any) -> jax.Array:
    try:
        order = jnp.asarray(permutation)
    except OverflowError as error:
        raise ValueError(f"permutation must hold indices, got {permutation!r:.80}") from error
    if not jnp.issubdtype(order.dtype, jnp.integer):
        raise TypeError(f"permutation must hold integers, got {order.dtype}")
    is_one = order.shape == (group.size,)
    if is_one and checks.is_concrete(order):
        is_one = sorted(order.tolist()) == list(range(group.size))
    if not is_one:
        raise ValueError(
            f"permutation must hold each of 0 ... {group.size - 1} once for group {group.name!r}, "
            f"got {permutation if checks.is_concrete(order) else order.shape}"
        )
    return order
