"""Functions of parameters that have no finite value where they are 0: log, 1 / x, x^(-1/2)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.programs.primitives import SINGULAR
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope, Site

__all__ = ["measure_singular"]


def measure_singular(
    equation: Any, operands: Sequence[Pair], value: Any, result: Facts, scope: Scope
) -> None:
    """Counts the entries of a function of parameters alone that are finite before it only.

    Args:
      equation: an elementwise one.
      operands: its operands.
      value: its result.
      result: what is known of that.
      scope: gains a site of kind "function", with `broken` and `made`, numbers of entries.
    """
    name = equation.primitive.name
    if name not in SINGULAR or not result.is_weight:
        return
    if not jnp.issubdtype(value.dtype, jnp.floating) or not value.size:
        return
    number = scope.add(
        Site("function", result.params, name, result.sliced, gradient=False, uses=(name,))
    )
    if not scope.measures:
        return
    before = [jax.lax.stop_gradient(jnp.asarray(each)) for each, _ in operands]
    is_finite = jnp.isfinite(jax.lax.stop_gradient(value))
    # A root is finite at 0, and its slope is not.
    is_finite = is_finite & (before[0] != 0) if name == "sqrt" else is_finite
    for each in before:
        is_finite = is_finite | ~jnp.isfinite(each)
    broken = jnp.sum(~is_finite).astype(jnp.float32)
    scope.results[scope.key(number)] = {"broken": broken, "made": jnp.float32(value.size)}
