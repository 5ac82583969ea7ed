"""Decays over spans of time in one product: `exp(c_t - c_s)`, c a running sum of their logarithms.

So do chunks of a state space (Dao and Gu 2024, arXiv:2405.21060) and of gated linear attention
(Yang et al. 2024, arXiv:2312.06635) hand a state on without a loop over time.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.programs.control import control
from initlab.programs.primitives import PASSING
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope, Site

__all__ = ["follow_decays"]

CUTS = {"clamp", "max", "min", "select_n"}
"""What masks a running sum, or keeps it below 0."""


class _Running(NamedTuple):
    """A running sum of what data and parameters have made, or a difference of two of its entries.

    Attributes:
      value: the sum.
      features: which of its axes hold units.
      axis: time.
      is_difference: whether two of its entries have been subtracted.
    """

    value: Any
    features: tuple[bool, ...]
    axis: int
    is_difference: bool = False


def follow_decays(
    equation: Any, operands: Sequence[Pair], results: list[Pair], scope: Scope
) -> list[Pair]:
    """The results of an equation, each with the running sum that it is; an exponential is a place.

    Args:
      equation: any.
      operands: its operands.
      results: what the evaluator makes of it.
      scope: gains a place where such a decay is taken, once for each running sum.

    Returns:
      The results.
    """
    if control(equation) is not None or len(results) != 1:
        return results
    ((value, facts),) = results
    name, known = equation.primitive.name, [each for _, each in operands]
    running = _running(name, equation, known, value, facts)
    sums = [each.running for each in known if each.running is not None]
    if name in ("exp", "exp2") and sums and sums[0].is_difference:
        _measure(name, sums[0], known[0], str(equation.source_info.name_stack), scope)
    return [(value, dataclasses.replace(facts, running=running))]


def _running(
    name: str, equation: Any, known: Sequence[Facts], value: Any, facts: Facts
) -> _Running | None:
    if name == "cumsum":
        axis = equation.params["axis"]
        is_time = facts.data and facts.params and not facts.features[axis]
        is_real = jnp.issubdtype(value.dtype, jnp.floating)
        if is_time and is_real and value.shape[axis] > 1:
            return _Running(value, facts.features, axis)
        return None
    sums = [each.running for each in known if each.running is not None]
    if name == "sub" and len(sums) == 2:
        is_one = sums[0].value is sums[1].value
        return sums[0]._replace(is_difference=True) if is_one else None
    if len(sums) != 1:
        return None
    is_cut = name in CUTS and sum(each.data for each in known) == 1
    return sums[0] if name in PASSING or is_cut else None


def _measure(name: str, running: _Running, facts: Facts, where: str, scope: Scope) -> None:
    """The logarithm of the decay of a step, of the slowest unit and of the fastest."""
    if any(each is running.value for each in scope.decays):
        return
    scope.decays.append(running.value)
    number = scope.add(Site("state", facts.names, where, gradient=False))
    if not scope.measures:
        return
    sums = jax.lax.stop_gradient(running.value).astype(jnp.float32)
    sums = jnp.moveaxis(sums, running.axis, 0)
    slopes = (sums[-1] - sums[0]) / (sums.shape[0] - 1)
    if name == "exp2":
        slopes = slopes * jnp.log(2.0)
    flags = [flag for n, flag in enumerate(running.features) if n != running.axis]
    each = jnp.mean(slopes, [n for n, flag in enumerate(flags) if not flag])
    # Written as sums of negative or of positive numbers; of both, they are no decays.
    is_one_sign = jnp.all(slopes <= 0) | jnp.all(slopes >= 0)
    each = jnp.where(is_one_sign, -jnp.abs(each), jnp.nan)
    scope.results[scope.key(number)] = {
        "rms": jnp.exp(jnp.max(each)),
        "memory": jnp.max(each),
        "fastest": jnp.min(each),
    }
