"""Which axes of an array are sites, units, or all the same; arrays that meet entry by entry."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from initlab.signals.population import (
    SIZE,
    Drawn,
    Kind,
    Known,
    Normals,
    Sampled,
    Unfollowed,
    sampled_from,
)

__all__ = ["as_sampled", "entrywise", "joined"]


def as_sampled(given: Any) -> Sampled:
    """Data or constants as a sample: the same for all units, with an entry for each site."""
    if isinstance(given, Sampled):
        return given
    value = np.asarray(given.value)
    kinds: list[Kind] = []
    for axis in range(value.ndim):
        first = np.take(value, [0], axis)
        is_same = bool((value == first).all()) if value.size else False
        kinds.append(Kind.SAME if is_same else Kind.SITE)
    kept = value[tuple(slice(0, 1) if kind == Kind.SAME else slice(None) for kind in kinds)]
    return Sampled(jnp.asarray(kept)[None], value.shape, tuple(kinds))


def joined(kinds: Sequence[Kind]) -> Kind | None:
    """The kind of an axis where several arrays meet; None where units meet sites."""
    found = set(kinds) - {Kind.SAME}
    if len(found) > 1:
        return None
    return found.pop() if found else Kind.SAME


def entrywise(
    normals: Normals, operands: Sequence[Any]
) -> tuple[list[Any], tuple[Kind, ...]] | str:
    """Operands of an operation entry by entry, as arrays [SIZE or 1, ...] that may be broadcast.

    Args:
      normals: whose samples parameters take.
      operands: of one shape, or scalars.

    Returns:
      The arrays and the kinds of the result's axes; or why there are none.
    """
    rank = max(len(_shape(each)) for each in operands)
    known = [as_sampled(each) if isinstance(each, Known) else each for each in operands]
    followed = [each for each in known if isinstance(each, Sampled) and len(each.shape) == rank]
    sampled = [each for each in followed if len(each.values) > 1]
    kinds: list[Kind] = []
    for axis in range(rank):
        found = joined([each.kinds[axis] for each in sampled])
        if found is None or found == Kind.FLAT:
            flat = {(each.kinds[axis], each.values.shape[axis + 1]) for each in sampled}
            if len(flat - {(Kind.SAME, 1)}) > 1:
                return "units meet sites entry by entry"
        if found == Kind.FLAT and any(
            each.values.shape[axis + 1] not in (1, size)
            for each in followed
            for size in [
                next(e.values.shape[axis + 1] for e in sampled if e.kinds[axis] == Kind.FLAT)
            ]
        ):
            return "constants of their own in an axis of sites and units"
        constants = joined([each.kinds[axis] for each in followed if each not in sampled])
        kinds.append(found if found not in (None, Kind.SAME) else constants or Kind.SITE)
    arrays = []
    for each in known:
        if isinstance(each, Drawn):
            each = sampled_from(normals, each, _shape(each), kinds)
            kinds = [
                own if kind == Kind.SAME else kind
                for own, kind in zip(each.kinds, kinds, strict=True)
            ]
        arrays.append(_with_units(each, kinds))
    return arrays, tuple(kinds)


def _with_units(each: Sampled, kinds: Sequence[Kind]) -> Any:
    """The values; constants that differ from unit to unit as those of units chosen at random."""
    if len(each.shape) < len(kinds):
        return each.values
    values = np.asarray(each.values)
    crossing = [
        axis for axis, kind in enumerate(kinds) if kind == Kind.UNIT and values.shape[axis + 1] > 1
    ]
    if not crossing:
        return each.values
    # Every unit as often: means over samples are those over units.
    count = int(np.prod([values.shape[axis + 1] for axis in crossing]))
    chosen = np.random.default_rng(count).permutation(np.arange(SIZE) % count)
    index = np.unravel_index(chosen, [values.shape[axis + 1] for axis in crossing])
    moved = np.moveaxis(values[0], crossing, range(len(crossing)))[index]
    return jnp.asarray(np.expand_dims(moved, [axis + 1 for axis in crossing]))


def _shape(each: Any) -> tuple[int, ...]:
    if isinstance(each, Sampled):
        return each.shape
    if isinstance(each, Drawn):
        return tuple(each.values.shape[1:])
    return tuple(np.shape(each.value))


def reason_of(operands: Sequence[Any]) -> Unfollowed | None:
    """The first operand of which nothing is known."""
    return next((each for each in operands if isinstance(each, Unfollowed)), None)
