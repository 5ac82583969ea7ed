"""The layers of a chain: one weight and perhaps a bias each, and nothing around them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.networks.layer_params import layer_leaves
from initlab.types import Network, Params, Role

__all__ = ["PlainLayer", "effective", "incoming", "outgoing", "plain_layers"]

IN_A_CHAIN = {Role.INPUT, Role.WEIGHT, Role.READOUT}
"""Roles of a weight that takes what the layer before gives, and adds to no stream."""


class PlainLayer(NamedTuple):
    """`z = a weight + bias`, or a convolution.

    Attributes:
      weight: [*window, inputs, units].
      bias: [units]; None where the layer has none.
    """

    weight: jax.Array
    bias: jax.Array | None


def plain_layers(network: Network, params: Params, measured: str) -> dict[str, PlainLayer]:
    """The layers of a network that is a chain of them, first layer first.

    Args:
      network: an mlp, or a plain convnet.
      params: its params.
      measured: what they are asked for, for the error.

    Returns:
      `{layer name: PlainLayer}`.

    Raises:
      TypeError: if a layer has a norm, a gate or a branch, or the network is of another kind.
      ValueError: if params do not fit the network.

    >>> from initlab.networks import mlp
    >>> network = mlp((2, 4, 1), jnp.tanh)
    >>> params = jax.tree.map(lambda spec: jnp.ones(spec.shape), network.specs)
    >>> [layer.weight.shape for layer in plain_layers(network, params, "").values()]
    [(2, 4), (4, 1)]
    """
    checks.check_params(params, network.specs)
    required = f"network must be a chain of layers, as an mlp or a plain convnet, for {measured}"
    if not network.activations:
        raise TypeError(f"{required}; got one whose layers are not known")
    found = {}
    for name, leaves in layer_leaves(network, params).items():
        weights = [leaf for spec, leaf in leaves if spec.role in IN_A_CHAIN]
        biases = [leaf for spec, leaf in leaves if spec.role is Role.BIAS]
        is_plain = len(weights) == 1 and len(weights) + len(biases) == len(leaves)
        if not is_plain or len(biases) > 1 or weights[0].ndim < 2:
            roles = [spec.role.value for spec, _ in leaves]
            raise TypeError(f"{required}; got layer {name!r} with {roles}")
        found[name] = PlainLayer(weights[0], biases[0] if biases else None)
    return found


def effective(network: Network, params: Params) -> Params:
    """The parameters as the forward pass takes them: each times its multiplier.

    >>> from initlab.networks import mlp, with_multipliers
    >>> network = with_multipliers(mlp((1, 1), jnp.tanh), {"*/weight": 3.0})
    >>> params = {"layer_1": {"weight": jnp.ones((1, 1)), "bias": jnp.ones(1)}}
    >>> effective(network, params)["layer_1"]["weight"].item()
    3.0
    """

    def one(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        number = network.multipliers.get(checks.path_name(path), 1.0)
        return leaf * jnp.asarray(number, leaf.dtype)

    return jax.tree_util.tree_map_with_path(one, params)


def incoming(layer: PlainLayer) -> jax.Array:
    """What comes into each unit, its weights and its bias: [units, entries].

    >>> incoming(PlainLayer(jnp.ones((3, 2)), jnp.zeros(2))).tolist()
    [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]]
    """
    weight = jnp.asarray(layer.weight)
    rows = weight.reshape(-1, weight.shape[-1])
    if layer.bias is not None:
        rows = jnp.concatenate([rows, jnp.asarray(layer.bias)[None]])
    return rows.T


def outgoing(layer: PlainLayer, units: int) -> jax.Array:
    """What the layer takes from each of the units below, over windows and positions: [units, ...].

    >>> outgoing(PlainLayer(jnp.arange(4.0).reshape(4, 1), None), 2).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """
    weight = jnp.asarray(layer.weight)
    # A readout that sees all positions has a row for each of them, channels last.
    rows = weight.reshape(-1, units, weight.shape[-1])
    return jnp.moveaxis(rows, 1, 0).reshape(units, -1)
