"""The gradient's noise: how far the examples' own gradients lie apart."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.probes.scores import training_loss
from initlab.types import Batch, Network, Params

__all__ = ["gradient_noise_scale"]


@checks.checked
def gradient_noise_scale(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`mean_i |g_i - G|^2 / |G|^2`: the batch size at which noise and gradient are as large.

    g_i is the gradient of example i's loss and G their mean. The training data count as the whole
    population: it is `B_simple = tr(Sigma) / |G|^2` of McCandlish et al. 2018, arXiv:1812.06162,
    without the correction that a sample requires.

    Args:
      network: any network whose params are real.
      params: its params of the moment.
      batch: the run's data and objective; the loss is a mean over examples.

    Returns:
      `gradient_noise_scale`, a scalar; infinite where only the mean vanishes, 0 where all do.

    Raises:
      TypeError: if a leaf of params is not a floating array.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((1, 1), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.zeros((1, 1)), "bias": jnp.zeros(1)}}
    >>> x, y = jnp.array([[0.0], [0.0]]), jnp.array([1.0, 3.0])
    >>> batch = Batch(x, y, None, None, objectives.regression, params)
    >>> gradient_noise_scale(network, params, batch)["gradient_noise_scale"].item()
    0.25
    """
    checks.check_floating_params(params)

    gradient = jax.grad(training_loss, argnums=1)
    mean = gradient(network, params, batch)
    scale = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(mean)]))
    unit = jnp.where((scale > 0) & jnp.isfinite(scale), scale, 1)

    def square(tree: Params) -> jax.Array:
        return sum(
            (jnp.sum(jnp.square(leaf / unit)) for leaf in jax.tree.leaves(tree)), jnp.zeros(())
        )

    def distance(example: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = (each[None] for each in example)
        own = gradient(network, params, batch._replace(x=x, y=y))
        return square(jax.tree.map(jnp.subtract, own, mean))

    # One example at a time: memory is that of one gradient, however many there are.
    variance = jnp.mean(jax.lax.map(distance, (batch.x, batch.y)))
    size = square(mean)
    noise = jnp.where(size > 0, variance / jnp.where(size > 0, size, 1), jnp.inf)
    noise = jnp.where((size == 0) & (variance == 0), 0, noise)
    return {"gradient_noise_scale": jnp.where(jnp.isnan(size + variance), jnp.nan, noise)}
