"""Which parameters belong to which layer, also where layers are stacked."""

from collections.abc import Sequence
from typing import Any

import jax

from initlab import checks
from initlab.types import Network, Params, ParamSpec

__all__ = ["layer_leaves", "layer_names"]


def layer_names(network: Network) -> tuple[str, ...]:
    """The names of a network's layers, first layer first.

    Those of `network.activations`; of an adopted model, which has none, the paths of its params
    without their last component.

    >>> specs = {"dense": {"kernel": ParamSpec((1, 1), 1, 1), "bias": ParamSpec((1,), 1, 1)}}
    >>> layer_names(Network(specs, lambda params, x: x, lambda params, x: {}))
    ('dense',)
    """
    if network.activations:
        return tuple(network.activations)
    paths = [path for spec_path, spec in _specs(network) for path in spec.stack or (spec_path,)]
    return tuple(dict.fromkeys(_parent(path) for path in paths))


def layer_leaves(network: Network, params: Params) -> dict[str, list[tuple[ParamSpec, jax.Array]]]:
    """Each layer's parameters with their specs; of stacked ones, each layer's slices.

    Args:
      network: whose params they are.
      params: arrays in the specs' tree: params, or a gradient.

    Returns:
      `{layer name: [(spec, array)]}`, first layer first; the list is empty for a layer that has
      no parameters.

    >>> specs = {"dense": {"kernel": ParamSpec((1, 2), 1, 2)}}
    >>> network = Network(specs, lambda params, x: x, lambda params, x: {})
    >>> params = {"dense": {"kernel": jax.numpy.ones((1, 2))}}
    >>> ((spec, leaf),) = layer_leaves(network, params)["dense"]
    >>> spec.fan_out, leaf.tolist()
    (2, [[1.0, 1.0]])
    """
    given, wanted = (jax.tree.structure(tree) for tree in (params, network.specs))
    if given != wanted:
        raise ValueError(f"params must have the tree of the network's specs, {wanted}, got {given}")
    layers: dict[str, list] = {name: [] for name in layer_names(network)}
    for (path, spec), leaf in zip(_specs(network), jax.tree.leaves(params), strict=True):
        slices = [leaf[n] for n in range(len(spec.stack))] if spec.stack else [leaf]
        for own, each in zip(spec.stack or (path,), slices, strict=True):
            layers[_layer_of(own, network)].append((spec, each))
    return layers


def _layer_of(path: str, network: Network) -> str:
    return path.partition("/")[0] if network.activations else _parent(path)


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or path


def _specs(network: Network) -> Sequence[tuple[str, Any]]:
    return list(checks.leaves_by_path("network.specs", network.specs).items())
