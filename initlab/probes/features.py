"""What a layer makes of the examples: over how many directions their activations spread."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.types import Batch, Network, Params

__all__ = ["effective_rank"]


@checks.checked
def effective_rank(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`exp(-sum_k p_k log p_k)`, p the singular values of a layer's activations over their sum.

    n equal singular values have rank n; any that is tiny counts hardly at all.

    Args:
      network: with layers that it shows.
      params: its params of the moment.
      batch: the run's data; all training inputs are used.

    Returns:
      `effective_rank` [layers], of activations [examples (x positions), units] without their mean
      taken out; 0 where all are 0, NaN where one is.

    Raises:
      TypeError: if the network does not show its layers.

    Source: Roy and Vetterli 2007, The effective rank.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((2, 2), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.eye(2), "bias": jnp.zeros(2)}}
    >>> batch = Batch(jnp.eye(2), jnp.zeros(2, int), None, None, objectives.softmax, params)
    >>> effective_rank(network, params, batch)["effective_rank"].round(4).tolist()
    [2.0]
    """
    if not network.activations:
        raise TypeError("network must show its layers for effective_rank; got an adopted one")
    states = network.layers(params, batch.x)
    return {"effective_rank": jnp.stack([_rank(states[name].a) for name in network.activations])}


def _rank(activations: jax.Array) -> jax.Array:
    rows = activations.reshape(-1, activations.shape[-1])
    # Singular values of the rows as large as 1, so that none under- or overflows.
    largest = jnp.max(jnp.abs(rows))
    values = jnp.linalg.svd(rows / jnp.where(largest > 0, largest, 1), compute_uv=False)
    total = jnp.sum(values)
    shares = values / jnp.where(total > 0, total, 1)
    entropy = -jnp.sum(jnp.where(shares > 0, shares * jnp.log(jnp.where(shares > 0, shares, 1)), 0))
    rank = jnp.where(total > 0, jnp.exp(entropy), 0)
    return jnp.where(jnp.isnan(total), jnp.nan, rank)
