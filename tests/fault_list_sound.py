"""Sound starts that an audit once called faulty, by name: () -> (apply, params) or with a batch."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import ROWS
from model_pieces import Draws, full, ones, zeros

import initlab

WIDTH = 16


def he(draw, *shape):
    return draw(*shape, std=(2 / shape[-2]) ** 0.5)


def _gate_behind_zero(params, x):
    return (x @ params["w"] + (x @ params["e"]) @ params["gate"]) @ params["out"]


def gates(function, value=0.0):
    """Branches that a function of a gate opens, which is zero at the gate's value."""

    def apply(params, x):
        h = x @ params["in"]
        for layer in params["blocks"]:
            h = h + function(layer["gate"]) * (jnp.tanh(h @ layer["up"]) @ layer["down"])
        return h @ params["out"]

    draw = Draws(1)
    blocks = [
        {"gate": full(value), "up": draw(WIDTH, WIDTH), "down": draw(WIDTH, WIDTH)}
        for _ in range(2)
    ]
    return apply, {"in": draw(8, WIDTH), "blocks": blocks, "out": draw(WIDTH, 10)}


def _rescaled(scale, shift):
    def apply(params, x):
        h = (x - shift) / scale
        return jnp.tanh(jnp.tanh(h @ params["a"]) @ params["b"]) @ params["c"]

    draw = Draws(2)
    params = {"a": draw(8, WIDTH), "b": draw(WIDTH, WIDTH), "c": draw(WIDTH, 10)}
    return apply, params, (ROWS * scale + shift).astype(np.float32)


def _two_towers(first, second):
    def apply(params, x):
        made = {}
        for name in (first, second):
            h = x
            for w in params[name][:-1]:
                h = jnp.tanh(h @ w)
            made[name] = h @ params[name][-1]
        return made["policy"], made["value"]

    draw = Draws(3)
    policy = [draw(8, WIDTH), draw(WIDTH, WIDTH), draw(WIDTH, 2, std=0.01 / 4)]
    value = [draw(8, WIDTH), draw(WIDTH, WIDTH), draw(WIDTH, WIDTH), draw(WIDTH, 1)]
    return apply, {"policy": policy, "value": value}


def _tables():
    """Two layers that start with the same table by design."""

    def net(params, x):
        for layer in params["layers"]:
            t = jnp.arange(8.0)[:, None]
            decay = jnp.exp(-jnp.exp(layer["a"]) * t / 64)
            x = x @ layer["w"] + (x @ decay) @ layer["c"]
        return x

    draw = Draws(4)
    table = np.log(np.arange(1, 17, dtype=np.float32))
    layers = [{"a": table, "w": draw(8, 8), "c": draw(16, 8)} for _ in range(2)]
    return net, {"layers": layers}


def _small_readout():
    def apply(params, x):
        return jax.nn.relu(jax.nn.relu(x @ params["a"]) @ params["b"]) @ params["c"]

    draw = Draws(5)
    params = {"a": he(draw, 8, 32), "b": he(draw, 32, 32), "c": draw.uniform(32, 10, bound=3e-4)}
    return apply, params


def _scaled_features(contraction):
    def apply(params, x):
        h = jnp.tanh(x @ params["a"])
        pair = (params["s"], h) if contraction.startswith("d") else (h, params["s"])
        h = jnp.einsum(contraction, *pair)
        return jnp.tanh(h @ params["b"]) @ params["c"]

    draw = Draws(6)
    return apply, {
        "a": draw(8, WIDTH),
        "s": ones(WIDTH),
        "b": draw(WIDTH, WIDTH),
        "c": draw(WIDTH, 10),
    }


def _frozen(params, x):
    base = jax.lax.stop_gradient(params["base"])
    h = jnp.tanh(x @ (base["a"] + params["a1"] @ params["a2"]))
    return h @ base["b"] + jnp.tanh(h @ params["extra"]) @ params["head"]


def _frozen_params():
    draw = Draws(7)
    base = {"a": draw(8, WIDTH), "b": draw(WIDTH, 10)}
    pair = {"a1": draw(8, 2), "a2": zeros(2, WIDTH)}
    return pair | {"base": base, "extra": draw(WIDTH, WIDTH), "head": draw(WIDTH, 10)}


def _three_zeros():
    draw = Draws(8)
    params = {"w": draw(8, WIDTH), "e": draw(8, 4), "gate": zeros(4, WIDTH)}
    return _gate_behind_zero, params | {"out": zeros(WIDTH, 10)}


def _fixup():
    made = initlab.networks.residual_mlp((8, WIDTH, 10), 4, jax.nn.relu)
    scheme = initlab.initializers.fixup(4)
    return made.apply, initlab.initialize(jax.random.key(0), made.specs, scheme)


PASSING = {
    "zeros behind zeros": _three_zeros,
    "tanh of a gate": lambda: gates(jnp.tanh),
    "sine of a gate": lambda: gates(jnp.sin),
    "a gate minus its start": lambda: gates(lambda g: jnp.exp(g) - 1.0),
    "a product of a gate with itself plus one": lambda: gates(lambda g: g * (g + 1)),
    "far inputs": lambda: _rescaled(2.9e3, 5e3),
    "bytes": lambda: _rescaled(255.0, 0.0),
    "tiny inputs": lambda: _rescaled(1e-4, 0.0),
    "policy, then value": lambda: _two_towers("policy", "value"),
    "value, then policy": lambda: _two_towers("value", "policy"),
    "tables of logarithms": _tables,
    "a readout of 3e-4": _small_readout,
    "scales by einsum": lambda: _scaled_features("bd,d->bd"),
    "the lab's fixup": _fixup,
    "frozen parts": lambda: (_frozen, _frozen_params()),
    "scales by einsum, exchanged": lambda: _scaled_features("d,bd->bd"),
}
