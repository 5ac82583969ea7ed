"""The deep networks that tests look at: each one's kind, settings, inputs and oracle."""

import functools

import jax
import jax.numpy as jnp
import network_oracles
import numpy as np

from initlab import networks

PHI = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": jax.nn.gelu, "silu": jax.nn.silu}


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

    oracle = functools.partial(network_oracles.transformer, name=name, heads=heads, **settings)
    return make, (3, 4) if tokens else (3, 4, sizes[0]), oracle


def _recurrent(cell, sizes, **settings):
    def make(**more):
        return networks.recurrent(sizes, 2, length=5, cell=cell, **settings, **more)

    oracle = functools.partial(network_oracles.recurrent, cell=cell)
    return make, (3, 4) if settings.get("tokens") else (3, 4, sizes[0]), oracle


def _state_space(name, sizes, *, last_only):
    def make(**more):
        return networks.state_space(
            sizes, 2, PHI[name], length=5, states=3, last_only=last_only, **more
        )

    oracle = functools.partial(network_oracles.state_space, name=name, last_only=last_only)
    return make, (3, 4, sizes[0]), oracle


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
        "relu", (7, 8, 7), heads=4, norm_at="post", tied=True
    ),
    "transformer, real-valued": _transformer(
        "tanh", (3, 8, 2), heads=1, tokens=False, norm=None, gates="scalar", last_only=True
    ),
    "transformer, Llama and caps": _transformer(
        "silu",
        (7, 8, 7),
        heads=4,
        kv_heads=2,
        positions="rotary",
        norm="rms",
        qk_norm="rms",
        softcap=0.7,
        mlp="gated",
        hidden=5,
        bias=False,
        gates="channel",
        branch_scale=0.6,
        tied=True,
        readout_scale=0.5,
    ),
    "transformer, sandwich": _transformer(
        "gelu",
        (7, 6, 3),
        heads=2,
        kv_heads=1,
        positions="sinusoidal",
        norm_at="both",
        qk_norm="layer",
        attention_scale="1/d",
        mlp="gated",
        readout_softcap=1.5,
    ),
    "recurrent, LSTM": _recurrent("lstm", (7, 6, 3), tokens=True),
    "recurrent, GRU": _recurrent("gru", (2, 6, 3)),
    "state_space": _state_space("silu", (2, 6, 3), last_only=True),
}


def draw_x(name, seed=0):
    """Inputs of a case: integers for tokens, else float64."""
    _, shape, _ = CASES[name]
    rng = np.random.default_rng(seed)
    if name.startswith(("transformer", "recurrent")) and len(shape) == 2:
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
