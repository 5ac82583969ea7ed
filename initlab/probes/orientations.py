"""Condensation: into how many orientations the incoming weights of a layer have gathered."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.probes.examples import named
from initlab.probes.plain_layers import effective, incoming, plain_layers
from initlab.symmetry import count_classes, parallel_classes
from initlab.types import Batch, Network, Params, Probe

__all__ = ["orientations"]


@checks.checked
def orientations(
    *, cosine: float = 0.95, up_to_sign: bool = False, least_norm: float = 0.0
) -> Probe:
    """A probe of how many clusters the units' incoming parameters (w, b) form by direction.

    Units are taken in their order, and each joins the first cluster whose first unit lies within
    the angle; otherwise it begins one. From a small start the weights of a layer condense: 1 to a
    few orientations, whatever the width (Luo et al. 2021, arXiv:2007.07497; Zhou et al. 2022,
    arXiv:2105.11686).

    Args:
      cosine: of two units, from which on they have one orientation.
      up_to_sign: whether opposite directions are one, as for an odd activation they are.
      least_norm: units count whose size is at least this share of the layer's largest; a unit of
        zeros never does.

    Returns:
      A probe that gives `orientations`, int32 [layers]; of an mlp or a plain convnet.

    Raises:
      ValueError: if cosine is not in (0, 1], or least_norm not in [0, 1].

    >>> from initlab import networks
    >>> network = networks.mlp((2, 3), jnp.tanh)
    >>> weight = jnp.array([[1.0, 2.0, -3.0], [1.0, 2.1, -3.0]])
    >>> params = {"layer_1": {"weight": weight, "bias": jnp.zeros(3)}}
    >>> batch = Batch(None, None, None, None, None, params)
    >>> [orientations(up_to_sign=sign)(network, params, batch)["orientations"].tolist()
    ...  for sign in (False, True)]
    [[2], [1]]
    """
    # What is out of range is refused where the probe is made, not where the sweep is traced.
    options = {"cosine": cosine, "up_to_sign": up_to_sign, "least_norm": least_norm}
    parallel_classes(jnp.ones((1, 1)), **options)

    @checks.checked
    def probe(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        del batch
        layers = plain_layers(network, effective(network, params), "orientations").values()
        counts = [count_classes(parallel_classes(incoming(layer), **options)) for layer in layers]
        return {"orientations": jnp.stack(counts)}

    return named(probe, "orientations", **options)
