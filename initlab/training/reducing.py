"""Reductions while a run goes: what they carry from snapshot to snapshot, and when it stops."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.reductions import Reduction
from initlab.training.points import Point

__all__ = ["Reductions", "has_stopped", "reductions_at", "results", "starts", "updates"]

Reductions = Mapping[str, Reduction]
"""By the name of their result."""


def reductions_at(given: Reductions | Callable[[Point], Reductions], point: Point) -> Reductions:
    """The reductions of a point; TypeError unless they are a dict of them."""
    if callable(given):
        with checks.calling("reductions", f"({sorted(point)})"):
            given = given(point)
    if not isinstance(given, Mapping):
        raise TypeError(f"reductions must be a dict of Reductions, got {given!r:.80}")
    for name, each in given.items():
        checks.check_kind(f"reductions[{name!r}]", each, Reduction)
    return given


def starts(
    reductions: Reductions, measured: Mapping[str, jax.ShapeDtypeStruct], steps: np.ndarray
) -> dict[str, Any]:
    """What each carries before the first snapshot; ValueError for a value that is not measured."""
    for name, each in reductions.items():
        if each.value not in measured:
            raise ValueError(
                f"reductions[{name!r}] is of {each.value!r}, which no probe measures; measured are "
                f"{sorted(measured)}"
            )
    if twice := sorted(set(reductions) & set(measured)):
        raise ValueError(f"reductions must not be named as what probes measure, got {twice}")
    return {name: each.start(measured[each.value], steps) for name, each in reductions.items()}


def updates(
    reductions: Reductions, carried: Mapping[str, Any], step: jax.Array, values: Mapping[str, Any]
) -> dict[str, Any]:
    """What each carries after a snapshot."""
    return {
        name: each.update(carried[name], step, values[each.value])
        for name, each in reductions.items()
    }


def results(reductions: Reductions, carried: Mapping[str, Any]) -> dict[str, jax.Array]:
    """The number, or the number of each layer, that each has come to."""
    return {name: each.result(carried[name]) for name, each in reductions.items()}


def has_stopped(stop: str, reductions: Reductions, carried: Mapping[str, Any]) -> jax.Array:
    """Whether the event named `stop` has come, for each layer where it is one of layers."""
    if stop not in reductions:
        raise ValueError(f"stop must name one of the reductions {sorted(reductions)}, got {stop!r}")
    first = reductions[stop].result(carried[stop])
    if not jnp.issubdtype(first.dtype, jnp.integer):
        raise ValueError(
            f"stop must name an event, as first_below, whose result is a step, got {stop!r} with "
            f"{first.dtype}"
        )
    return jnp.all(first >= 0)
