"""Lazy or rich: how far the parameters and the tangent kernel have moved from the start."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.networks.layer_params import layer_leaves
from initlab.probes.examples import named, spaced_examples
from initlab.probes.sizes import size
from initlab.types import Batch, Network, Params, Probe

__all__ = ["kernel_movement", "movement"]


@checks.checked
def movement(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`|p - p_0| / |p_0|` of each layer, and of all parameters together.

    Training is lazy where it stays far below 1 while the loss falls (Chizat, Oyallon and Bach 2019,
    arXiv:1812.07956).

    Args:
      network: the model.
      params: its params of the moment.
      batch: its `start` is p_0.

    Returns:
      `movement` [layers] and `total_movement`, a scalar; infinite for what left a start of zeros, 0
      for what has not moved.

    Raises:
      TypeError: if a leaf of params is not a floating array.

    >>> from initlab import networks
    >>> network = networks.mlp((1, 1), jnp.tanh)
    >>> start = {"layer_1": {"weight": jnp.array([[3.0]]), "bias": jnp.array([4.0])}}
    >>> moved = {"layer_1": {"weight": jnp.array([[3.0]]), "bias": jnp.array([5.0])}}
    >>> batch = Batch(None, None, None, None, None, start)
    >>> round(movement(network, moved, batch)["movement"].item(), 4)
    0.2
    """
    checks.check_floating_params(params)
    difference = jax.tree.map(lambda now, start: jnp.asarray(now) - start, params, batch.start)
    layers = zip(
        layer_leaves(network, difference).values(),
        layer_leaves(network, batch.start).values(),
        strict=True,
    )
    sizes = [tuple(size([leaf for _, leaf in each]) for each in pair) for pair in layers]
    whole = size(jax.tree.leaves(difference)), size(jax.tree.leaves(batch.start))
    return {
        "movement": jnp.stack([_relative(*pair) for pair in sizes]),
        "total_movement": _relative(*whole),
    }


@checks.checked
def kernel_movement(*, examples: int = 32) -> Probe:
    """A probe of `|K - K_0| / |K_0|`: how far the tangent kernel has moved (Frobenius norms).

    `K[(i, k), (j, l)] = <d f_k(x_i) / d p, d f_l(x_j) / d p>` over all parameters (Jacot et al.
    2018, arXiv:1806.07572). Lazy training keeps it (Chizat et al. 2019, arXiv:1812.07956).

    Args:
      examples: of how many training inputs, evenly spaced over the data.

    Returns:
      A probe that gives `kernel_movement`, a scalar. It takes a forward and a backward pass for
      each example and logit, and memory of one; the kernel at the start is made anew each time.

    Raises:
      ValueError: if examples is under 1.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((1, 1), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
    >>> x = jnp.ones((2, 1))
    >>> batch = Batch(x, x[:, 0], None, None, objectives.regression, params)
    >>> kernel_movement()(network, params, batch)["kernel_movement"].item()
    0.0
    """
    checks.check_count("examples", examples, 1)

    @checks.checked
    def probe(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        checks.check_floating_params(params)
        x = spaced_examples(batch, examples)
        now, start = (
            _kernel(lambda p: network.apply(p, x), each) for each in (params, batch.start)
        )
        return {"kernel_movement": _relative(size([now - start]), size([start]))}

    return named(probe, "kernel_movement", examples=examples)


def _kernel(outputs: Callable[[Params], jax.Array], params: Params) -> jax.Array:
    """`J J^T` [B K, B K], one column after the other."""
    logits, push = jax.linearize(outputs, params)
    _, pull = jax.vjp(outputs, params)

    def column(number: jax.Array) -> jax.Array:
        one = jnp.zeros(logits.size, logits.dtype).at[number].set(1)
        return push(*pull(one.reshape(logits.shape))).ravel()

    return jax.lax.map(column, jnp.arange(logits.size))


def _relative(moved: jax.Array, start: jax.Array) -> jax.Array:
    """`moved / start`, where 0 / 0 is 0."""
    ratio = jnp.where(start > 0, moved / jnp.where(start > 0, start, 1), jnp.inf)
    ratio = jnp.where((start == 0) & (moved == 0), 0, ratio)
    return jnp.where(jnp.isnan(moved + start), jnp.nan, ratio)
