"""What a refiner does where it would blow the outputs up: less, or nothing."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.programs.trace import as_function
from initlab.taps import Model
from initlab.types import Params

__all__ = ["refine_with_care"]

LARGER = 2.0
"""A factor on the outputs' rms that layers set to rms 1 do not have by themselves."""


def refine_with_care(
    model: Model,
    params: Params,
    batch: Any,
    refine: Callable[[jax.Array], Params],
    aside: np.ndarray,
) -> Params:
    """The boldest of three starts whose outputs are not blown up: all set, most set, none.

    A product that is on no path of its own to the outputs may be what multiplies a signal, as that
    of a gate is, or its logarithm, as in a coupling flow. Enlarged to rms 1 it enlarges the signal
    in each layer anew. Whether it does is measured: outputs count as blown up where their rms is
    more than twice 1, the start's, and what it is without enlarging those products; or not finite.

    Args:
      model: as it was read.
      params: the start.
      batch: inputs.
      refine: `flags -> params`: what is refined where flagged products are not enlarged.
      aside: flags of the products that may be such ones.

    Returns:
      The params.
    """
    if not aside.any():
        return refine(jnp.asarray(aside))
    start = _outputs_rms(model, params, batch)
    limit = LARGER * jnp.maximum(1, start)
    attempts = jnp.stack([jnp.zeros_like(aside, bool), jnp.asarray(aside)])

    # A loop, so that one program serves both, and the second runs only where the first failed.
    def is_needed(state: tuple[jax.Array, Params, jax.Array]) -> jax.Array:
        number, _, sizes = state
        return (number == 0) | ((number == 1) & ~(sizes[0] <= limit))

    def attempt(state: tuple[jax.Array, Params, jax.Array]) -> Any:
        number, found, sizes = state
        refined = refine(attempts[number])
        found = jax.tree.map(lambda all, one: all.at[number].set(one), found, refined)
        return number + 1, found, sizes.at[number].set(_outputs_rms(model, refined, batch))

    both = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), params)
    sizes = jnp.full(2, jnp.inf, jnp.float32)
    _, found, sizes = jax.lax.while_loop(is_needed, attempt, (jnp.asarray(0), both, sizes))
    bold = jnp.isfinite(sizes[0]) & ((sizes[0] <= limit) | (sizes[0] <= LARGER * sizes[1]))
    careful = sizes[1] <= LARGER * jnp.maximum(limit, start)

    def choose(start: Any, found: Any) -> Any:
        return jnp.where(bold, found[0], jnp.where(careful, found[1], start))

    return jax.tree.map(choose, params, found)


def _outputs_rms(model: Model, params: Params, batch: Any) -> jax.Array:
    """The largest rms of an output, float32."""
    outputs = as_function(model.program)(*jax.tree.leaves(params), *jax.tree.leaves(batch))
    sizes = [
        jnp.sqrt(jnp.mean(jnp.square(each.astype(jnp.float32))))
        for each in outputs
        if jnp.issubdtype(each.dtype, jnp.floating)
    ]
    return jnp.max(jnp.stack(sizes))
