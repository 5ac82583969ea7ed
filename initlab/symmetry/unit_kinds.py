"""Kinds of equivalence of units: of parameters, of what they compute, up to a sign or a factor."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.symmetry.classes import row_classes, unit_classes
from initlab.symmetry.groups import UnitGroup
from initlab.symmetry.parallel import parallel_classes
from initlab.types import Array, Params

__all__ = ["UnitKinds", "unit_kinds"]


class UnitKinds(NamedTuple):
    """For each unit the number of the first unit that is like it, each [size] int32.

    Attributes:
      exchangeable: their exchange leaves the parameters alone: no gradient distinguishes them.
      identical: they compute the same activation on every example. Units with equal incoming and
        unequal outgoing weights are identical, not exchangeable: their gradients differ.
      mirrored: they compute the same activation or its negative. Under an odd activation, as tanh,
        a unit whose incoming weights have the other sign is mirrored, not identical.
      parallel: they compute the same activation up to a positive factor, within rounding; -1 where
        it is 0 on every example. Under a homogeneous activation, as relu, units whose incoming
        weights and biases differ in length alone are parallel, not identical.
    """

    exchangeable: jax.Array
    identical: jax.Array
    mirrored: jax.Array
    parallel: jax.Array


@checks.checked
def unit_kinds(
    params: Params, group: UnitGroup, activations: Array, *, atol: float = 0.0
) -> UnitKinds:
    """Distinguishes copies, units that only compute the same, mirror images, and parallel units.

    Args:
      params: the params that the group lies in.
      group: the units.
      activations: what the units compute [..., size], over examples (and positions).
      atol: largest difference of two numbers that still counts as equal; 0 means every bit.

    Returns:
      The labels; jit-able and vmap-able.

    Raises:
      ValueError: if params or activations do not fit the group.

    >>> from initlab.symmetry.groups import UnitAxis
    >>> group = UnitGroup("hidden", 3, (UnitAxis("in", 1), UnitAxis("out", 0)))
    >>> params = {"in": jnp.asarray([[1.0, 1.0, -1.0]]), "out": jnp.asarray([[2.0], [3.0], [2.0]])}
    >>> kinds = unit_kinds(params, group, jnp.tanh(jnp.ones((5, 1)) * params["in"]))
    >>> [labels.tolist() for labels in kinds]
    [[0, 1, 2], [0, 0, 2], [0, 0, 0], [0, 0, 2]]
    """
    activations = jnp.asarray(activations)
    if activations.ndim < 1 or activations.shape[-1] != group.size:
        raise ValueError(
            f"activations of group {group.name!r} must have shape [..., {group.size}], "
            f"got {activations.shape}"
        )
    rows = activations.reshape(-1, group.size).T
    return UnitKinds(
        unit_classes(params, group, atol=atol),
        row_classes(rows, atol=atol),
        row_classes(rows, atol=atol, up_to_sign=True),
        parallel_classes(rows),
    )
