"""The deep networks that tests look at: each one's kind, settings, inputs and oracle."""

import functools

import jax
import jax.numpy as jnp
import network_oracles
import numpy as np

from initlab import networks

PHI = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": jax.nn.gelu}


def _residual_mlp(name, **settings):
    def make(**more):
        return networks.residual_mlp((3, 18, 2), 2, PHI[name], **settings, **more)

    return make, (5, 3), lambda params, x: network_oracles.residual_mlp(params, x, name)


def _convnet(name, shape, **settings):
    def make(**more):
        return networks.convnet(shape, 4, 2, 2, PHI[name], **settings, **more)

    fixed = {"circular": False, "flatten": False, "residual": False}
    fixed |= {key: value for key, value in settings.items() if key in fixed}
    oracle = functools.partial(network_oracles.convnet, name=name, shape=shape, **fixed)
    return make, (3, *shape), oracle


def _transformer(name, sizes, *, heads, tokens=True, **settings):
    def make(**more):
        return networks.transformer(
            sizes, 2, PHI[name], heads=heads, length=5, tokens=tokens, **settings, **more
        )

    fixed = {"post_norm": False, "last_only": False}
    fixed |= {key: value for key, value in settings.items() if key in fixed}
    oracle = functools.partial(network_oracles.transformer, name=name, heads=heads, **fixed)
    return make, (3, 4) if tokens else (3, 4, sizes[0]), oracle


# name: (factory of scanned and dtype, shape of x, oracle)
CASES = {
    "residual_mlp": _residual_mlp("tanh", gate=True, layer_norm=True),
    "residual_mlp, reduced": _residual_mlp("relu", branch_layers=1),
    "convnet": _convnet("relu", (4, 5, 2)),
    "convnet, normed": _convnet(
        "tanh", (6, 2), window=2, layer_norm=True, circular=True, flatten=True
    ),
    "convnet, residual": _convnet(
        "gelu", (4, 3, 1), residual=True, circular=True, layer_norm=True, gate=True
    ),
    "transformer": _transformer("gelu", (7, 8, 3), heads=2),
    "transformer, post-norm tied": _transformer(
        "relu", (7, 8, 7), heads=4, post_norm=True, tied=True
    ),
    "transformer, real-valued": _transformer(
        "tanh", (3, 8, 2), heads=1, tokens=False, layer_norm=False, gate=True, last_only=True
    ),
}


def draw_x(name, seed=0):
    """Inputs of a case: integers for tokens, else float64."""
    _, shape, _ = CASES[name]
    rng = np.random.default_rng(seed)
    if name.startswith("transformer") and len(shape) == 2:
        return rng.integers(0, 7, shape)
    return rng.standard_normal(shape)


def start(network, seed=0):
    """Params with every entry random, norms, gates and biases too, in NumPy: nothing compiles."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda spec: np.asarray(0.4 * rng.standard_normal(spec.shape)).astype(spec.dtype),
        network.specs,
    )


def unstack(params, depth):
    """A scanned network's params as the unrolled one's."""
    rest = {name: own for name, own in params.items() if name != "blocks"}
    blocks = {
        f"block_{n + 1}": jax.tree.map(lambda leaf, n=n: leaf[n], params["blocks"])
        for n in range(depth)
    }
    return rest | blocks
