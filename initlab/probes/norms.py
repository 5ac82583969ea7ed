"""Norms of the gradient and of the weights, by layer."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.networks.layer_params import layer_leaves
from initlab.probes.scores import training_loss
from initlab.probes.sizes import size
from initlab.types import Batch, Network, Params, Role

__all__ = ["gradient_norm", "weight_norm"]

NO_WEIGHTS = {Role.BIAS, Role.NORM_SCALE, Role.NORM_BIAS, Role.GATE}
"""Roles that a norm of the weights leaves out."""


@checks.checked
def gradient_norm(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`|dL/d(parameters)|_2` of each layer, over the whole training data.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `gradient_norm` [layers]; 0 for a layer without parameters of its own.

    Raises:
      TypeError: if a leaf of params is not a floating array.
    """
    checks.check_floating_params(params)
    gradient = jax.grad(training_loss, argnums=1)(network, params, batch)
    layers = layer_leaves(network, gradient).values()
    norms = [size([leaf for _, leaf in leaves]) for leaves in layers]
    return {"gradient_norm": jnp.stack(norms)}


@checks.checked
def weight_norm(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`|weights|_2` of each layer: biases, norms and gates left out.

    Args:
      network: the model.
      params: its params of the moment.
      batch: unused.

    Returns:
      `weight_norm` [layers]; 0 for a layer without weights of its own.
    """
    del batch
    norms = [
        size([leaf for spec, leaf in leaves if spec.role not in NO_WEIGHTS])
        for leaves in layer_leaves(network, params).values()
    ]
    return {"weight_norm": jnp.stack(norms)}
