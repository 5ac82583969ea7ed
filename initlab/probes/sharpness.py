"""Sharpness: how steep the loss's steepest direction becomes."""

from typing import Any

import jax
from jax.flatten_util import ravel_pytree

from initlab import checks
from initlab.probes.examples import named
from initlab.probes.lanczos import largest_eigenvalue
from initlab.probes.scores import training_loss
from initlab.types import Batch, Network, Params, Probe

__all__ = ["sharpness"]


@checks.checked
def sharpness(*, iterations: int = 20) -> Probe:
    """A probe of the largest eigenvalue of the training loss's Hessian, over all parameters.

    Gradient descent at a rate eta is stable along that direction while it is under 2 / eta (Cohen
    et al. 2021, arXiv:2103.00065). By Lanczos from a fixed random direction, each step one product
    of the Hessian and a vector (Pearlmutter 1994): it comes from below.

    Args:
      iterations: Lanczos steps; as many as parameters are exact.

    Returns:
      A probe that gives `sharpness`, a scalar; of any network whose params are real.

    Raises:
      ValueError: if iterations is under 1.

    >>> import jax.numpy as jnp
    >>> from initlab import networks, objectives
    >>> network = networks.mlp((1, 1), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
    >>> x = jnp.array([[1.0], [-1.0]])
    >>> batch = Batch(x, x[:, 0], None, None, objectives.regression, params)
    >>> round(sharpness()(network, params, batch)["sharpness"].item(), 4)
    2.0
    """
    checks.check_count("iterations", iterations, 1)

    @checks.checked
    def probe(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        checks.check_floating_params(params)
        flat, unravel = ravel_pytree(params)

        def loss(flat: jax.Array) -> Any:
            return training_loss(network, unravel(flat), batch)

        def product(rows: jax.Array) -> jax.Array:
            return jax.jvp(jax.grad(loss), (flat,), (rows[0],))[1][None]

        start = jax.random.normal(jax.random.key(0), (1, flat.size), flat.dtype)
        return {"sharpness": largest_eigenvalue(product, start, iterations)[0]}

    return named(probe, "sharpness", iterations=iterations)
