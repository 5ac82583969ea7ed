"""Reductions of a run's curves to one number each, made while it runs: events, means, minima.

A reduction sees one measured value at each snapshot (steps 0, every, 2 every, ...), and at every
step where `every` is 1. It is three pure functions around what it carries from snapshot to
snapshot, so that one of one's own is as good.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.types import Number

__all__ = ["Reduction", "first_above", "first_below", "mean_of_last", "minimum", "value_at"]


class Reduction(NamedTuple):
    """One number, or one for each layer, of a measured value's curve.

    Attributes:
      value: the measurement's name, as a probe gives it.
      start: `(its shape and dtype, steps of the snapshots [S]) -> carry`, before the first one.
      update: `(carry, step, measured) -> carry`.
      result: `carry -> array` of the measurement's shape.
    """

    value: str
    start: Callable[[jax.ShapeDtypeStruct, np.ndarray], Any]
    update: Callable[[Any, jax.Array, jax.Array], Any]
    result: Callable[[Any], jax.Array] = lambda carry: carry


@checks.checked
def first_below(value: str, threshold: Number) -> Reduction:
    """The first snapshot's step at which `value < threshold`, int32; -1 if there was none.

    Args:
      value: name of a measurement, as "loss"; NaN is below nothing.
      threshold: any finite number; may be traced.

    Returns:
      The reduction, by which `make_run(stop=...)` may stop.

    Raises:
      TypeError: if threshold is not a number.
      ValueError: if threshold is NaN or infinite.

    >>> event = first_below("loss", 0.5)
    >>> carry = event.start(jax.ShapeDtypeStruct((), np.float32), np.arange(3))
    >>> for step, loss in enumerate((0.7, 0.4, 0.3)):
    ...     carry = event.update(carry, jnp.int32(step), jnp.float32(loss))
    >>> event.result(carry).item()
    1
    """
    checks.check_number("threshold", threshold)
    return _first(value, lambda measured: measured < jnp.asarray(threshold, measured.dtype))


@checks.checked
def first_above(value: str, threshold: Number) -> Reduction:
    """The first snapshot's step at which `value > threshold`; as `first_below`."""
    checks.check_number("threshold", threshold)
    return _first(value, lambda measured: measured > jnp.asarray(threshold, measured.dtype))


def _first(value: str, happens: Callable[[jax.Array], jax.Array]) -> Reduction:
    def start(like: jax.ShapeDtypeStruct, steps: np.ndarray) -> jax.Array:
        del steps
        return jnp.full(like.shape, -1, jnp.int32)

    def update(first: jax.Array, step: jax.Array, measured: jax.Array) -> jax.Array:
        return jnp.where((first < 0) & happens(measured), step, first)

    return Reduction(value, start, update)


@checks.checked
def mean_of_last(value: str, snapshots: int) -> Reduction:
    """The mean over the last snapshots, NaN where one of them is.

    Args:
      value: name of a measurement.
      snapshots: how many, at least 1; no more than the run has.

    Returns:
      The reduction.

    Raises:
      TypeError: if snapshots is not an integer.
      ValueError: if it is under 1.
    """
    checks.check_count("snapshots", snapshots, 1)

    def start(like: jax.ShapeDtypeStruct, steps: np.ndarray) -> tuple[jax.Array, jax.Array]:
        if snapshots > len(steps):
            raise ValueError(
                f"snapshots must be at most the run's {len(steps)}, got {snapshots} of {value!r}"
            )
        return jnp.zeros(like.shape, _real(like)), jnp.int32(steps[-snapshots])

    def update(carry: tuple, step: jax.Array, measured: jax.Array) -> tuple[jax.Array, jax.Array]:
        total, first = carry
        # A choice and no product: what is left out may be NaN.
        return total + jnp.where(step >= first, measured.astype(total.dtype), 0), first

    return Reduction(value, start, update, lambda carry: carry[0] / snapshots)


@checks.checked
def minimum(value: str) -> Reduction:
    """The least that was measured at any snapshot; NaN is passed over, and inf if all were NaN."""

    def start(like: jax.ShapeDtypeStruct, steps: np.ndarray) -> jax.Array:
        del steps
        return jnp.full(like.shape, jnp.inf, _real(like))

    def update(least: jax.Array, step: jax.Array, measured: jax.Array) -> jax.Array:
        del step
        return jnp.fmin(least, measured.astype(least.dtype))

    return Reduction(value, start, update)


@checks.checked
def value_at(value: str, step: Number) -> Reduction:
    """The value at the first snapshot at or after a step; NaN if the run ends before it.

    Runs of one physical time (learning rate times steps) are compared at `step = time / rate`.

    Args:
      value: name of a measurement.
      step: any finite number; may be traced.

    Returns:
      The reduction.

    Raises:
      TypeError: if step is not a number.
      ValueError: if it is NaN or infinite.
    """
    checks.check_number("step", step)

    def start(like: jax.ShapeDtypeStruct, steps: np.ndarray) -> tuple[jax.Array, jax.Array]:
        del steps
        return jnp.full(like.shape, jnp.nan, _real(like)), jnp.zeros((), bool)

    def update(carry: tuple, now: jax.Array, measured: jax.Array) -> tuple[jax.Array, jax.Array]:
        found, is_found = carry
        is_reached = now.astype(found.dtype) >= jnp.asarray(step, found.dtype)
        found = jnp.where(is_reached & ~is_found, measured.astype(found.dtype), found)
        return found, is_found | is_reached

    return Reduction(value, start, update, lambda carry: carry[0])


def _real(like: jax.ShapeDtypeStruct) -> Any:
    """The dtype of a mean of such values: of integers and truth values float32."""
    return like.dtype if jnp.issubdtype(like.dtype, jnp.floating) else np.float32
