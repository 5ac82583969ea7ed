"""The gradient that a step takes: by differentiation, or for small mlps on a GPU by one kernel."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.networks.mlp import find_chain
from initlab.training.kernel import SLOPES, gradient_kernel
from initlab.types import Network, Objective, Params, ParamSpec

__all__ = ["MOST_PARAMETERS", "has_kernel", "loss_gradient"]

MOST_PARAMETERS = 96
"""Up to so many parameters a run's numbers and their sums stay in a GPU's registers."""

Gradient = Callable[[Params, jax.Array, jax.Array], Params]


def loss_gradient(network: Network, objective: Objective) -> Gradient:
    """`(params, x, y) -> gradient of objective.loss(network.apply(params, x), y)`.

    Where a CUDA device is there, runs under vmap get it from one kernel, if `has_kernel`.

    Args:
      network: the model.
      objective: how logits are scored.

    Returns:
      A pure function, of the arithmetic of the device that computes it.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((1, 1), jnp.tanh, bias=False)
    >>> gradient = loss_gradient(network, objectives.regression)
    >>> params = {"layer_1": {"weight": jnp.ones((1, 1))}}
    >>> gradient(params, jnp.ones((4, 1)), jnp.zeros(4))["layer_1"]["weight"].item()
    2.0
    """
    plain, chain = _differentiated(network, objective), find_chain(network)
    on_gpu = jax.default_backend() == "gpu" and has_kernel(network, objective)
    if not on_gpu or chain is None:
        return plain

    def kernel(params: Params, x: jax.Array, y: jax.Array) -> Params:
        return gradient_kernel(chain, objective.loss, params, x, y)

    return batched_by(plain, kernel) if _lowers(kernel, network) else plain


def has_kernel(network: Network, objective: Objective) -> bool:
    """Whether a kernel computes the gradient: an mlp of up to MOST_PARAMETERS float32 parameters.

    Args:
      network: the model.
      objective: one of the lab's.

    Returns:
      True or False.

    >>> from initlab import networks, objectives
    >>> has_kernel(networks.mlp((2, 10, 5, 1), jnp.tanh), objectives.binary)
    True
    """
    known = any(objective.loss is loss for loss in SLOPES)
    if find_chain(network) is None or not known:
        return False
    specs = jax.tree.leaves(network.specs, is_leaf=lambda leaf: isinstance(leaf, ParamSpec))
    count = sum(math.prod(spec.shape) for spec in specs)
    return count <= MOST_PARAMETERS and all(spec.dtype == np.float32 for spec in specs)


def batched_by(plain: Gradient, kernel: Gradient, platform: str = "cuda") -> Gradient:
    """A gradient that many runs under vmap take from a kernel on one platform.

    Args:
      plain: of one run.
      kernel: of many, whose axis comes first in params and perhaps in x and y.
      platform: where.

    Returns:
      The gradient.
    """

    @jax.custom_batching.custom_vmap
    def gradient(params: Params, x: jax.Array, y: jax.Array) -> Params:
        return plain(params, x, y)

    @gradient.def_vmap
    def _(runs: int, batched: Any, params: Params, x: jax.Array, y: jax.Array) -> Any:
        def with_runs(has_runs: bool, leaf: jax.Array) -> jax.Array:
            return leaf if has_runs else jnp.broadcast_to(leaf, (runs, *leaf.shape))

        params = jax.tree.map(with_runs, batched[0], params)
        axes = (0, *(0 if has_runs else None for has_runs in batched[1:]))
        many = jax.vmap(plain, in_axes=axes)
        found = jax.lax.platform_dependent(params, x, y, **{platform: kernel, "default": many})
        return found, jax.tree.map(lambda _: True, params)

    return gradient


def _differentiated(network: Network, objective: Objective) -> Gradient:
    def loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
        return objective.loss(network.apply(params, x), y)

    return jax.grad(loss)


def _lowers(kernel: Gradient, network: Network) -> bool:
    """Whether this JAX makes a GPU's program of the kernel; a warning where it does not."""
    runs = 2
    params = jax.tree.map(
        lambda spec: jax.ShapeDtypeStruct((runs, *spec.shape), spec.dtype),
        network.specs,
        is_leaf=lambda leaf: isinstance(leaf, ParamSpec),
    )
    fan_in = network.specs[next(iter(network.activations))]["weight"].shape[0]
    x, y = jax.ShapeDtypeStruct((1, fan_in), np.float32), jax.ShapeDtypeStruct((1,), np.int32)
    try:
        # Pallas for Triton is deprecated from JAX 0.11 on, which is no news to who trains an mlp.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            jax.jit(kernel).trace(params, x, y).lower(lowering_platforms=("cuda",))
    # Pallas' errors are its own, and of any type.
    except Exception as reason:
        warnings.warn(
            f"steps of this network are several GPU kernels, one cannot be made: {reason}",
            stacklevel=2,
        )
        return False
    return True
