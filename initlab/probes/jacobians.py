"""The input-output Jacobian: its singular values, exact or by products."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.probes.examples import named, spaced_examples
from initlab.probes.spectrum import LinearMaps, exact_spectrum, sampled_spectrum, singular_values
from initlab.types import Array, Batch, Network, Params, Probe

__all__ = ["jacobian_singular_values", "jacobian_spectrum"]


@checks.checked
def jacobian_singular_values(network: Network, params: Params, x: Array) -> jax.Array:
    """The singular values of `d logits / d x` at each example, the largest first.

    Args:
      network: any network of real inputs whose examples do not see each other.
      params: its params.
      x: inputs [B, ...].

    Returns:
      [B, min(inputs, logits)], for a histogram of one's own; jit-able and vmap-able.

    Raises:
      TypeError: if x is not floating, as tokens are not.

    Source: Saxe, McClelland and Ganguli 2014, arXiv:1312.6120; Pennington, Schoenholz and Ganguli
    2017, arXiv:1711.04735.

    >>> from initlab import networks
    >>> network = networks.mlp((2, 2), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.diag(jnp.array([3.0, 4.0])), "bias": jnp.zeros(2)}}
    >>> jacobian_singular_values(network, params, jnp.ones((1, 2))).round(4).tolist()
    [[4.0, 3.0]]
    """
    return singular_values(_input_output(network, params, jnp.asarray(x)))


@checks.checked
def jacobian_spectrum(
    *, examples: int = 16, vectors: int | None = None, iterations: int = 16
) -> Probe:
    """A probe of the singular values s of `d logits / d x`: dynamical isometry is all of them 1.

    Args:
      examples: at how many training inputs, evenly spaced over the data.
      vectors: None for all singular values exactly, which takes min(inputs, logits) products; for
        large networks how many random vectors of signs estimate the moments (Hutchinson 1990),
        each by two or three products.
      iterations: Lanczos steps for the largest one, where vectors are given.

    Returns:
      A probe that gives scalars, over all s of all examples: `jacobian_mean_square`, the mean of
      s^2; `jacobian_spread`, `mean s^4 / (mean s^2)^2 - 1`, 0 where all are equal;
      `jacobian_largest`, each example's largest, in the mean; where they are exact also
      `jacobian_mean` and `jacobian_smallest`, each example's smallest, in the mean.

    Raises:
      ValueError: if a count is under 1.

    Source: as of `jacobian_singular_values`.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((2, 2), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.diag(jnp.array([3.0, 4.0])), "bias": jnp.zeros(2)}}
    >>> batch = Batch(jnp.eye(2), jnp.zeros(2, int), None, None, objectives.softmax, params)
    >>> found = jacobian_spectrum(vectors=1)(network, params, batch)
    >>> {name: round(value.item(), 3) for name, value in found.items()}
    {'jacobian_mean_square': 12.5, 'jacobian_spread': 0.078, 'jacobian_largest': 4.0}
    """
    for name, count in (("examples", examples), ("iterations", iterations)):
        checks.check_count(name, count, 1)
    if vectors is not None:
        checks.check_count("vectors", vectors, 1)

    @checks.checked
    def probe(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        maps = _input_output(network, params, spaced_examples(batch, examples))
        if vectors is None:
            found = exact_spectrum(maps)
        else:
            found = sampled_spectrum(maps, vectors, iterations)
        return {f"jacobian_{name}": value for name, value in found.items()}

    options = {"examples": examples, "vectors": vectors, "iterations": iterations}
    return named(probe, "jacobian_spectrum", **options)


def _input_output(network: Network, params: Params, x: jax.Array) -> LinearMaps:
    """Each example's Jacobian as products with all examples' vectors at once."""
    checks.check_floating_params(params)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x must be floating for a Jacobian, got {x.dtype}: tokens have none")

    def outputs(x: jax.Array) -> jax.Array:
        return network.apply(params, x)

    logits, push = jax.linearize(outputs, x)
    _, pull = jax.vjp(outputs, x)
    count = x.shape[0]

    def forward(rows: jax.Array) -> jax.Array:
        return push(rows.reshape(x.shape)).reshape(count, -1)

    def backward(rows: jax.Array) -> jax.Array:
        return pull(rows.reshape(logits.shape))[0].reshape(count, -1)

    return LinearMaps(forward, backward, count, x.size // count, logits.size // count, x.dtype)
