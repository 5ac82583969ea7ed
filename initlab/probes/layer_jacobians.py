"""The Jacobian of each layer by itself: from the activations below to its own."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import slope
from initlab.probes.examples import named, spaced_examples
from initlab.probes.plain_layers import effective, plain_layers
from initlab.probes.spectrum import LinearMaps, exact_spectrum, sampled_spectrum
from initlab.types import Batch, Network, Params, Probe

__all__ = ["layer_jacobians"]

HIGHEST = jax.lax.Precision.HIGHEST


@checks.checked
def layer_jacobians(
    *, examples: int = 16, vectors: int | None = None, iterations: int = 16
) -> Probe:
    """A probe of the singular values of `d a_l / d a_(l-1) = diag(phi'(z_l)) W_l^T`, by layer.

    Glorot and Bengio 2010, who compared starts by its mean singular value.

    Args:
      examples: at how many training inputs, evenly spaced over the data.
      vectors: None for all singular values exactly; for wide layers how many random vectors
        estimate the moments, as of `jacobian_spectrum`.
      iterations: Lanczos steps for the largest one, where vectors are given.

    Returns:
      A probe that gives `layer_jacobian_mean_square`, `..._spread` and `..._largest`, and where
      they are exact `..._mean` and `..._smallest`, each [layers], as `jacobian_spectrum` has them;
      of an mlp.

    Raises:
      ValueError: if a count is under 1.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((2, 2), jnp.tanh)
    >>> params = {"layer_1": {"weight": jnp.diag(jnp.array([3.0, 4.0])), "bias": jnp.zeros(2)}}
    >>> batch = Batch(jnp.eye(2), jnp.zeros(2, int), None, None, objectives.softmax, params)
    >>> found = layer_jacobians()(network, params, batch)
    >>> found["layer_jacobian_mean"].round(4).tolist()
    [3.5]
    """
    for name, count in (("examples", examples), ("iterations", iterations)):
        checks.check_count(name, count, 1)
    if vectors is not None:
        checks.check_count("vectors", vectors, 1)

    @checks.checked
    def probe(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        layers = plain_layers(network, effective(network, params), "layer_jacobians")
        states = network.layers(params, spaced_examples(batch, examples))
        found: dict[str, list[jax.Array]] = {}
        for name, layer in layers.items():
            if layer.weight.ndim != 2 or states[name].z.ndim != 2:
                raise TypeError(
                    "network must be an mlp for layer_jacobians, got a layer "
                    f"{name!r} whose weight has shape {layer.weight.shape}"
                )
            maps = _dense(layer.weight, slope(network.activations[name], states[name].z))
            if vectors is None:
                values = exact_spectrum(maps)
            else:
                values = sampled_spectrum(maps, vectors, iterations)
            for key, value in values.items():
                found.setdefault(f"layer_jacobian_{key}", []).append(value)
        return {key: jnp.stack(values) for key, values in found.items()}

    options = {"examples": examples, "vectors": vectors, "iterations": iterations}
    return named(probe, "layer_jacobians", **options)


def _dense(weight: jax.Array, slopes: jax.Array) -> LinearMaps:
    weight = jnp.asarray(weight)

    def forward(rows: jax.Array) -> jax.Array:
        return slopes * jnp.matmul(rows, weight, precision=HIGHEST)

    def backward(rows: jax.Array) -> jax.Array:
        return jnp.matmul(slopes * rows, weight.T, precision=HIGHEST)

    inputs, outputs = weight.shape
    return LinearMaps(forward, backward, slopes.shape[0], inputs, outputs, weight.dtype)
