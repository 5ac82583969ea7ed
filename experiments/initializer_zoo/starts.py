"""Every scheme's start of a network: its draws, what they are in theory, what one batch shows."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import initlab
from initlab import probes, symmetry, theory
from initlab.networks.convolutions import convolutions_as_products
from initlab.types import Activation, Batch, Initializer, Network, Params, Probe, Role, Task

__all__ = ["Starts", "draw_starts", "in_theory", "look"]

HIDDEN = (Role.WEIGHT, Role.RESIDUAL)


class Starts(NamedTuple):
    """The starts of one network under every scheme.

    Attributes:
      params: the network's params, each leaf [schemes, seeds, ...]; NaN for a scheme that does not
        apply.
      refused: `{scheme: why it does not apply}`.
      sigma_w2: of each scheme [schemes], fan_in times the mean square of hidden weights; NaN for a
        scheme that does not apply or a network without hidden weights.
      sigma_b2: the mean square of biases [schemes].
    """

    params: Params
    refused: dict[str, str]
    sigma_w2: np.ndarray
    sigma_b2: np.ndarray


def draw_starts(network: Network, schemes: Mapping[str, Initializer], seeds: int) -> Starts:
    """Draws every scheme under the keys of seeds 0 to seeds - 1, as a run of that seed would.

    Args:
      network: whose params.
      schemes: `{name: initializer}`.
      seeds: how many.

    Returns:
      The starts. A scheme that raises ValueError for one of the network's parameters, a shape that
      it has no meaning for, is refused with what it said.
    """
    nothing = jax.tree.map(lambda spec: np.full(spec.shape, np.nan, spec.dtype), network.specs)
    refused, drawn, sigmas = {}, [], []
    for name, scheme in schemes.items():
        try:
            # One by one and not compiled: schemes then share the compiled draws they are made of.
            runs = [
                initlab.initialize(jax.random.key(seed), network.specs, scheme)
                for seed in range(seeds)
            ]
        except ValueError as error:
            refused[name] = str(error)
            runs = [nothing] * seeds
        runs = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)
        drawn.append(runs)
        sigmas.append(_sigmas(network.specs, runs))
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)
    sigma_w2, sigma_b2 = np.asarray(sigmas).T
    return Starts(params, refused, sigma_w2, sigma_b2)


def in_theory(
    activation: Activation, sigma_w2: np.ndarray, sigma_b2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """chi1 and the fixed mean square q of plain, wide networks of such variances.

    Args:
      activation: of the hidden layers.
      sigma_w2: fan_in times the variance of weights; NaN gives NaN.
      sigma_b2: variance of biases.

    Returns:
      `(chi1, q)` of `theory.fixed_point`.
    """
    # theory refuses NaN: 1 stands in for it, and its result is dropped.
    known = np.isfinite(sigma_w2) & np.isfinite(sigma_b2)
    point = theory.fixed_point(activation, *(np.where(known, s, 1) for s in (sigma_w2, sigma_b2)))
    return np.where(known, point.chi1, np.nan), np.where(known, point.q, np.nan)


def look(network: Network, task: Task, params: Params) -> dict[str, np.ndarray]:
    """What the training examples show of each start, before the first step.

    Args:
      network: the model.
      task: the data.
      params: [schemes, seeds, ...].

    Returns:
      Each [schemes, seeds]: `length_growth`, mean squared pre-activation (of a residual network,
      stream) of the last hidden layer over the first one's; `gradient_growth`, norm of the loss's
      gradient by the first hidden layer's params over the last one's; `saturation`, mean share over
      hidden layers; `dead_share` of their units; `distinct_share`, the least share of distinct
      units among the groups of exchangeable ones (where blocks are scanned, a unit is one index of
      all of them).
    """
    count_distinct, sizes = _distinct_units(network, task.x)
    x, y = jnp.asarray(task.x, jnp.float32), jnp.asarray(task.y)

    def measure(own: Params) -> dict[str, jax.Array]:
        batch = Batch(x, y, None, None, task.objective, own)
        states = list(network.layers(own, x).values())[:-1]
        squares = [
            jnp.mean(jnp.square(state.z if state.stream is None else state.stream))
            for state in states
        ]
        gradient = probes.gradient_norm(network, own, batch)["gradient_norm"]
        dead = probes.dead_units(network, own, batch)["dead_units"][:-1]
        units = sum(state.z.shape[-1] for state in states)
        distinct = count_distinct(network, own, batch)
        shares = [distinct[name].astype(jnp.float32) / size for name, size in sizes.items()]
        return {
            "length_growth": squares[-1] / squares[0],
            "gradient_growth": gradient[0] / gradient[-2],
            "saturation": jnp.mean(probes.saturation(network, own, batch)["saturation"][:-1]),
            "dead_share": jnp.sum(dead).astype(jnp.float32) / units,
            "distinct_share": jnp.min(jnp.stack(shares)),
        }

    leading = jax.tree.leaves(params)[0].shape[:2]
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)
    measured = jax.jit(lambda flat: jax.lax.map(convolutions_as_products(measure), flat))(flat)
    return {name: np.asarray(each).reshape(leading) for name, each in measured.items()}


def _distinct_units(network: Network, x: np.ndarray) -> tuple[Probe, dict[str, int]]:
    """A probe that counts them, and how many units each of its numbers is of."""
    zeros = jax.tree.map(lambda spec: np.zeros(spec.shape, spec.dtype), network.specs)
    groups = symmetry.find_groups(network.apply, zeros, np.zeros(x.shape, np.float32))
    sizes = {f"effective_width: {each.name.replace('/', '.')}": each.size for each in groups}
    return probes.effective_width(groups), sizes


def _sigmas(specs: Any, params: Params) -> tuple[float, float]:
    """`(fan_in E w^2 over hidden weights, E b^2)`, as if drawn independently around 0."""
    leaves = list(zip(jax.tree.leaves(specs), jax.tree.leaves(params), strict=True))
    weights = [spec.fan_in * _square(leaf) for spec, leaf in leaves if spec.role in HIDDEN]
    biases = [_square(leaf) for spec, leaf in leaves if spec.role is Role.BIAS]
    counts = [leaf.size for spec, leaf in leaves if spec.role in HIDDEN]
    sigma_w2 = float(np.average(weights, weights=counts)) if weights else np.nan
    return sigma_w2, float(np.mean(biases)) if biases else 0.0


def _square(leaf: np.ndarray) -> float:
    return float(np.mean(np.square(leaf, dtype=np.float64)))
