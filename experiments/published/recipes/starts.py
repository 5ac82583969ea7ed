"""What a start is before any training: Jacobians, their whole spectrum, dead layers."""

# The guide prints these functions as they are laid out here.
# fmt: off

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

import initlab
from initlab import activations, initializers, networks, objectives, probes
from initlab.initializers import by_role, he_normal, lecun_normal, orthogonal
from initlab.types import Array, Batch

__all__ = ["dying_relu", "glorot_jacobians", "isometry"]


def glorot_jacobians(seeds: int, width: int, names: Sequence[str]) -> Mapping[str, Array]:
    """The mean singular value of a layer's Jacobian, over five hidden layers."""
    x, found = jnp.asarray(0.3 * np.random.default_rng(0).standard_normal((1, width))), {}
    functions = {"linear": activations.identity, "tanh": jnp.tanh}
    starts = {"Glorot": initializers.glorot_uniform(), "old": initializers.uniform(width**-0.5)}
    for name in names:
        for start, initializer in starts.items():
            network = networks.mlp((*[width] * 6, 1), functions[name], bias=False)

            def measure(seed, network=network, initializer=initializer):
                params = initlab.initialize(jax.random.key(seed), network.specs, initializer)
                batch = Batch(x, jnp.zeros(1), None, None, objectives.regression, params)
                return probes.layer_jacobians()(network, params, batch)["layer_jacobian_mean"]

            each = jax.lax.map(measure, jnp.arange(seeds))
            found[f"{name}, {start}"] = each[:, :5].mean(axis=1)
    return found


def isometry(seeds: int, width: int, depth: int, names: Sequence[str]) -> Mapping[str, Array]:
    """Var / mean^2 of the squared singular values of the whole Jacobian, over the depth."""
    x, found = 0.3 * np.random.default_rng(0).standard_normal((1, width)), {}
    starts = {"relu, orthogonal": orthogonal(2**0.5), "relu, Gaussian": he_normal(),
              "tanh, orthogonal": orthogonal(), "tanh, Gaussian": lecun_normal()}
    for name in names:
        activation = jax.nn.relu if name.startswith("relu") else jnp.tanh
        network = networks.mlp([width] * (depth + 2), activation, bias=False)
        start = by_role(starts[name], readout=orthogonal())

        def spread(seed, network=network, start=start):
            params = initlab.initialize(jax.random.key(seed), network.specs, start)
            squares = probes.jacobian_singular_values(network, params, x) ** 2
            return jnp.var(squares) / jnp.mean(squares) ** 2 / depth

        found[name] = jax.lax.map(spread, jnp.arange(seeds))
    return found


def dying_relu(seeds: int, shapes: Sequence[tuple[int, int]]) -> Mapping[str, Array]:
    """Whether a relu network without biases is 0 on one input: a layer of it is dead."""
    found = {}
    for width, depth in shapes:
        network = networks.mlp([width] * (depth + 1) + [1], jax.nn.relu, bias=False)

        def is_dead(seed, network=network, width=width):
            params = initlab.initialize(jax.random.key(seed), network.specs, by_role(he_normal()))
            return jnp.all(network.apply(params, jnp.ones((1, width))) == 0)

        found[f"N = {width}, L = {depth}"] = jax.vmap(is_dead)(jnp.arange(seeds))
    return found
