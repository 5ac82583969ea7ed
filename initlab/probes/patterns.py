"""Activation patterns: in how many linear regions of the network the examples lie."""

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import slope
from initlab.symmetry import count_classes, row_classes
from initlab.types import Activation, Batch, Network, Params

__all__ = ["activation_patterns"]


@checks.checked
def activation_patterns(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """How many of the network's linear regions hold an example: distinct rows of slopes.

    An activation of straight pieces, as relu, leaky relu or hard tanh, makes the network linear
    wherever all units stay on their pieces (Montufar et al. 2014, arXiv:1402.1869; counted on data
    by Hanin and Rolnick 2019, arXiv:1906.00904).

    Args:
      network: with layers that it shows, and activations of straight pieces.
      params: its params of the moment.
      batch: the run's data; all training inputs are used.

    Returns:
      `activation_patterns`, int32 [layers]: patterns of all units up to and with each layer; 1
      where every example meets the same linear map.

    Raises:
      TypeError: if the network does not show its layers, or an activation is curved.

    >>> from initlab import networks, objectives
    >>> network = networks.mlp((1, 2, 1), jax.nn.relu)
    >>> first = {"weight": jnp.ones((1, 2)), "bias": jnp.array([0.0, -1.0])}
    >>> params = {"layer_1": first, "layer_2": {"weight": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
    >>> x = jnp.array([[-2.0], [-1.0], [0.5], [3.0]])
    >>> batch = Batch(x, x[:, 0], None, None, objectives.regression, params)
    >>> activation_patterns(network, params, batch)["activation_patterns"].tolist()
    [3, 3]
    """
    if not network.activations:
        raise TypeError("network must show its layers for activation_patterns; got an adopted one")
    for activation in set(network.activations.values()):
        _check_straight(activation)
    states = network.layers(params, batch.x)
    examples = batch.x.shape[0]
    rows, counts = [], []
    for name, activation in network.activations.items():
        rows.append(slope(activation, states[name].z).reshape(examples, -1))
        counts.append(count_classes(row_classes(jnp.concatenate(rows, axis=1))))
    return {"activation_patterns": jnp.stack(counts)}


def _check_straight(activation: Activation) -> None:
    """Raises TypeError unless an activation's slope changes at kinks alone."""
    with jax.ensure_compile_time_eval():
        # No round numbers: what lies on a kink has the slope of neither side.
        z = jnp.linspace(-9.87, 9.76, 257)
        bend = jax.jvp(lambda z: slope(activation, z), (z,), (jnp.ones_like(z),))[1]
        is_straight = bool(jnp.all(bend == 0))
    if not is_straight:
        called = getattr(activation, "__name__", None) or repr(activation)
        raise TypeError(
            "network must have activations of straight pieces, as relu, for activation_patterns; "
            f"got {called}, under which every example has a linear map of its own"
        )
