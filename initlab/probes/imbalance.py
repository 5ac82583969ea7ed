"""Conserved quantities of homogeneous layers: what comes into a unit against what leaves it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.probes.plain_layers import incoming, outgoing, plain_layers
from initlab.types import Activation, Batch, Network, Params

__all__ = ["imbalance"]


@checks.checked
def imbalance(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`Q_i = |w_i|^2 + b_i^2 - |v_i|^2` of each unit: incoming weights w, bias b, outgoing v.

    Where the activation is homogeneous, phi(c z) = c phi(z) for c > 0 as relu's and the identity's,
    the factor that w and b lose is v's to gain: gradient flow keeps every Q_i, and gradient descent
    changes it by O(learning rate) (Du, Hu and Lee 2018, arXiv:1806.00900; Kunin et al. 2021,
    arXiv:2012.04728). Momentum, decay and minibatches change it too.

    Args:
      network: an mlp or a plain convnet, with homogeneous hidden activations.
      params: its params of the moment.
      batch: its `start` is what the change is measured from.

    Returns:
      `imbalance` [layers], `sum_i Q_i` over the layer's units, and `imbalance_drift` [layers], the
      largest `|Q_i - Q_i(start)|`; both 0 for the output, which no layer follows.

    Raises:
      TypeError: if the network is no chain of layers, or a hidden activation not homogeneous.

    >>> from initlab import networks
    >>> network = networks.mlp((1, 2, 1), jax.nn.relu)
    >>> params = {"layer_1": {"weight": jnp.array([[2.0, 1.0]]), "bias": jnp.array([0.0, 1.0])},
    ...           "layer_2": {"weight": jnp.array([[1.0], [3.0]]), "bias": jnp.zeros(1)}}
    >>> batch = Batch(None, None, None, None, None, params)
    >>> imbalance(network, params, batch)["imbalance"].tolist()
    [-4.0, 0.0]
    """
    now = _by_unit(network, params)
    *hidden, _ = network.activations.values()
    for activation in set(hidden):
        _check_homogeneous(activation)
    start = _by_unit(network, batch.start)
    drifts = [jnp.max(jnp.abs(one - other)) for one, other in zip(now, start, strict=True)]
    zero = jnp.zeros((), now[0].dtype) if now else jnp.zeros(())
    return {
        "imbalance": jnp.stack([*map(jnp.sum, now), zero]),
        "imbalance_drift": jnp.stack([*drifts, zero]),
    }


def _by_unit(network: Network, params: Params) -> list[jax.Array]:
    """Q of each unit of each hidden layer."""
    layers = list(plain_layers(network, params, "imbalance").values())
    found = []
    for layer, following in itertools.pairwise(layers):
        into = jnp.sum(jnp.square(incoming(layer)), axis=1)
        out = jnp.sum(jnp.square(outgoing(following, into.shape[0])), axis=1)
        found.append(into - out)
    return found


def _check_homogeneous(activation: Activation) -> None:
    with jax.ensure_compile_time_eval():
        z = jnp.linspace(-9.87, 9.76, 257)
        # Compiled: a function with a rule of its own for derivatives, as relu, would be traced.
        values = jax.jit(activation)
        once = np.asarray(values(z))
        is_homogeneous = all(
            np.allclose(np.asarray(values(c * z)), c * once, rtol=1e-5) for c in (0.25, 3.0)
        )
    if not is_homogeneous:
        called = getattr(activation, "__name__", None) or repr(activation)
        raise TypeError(
            "network must have hidden activations with phi(c z) = c phi(z) for c > 0, as relu, for "
            f"imbalance; got {called}, under which nothing is conserved"
        )
