"""How well the network does: loss and metric, on the training and the test data."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.types import Batch, Network, Params

__all__ = ["accuracy", "loss", "training_loss"]


def training_loss(network: Network, params: Params, batch: Batch) -> Any:
    """The objective's mean loss on the training data, which other probes differentiate.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((1, 1), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
    >>> batch = Batch(jnp.ones((2, 1)), jnp.zeros(2), None, None, objectives.regression, params)
    >>> training_loss(network, params, batch).item()
    1.0
    """
    return batch.objective.loss(network.apply(params, batch.x), batch.y)


@checks.checked
def loss(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """The objective's mean loss on the training data, and on the test data where there are any.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `loss` and perhaps `test_loss`, scalars (nats for cross-entropies).
    """
    return _on_both(batch.objective.loss, "loss", network, params, batch)


@checks.checked
def accuracy(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """The objective's metric: share of correct labels, or R^2 for regression.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `accuracy` and perhaps `test_accuracy`, scalars; NaN where a logit is NaN.
    """

    def score(logits: jax.Array, y: jax.Array) -> jax.Array:
        # A diverged run predicts nothing.
        return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, batch.objective.metric(logits, y))

    return _on_both(score, "accuracy", network, params, batch)


def _on_both(
    score: Callable[[Any, Any], jax.Array],
    name: str,
    network: Network,
    params: Params,
    batch: Batch,
) -> dict[str, jax.Array]:
    scores = {name: score(network.apply(params, batch.x), batch.y)}
    if batch.x_test is not None and batch.y_test is not None:
        scores[f"test_{name}"] = score(network.apply(params, batch.x_test), batch.y_test)
    return scores
