"""What a refiner does where it would blow the outputs up: nothing."""

from typing import Any

import jax
import jax.numpy as jnp

from initlab.programs.trace import as_function
from initlab.taps import Model
from initlab.taps.statistics import rms
from initlab.types import Number, Params

__all__ = ["keep_unless_blown_up", "output_spread"]

LARGER = 4.0
"""A factor on the outputs' rms that layers set to rms 1 do not have by themselves."""


def keep_unless_blown_up(
    model: Model, params: Params, refined: Params, batch: Any, usual: Number = 1.0
) -> Params:
    """The refined params, or the start where the outputs are blown up by them.

    A product that is on no path of its own to the outputs may be what multiplies a signal, as that
    of a gate is. Enlarged, it may enlarge the signal in each layer anew. Whether it does is
    measured: outputs count as blown up where their rms is more than four times that of the start,
    and than what is usual; or not finite.

    Args:
      model: as it was read.
      params: the start.
      refined: what was made of it.
      batch: inputs.
      usual: the rms that products are given.

    Returns:
      The params.
    """
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), params, refined)
    # One after the other: so one program serves both.
    start, size = jax.lax.map(lambda params: _outputs_rms(model, params, batch), both)
    limit = LARGER * jnp.maximum(jnp.asarray(usual, jnp.float32), start)
    is_kept = jnp.isfinite(size) & ((size <= limit) | ~jnp.isfinite(limit))
    return jax.tree.map(lambda old, new: jnp.where(is_kept, new, old), params, refined)


def output_spread(model: Model, params: Params, batch: Any) -> jax.Array:
    """The largest rms of an output about its mean over examples, float32."""
    found = _floating_outputs(model, params, batch)
    spreads = [rms(y - jnp.mean(y, axis=0, keepdims=True)) for y in found if y.ndim]
    return jnp.max(jnp.stack([jnp.float32(0), *(each.astype(jnp.float32) for each in spreads)]))


def _outputs_rms(model: Model, params: Params, batch: Any) -> jax.Array:
    """The largest rms of an output, float32."""
    sizes = [
        jnp.sqrt(jnp.mean(jnp.square(each.astype(jnp.float32))))
        for each in _floating_outputs(model, params, batch)
    ]
    return jnp.max(jnp.stack(sizes))


def _floating_outputs(model: Model, params: Params, batch: Any) -> list[jax.Array]:
    outputs = as_function(model.program)(*jax.tree.leaves(params), *jax.tree.leaves(batch))
    return [each for each in outputs if jnp.issubdtype(each.dtype, jnp.floating)]
