"""Slopes of activations: units that are saturated on an example, and those dead on all."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import SATURATED_SLOPE, max_slope, slope
from initlab.types import Batch, Network, Params

__all__ = ["SATURATED_SLOPE", "dead_units", "saturation"]


@checks.checked
def saturation(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """Share of units x examples whose slope is under SATURATED_SLOPE of the largest slope.

    The last layer is read through the objective's link: a sigmoid output saturates too.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `saturation` [layers], in [0, 1]; NaN where a slope is NaN.
    """
    slopes = _relative_slopes(network, params, batch)
    # NaN is not under anything; a diverged run must not count as unsaturated.
    shares = [
        jnp.mean(jnp.where(jnp.isnan(s), s, (s < SATURATED_SLOPE).astype(s.dtype))) for s in slopes
    ]
    return {"saturation": jnp.stack(shares)}


@checks.checked
def dead_units(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """How many units of each layer have a slope of exactly 0 on every example.

    Nothing reaches the weights into such a hidden unit. For the output it is its link's slope; the
    gradient of a cross-entropy does not vanish with it.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `dead_units`, int32 [layers].
    """
    slopes = _relative_slopes(network, params, batch)
    counts = [
        jnp.sum(jnp.all(each == 0, axis=tuple(range(each.ndim - 1))), dtype=jnp.int32)
        for each in slopes
    ]
    return {"dead_units": jnp.stack(counts)}


def _relative_slopes(network: Network, params: Params, batch: Batch) -> list[jax.Array]:
    """`|phi'(z)| / max |phi'|` [B, ..., n_l] of each layer; the output's is its link's."""
    states = network.layers(params, batch.x)
    *hidden, last = network.activations
    slopes = [
        jnp.abs(slope(network.activations[name], states[name].z))
        / max_slope(network.activations[name])
        for name in hidden
    ]
    slopes.append(_link_slopes(batch.objective.link, states[last].z))
    return slopes


def _link_slopes(link: Callable[[jax.Array], jax.Array], logits: jax.Array) -> jax.Array:
    """`|d link(z)_k / d z_k|` over its largest value: 1/4 for sigmoid and softmax."""

    def diagonal(z: jax.Array) -> jax.Array:
        def along(direction: jax.Array) -> jax.Array:
            return jnp.sum(jax.jvp(link, (z,), (direction,))[1] * direction)

        return jax.vmap(along)(jnp.eye(z.shape[0], dtype=z.dtype))

    # A single logit at 0 against another at 0 is where softmax and sigmoid are steepest.
    steepest = jnp.max(jnp.abs(diagonal(jnp.zeros((max(2, logits.shape[-1]),), logits.dtype)[:2])))
    return jnp.abs(jax.vmap(diagonal)(logits)) / steepest
