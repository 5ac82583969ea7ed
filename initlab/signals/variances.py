"""The variances of drawn weights and biases, by role: what the recursions of theory start from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.types import Network, Params, Role

if TYPE_CHECKING:
    import xarray

__all__ = ["by_name", "mean_variances", "variances"]

WEIGHTS = (Role.INPUT, Role.WEIGHT, Role.RESIDUAL)
"""Weights whose variances the recursions take. The readout comes after the last hidden layer."""


@checks.checked
def variances(network: Network, params: Params) -> dict[Role, tuple[jax.Array, jax.Array]]:
    """`sigma_w2 = fan_in E (m w)^2` and `sigma_b2 = E (m b)^2`, by the role of a layer's weights.

    m is the network's multiplier of a parameter, 1 in most.

    Args:
      network: whose params they are.
      params: as drawn.

    Returns:
      `{role: (sigma_w2, sigma_b2)}` for the roles that it has of input, weight and residual; 0 for
      the biases of layers without.

    >>> from initlab import initialize, initializers, networks
    >>> network = networks.mlp((400, 400, 1), jnp.tanh)
    >>> params = initialize(jax.random.key(0), network.specs, initializers.he_normal())
    >>> sigma_w2, _ = variances(network, params)[Role.INPUT]
    >>> round(float(sigma_w2), 1)
    2.0
    """
    given, wanted = (jax.tree.structure(tree) for tree in (params, network.specs))
    if given != wanted:
        raise ValueError(f"params must have the tree of the network's specs, {wanted}, got {given}")
    params_by_path = {
        checks.path_name(path): leaf
        for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
    }
    means: dict[Role, list] = {}
    for path, spec in jax.tree_util.tree_flatten_with_path(network.specs)[0]:
        if spec.role not in WEIGHTS:
            continue
        name = checks.path_name(path)
        beside = f"{name.rpartition('/')[0]}/bias"
        bias = params_by_path.get(beside, jnp.zeros(1, spec.dtype))
        weight, bias = (
            leaf * network.multipliers[each] if each in network.multipliers else leaf
            for each, leaf in ((name, params_by_path[name]), (beside, bias))
        )
        squares = spec.fan_in * weight**2, bias**2
        # Row by row: one float32 sum of a million terms is off in its fourth digit.
        parts = [(jnp.mean(jnp.mean(each, axis=-1)), each.size) for each in squares]
        means.setdefault(spec.role, []).append(parts)
    return {
        role: (_weighted(weights), _weighted(biases))
        for role, parts in means.items()
        for weights, biases in [zip(*parts, strict=True)]
    }


@checks.checked
def mean_variances(results: "xarray.Dataset") -> dict[Role, tuple[float, float]]:
    """What `variances` measured, averaged over a sweep: the variances of a `Start`.

    Args:
      results: of a sweep over `signal_run`, or a part of it.

    Returns:
      `{role: (sigma_w2, sigma_b2)}`.

    >>> import xarray
    >>> measured = {"sigma_w2_input": ("seed", [1.0, 3.0]), "sigma_b2_input": ("seed", [0.0, 0.0])}
    >>> mean_variances(xarray.Dataset(measured))[Role.INPUT]
    (2.0, 0.0)
    """
    return {
        role: (float(results[sigma_w2].mean()), float(results[sigma_b2].mean()))
        for role in WEIGHTS
        for sigma_w2, sigma_b2 in [_variance_names(role)]
        if sigma_w2 in results
    }


def by_name(found: Mapping[Role, tuple[jax.Array, jax.Array]]) -> dict[str, jax.Array]:
    """The variances as `signal_run` names them in its results: `{"sigma_w2_input": ..., ...}`.

    Args:
      found: of `variances`.

    Returns:
      By name, `sigma_w2_ROLE` and `sigma_b2_ROLE`.

    >>> by_name({Role.INPUT: (jnp.float32(2.0), jnp.float32(0.0))})["sigma_w2_input"].item()
    2.0
    """
    return {
        name: value
        for role, pair in found.items()
        for name, value in zip(_variance_names(role), pair, strict=True)
    }


def _variance_names(role: Role) -> tuple[str, str]:
    return f"sigma_w2_{role.value}", f"sigma_b2_{role.value}"


def _weighted(parts: Any) -> jax.Array:
    """The mean of all entries, from means of parts of them and the parts' sizes."""
    return jnp.asarray(sum(mean * size for mean, size in parts) / sum(size for _, size in parts))
