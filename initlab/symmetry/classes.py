"""Which units are the same: classes of units whose exchange leaves the params alone."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.symmetry.arrays import unit_tensors
from initlab.symmetry.groups import UnitGroup, check_names
from initlab.types import Params

__all__ = [
    "class_spread",
    "count_classes",
    "effective_width",
    "exchange_keeps",
    "row_classes",
    "unit_classes",
]


@checks.checked
def unit_classes(params: Params, group: UnitGroup, *, atol: float = 0.0) -> jax.Array:
    """A label for each unit: the number of the first unit that it equals.

    Args:
      params: the params that the group lies in.
      group: the units.
      atol: largest difference of two entries that still counts as equal; 0 means every bit.

    Returns:
      [size] int32; two units have one label when their exchange leaves params alone.

    Raises:
      ValueError: if params do not fit the group.

    >>> from initlab.symmetry.groups import UnitAxis
    >>> group = UnitGroup("hidden", 3, (UnitAxis("w", 0),))
    >>> unit_classes({"w": jnp.asarray([[1.0], [2.0], [1.0]])}, group).tolist()
    [0, 1, 0]
    """
    checks.check_scale("atol", atol)
    # An int of Python's may be larger than any of JAX's.
    atol = float(atol) if checks.is_concrete(atol) else atol
    tensors = unit_tensors(params, group)

    def first_equal(unit: jax.Array) -> jax.Array:
        same = [exchange_keeps(tensor, unit, atol) for tensor in tensors]
        return jnp.argmax(jnp.all(jnp.stack(same), axis=0)).astype(jnp.int32)

    # One unit at a time: memory stays linear in the number of units.
    return jax.lax.map(first_equal, jnp.arange(group.size))


@checks.checked
def row_classes(rows: jax.Array, *, atol: float = 0.0, up_to_sign: bool = False) -> jax.Array:
    """For each row the number of the first row that equals it; NaN equals NaN.

    Args:
      rows: [size, entries].
      atol: largest difference of two entries that still counts as equal.
      up_to_sign: whether a row also counts as its negative.

    Returns:
      [size] int32.

    >>> row_classes(jnp.asarray([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0]])).tolist()
    [0, 0, 2]
    """
    checks.check_scale("atol", atol)
    # An int of Python's may be larger than any of JAX's.
    atol = float(atol) if checks.is_concrete(atol) else atol
    rows = jnp.asarray(rows)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"rows must have shape [size, entries], got {rows.shape}")

    def first_equal(row: jax.Array) -> jax.Array:
        same = jnp.all(_close(rows, row[None, :], atol), axis=1)
        if up_to_sign:
            same |= jnp.all(_close(-rows, row[None, :], atol), axis=1)
        return jnp.argmax(same).astype(jnp.int32)

    return jax.lax.map(first_equal, rows)


def _close(one: jax.Array, other: jax.Array, atol: float) -> jax.Array:
    same = (one == other) | (jnp.isnan(one) & jnp.isnan(other))
    # Equality has decided by itself: inf - inf is NaN, and tiny differences are flushed to 0.
    return same | ((jnp.abs(one - other) <= atol) & (atol > 0))


def exchange_keeps(tensor: jax.Array, unit: jax.Array | int, atol: float = 0.0) -> jax.Array:
    """For each other unit: whether exchanging it with `unit` leaves a tensor of entries alone.

    Args:
      tensor: [size, ..., size, entries], as `unit_tensors` gives them.
      unit: which one.
      atol: largest difference of two entries that still counts as equal.

    Returns:
      [size] booleans.
    """
    size, names = tensor.shape[0], tensor.ndim - 1
    if names == 1:
        return jnp.all(_close(tensor, tensor[unit][None], atol), axis=1)

    def keeps(other: jax.Array) -> jax.Array:
        order = jnp.arange(size).at[unit].set(other).at[other].set(unit)
        moved = tensor
        for axis in range(names):
            moved = jnp.take(moved, order, axis=axis)
        return jnp.all(_close(moved, tensor, atol))

    if names > 2:
        return jax.lax.map(keeps, jnp.arange(size))
    # The exchange moves two rows and two columns; entries where they cross change places.
    units = jnp.arange(size)
    outside = (units[:, None] != units[None, :]) & (units != unit)[None, :]
    rows = jnp.all(_close(tensor, tensor[unit][None], atol), axis=2)
    columns = jnp.all(_close(tensor, tensor[:, unit][:, None], atol), axis=2).T
    diagonal = tensor[units, units]
    crossed = _close(diagonal, diagonal[unit][None], atol) & _close(
        tensor[:, unit], tensor[unit], atol
    )
    return jnp.all((rows & columns) | ~outside, axis=1) & jnp.all(crossed, axis=1)


@checks.checked
def effective_width(params: Params, groups: Sequence[UnitGroup]) -> dict[str, jax.Array]:
    """How many distinct units each group has: 1 is a layer that computes one function.

    Args:
      params: the params that the groups lie in.
      groups: the units.

    Returns:
      `{group name: int32 scalar}`.

    Raises:
      ValueError: if params do not fit a group, or two groups have one name.
    """
    return {group.name: count_classes(unit_classes(params, group)) for group in check_names(groups)}


@checks.checked
def count_classes(labels: jax.Array) -> jax.Array:
    """How many classes the labels of `row_classes` hold: a class is counted at its first member."""
    labels = jnp.asarray(labels)
    if labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels must be a row of integers, got {labels.dtype} of {labels.shape}")
    return jnp.sum(labels == jnp.arange(labels.shape[0], dtype=labels.dtype), dtype=jnp.int32)


@checks.checked
def class_spread(rows: jax.Array, labels: jax.Array) -> jax.Array:
    """`max over classes and entries of (largest - smallest)`: how far members have drifted apart.

    Args:
      rows: [size, entries], now.
      labels: [size], the classes at the start, as `row_classes` gives them.

    Returns:
      A scalar in the rows' dtype; 0 when every class is still bit-identical.

    Raises:
      TypeError: if rows are complex or truth values, or labels not integers.
      ValueError: if rows or labels have other shapes.

    >>> class_spread(jnp.asarray([[1.0], [1.5], [9.0]]), jnp.asarray([0, 0, 2])).item()
    0.5
    """
    rows, labels = jnp.asarray(rows), jnp.asarray(labels)
    checks.check_reals("rows", rows)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"rows must be [size, entries], at least one of each, got {rows.shape}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels must hold integers, got {labels.dtype}")
    size = rows.shape[0]
    if labels.shape != (size,):
        raise ValueError(f"labels must be [{size}], one for each row, got {labels.shape}")
    largest = jax.ops.segment_max(rows, labels, size)
    smallest = jax.ops.segment_min(rows, labels, size)
    is_class = (labels == jnp.arange(size, dtype=labels.dtype))[:, None]
    # inf - inf is NaN, where nothing has drifted apart.
    drift = jnp.where(largest == smallest, 0, largest - smallest)
    return jnp.max(jnp.where(is_class, drift, 0))
