"""Models with a second input that comes in later: masks, graphs, edges, conditions."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import Fault, plain
from model_pieces import WIDTH, Draws, dense, layer_norm, stacked

_RNG = np.random.default_rng(90)
BATCH = {
    "adjacency": _RNG.uniform(0, 0.4, (8, 5, 5)).astype(np.float32),
    "condition": _RNG.normal(size=(8, 6)).astype(np.float32),
    "edges": _RNG.normal(size=(8, 5, 5, 3)).astype(np.float32),
    "mask": (_RNG.uniform(size=(8, 5)) < 0.7).astype(np.float32),
    "senders": _RNG.integers(0, 5, (12,)).astype(np.int32),
    "tokens": _RNG.integers(0, 9, (8, 5)).astype(np.int32),
    "x": _RNG.normal(size=(8, 5, 4)).astype(np.float32),
}


def part(*names):
    return {name: BATCH[name] for name in names}


def scanned_graph(params, batch):
    def layer(h, w):
        return jax.nn.relu(batch["adjacency"] @ (h @ w)), None

    h, _ = jax.lax.scan(layer, batch["x"] @ params["in"], params["w"])
    return h.mean(1) @ params["out"]


def _scanned(**changes):
    draw = Draws(91)
    w = stacked([draw(WIDTH, WIDTH, std=0.5) for _ in range(4)])
    for number, factor in changes.items():
        w[int(number[1:])] *= np.float32(factor)
    return {"in": draw(4, WIDTH), "w": w, "out": draw(WIDTH, 3)}


def continuous_filters(params, batch):
    """Schütt et al. 2017 (1706.08566): what a neighbour says is multiplied by a net of the edge."""
    h = dense(params["in"], batch["x"])
    for layer in params["layers"]:
        weight = jnp.tanh(batch["edges"] @ layer["edge"]) @ layer["filter"]
        h = jnp.tanh(jnp.einsum("bnmf,bmf->bnf", weight, h) @ layer["w"])
    return dense(params["out"], h.sum(1))


def _filters(factor=1.0):
    draw = Draws(92)
    layers = [
        {"edge": draw(3, WIDTH), "filter": draw(WIDTH, WIDTH), "w": draw(WIDTH, WIDTH)}
        for _ in range(3)
    ]
    layers[1]["w"] = layers[1]["w"] * np.float32(factor)
    return {"in": draw.dense(4, WIDTH), "layers": layers, "out": draw.dense(WIDTH, 3)}


def modulated(params, batch):
    """Perez et al. 2018 (1709.07871): a condition scales and shifts each feature."""
    h = jax.nn.relu(dense(params["a"], batch["x"]))
    made = dense(params["make"], jax.nn.silu(dense(params["c"], batch["condition"])))
    scale, shift = jnp.split(made[:, None], 2, -1)
    h = jax.nn.relu(dense(params["b"], h * (1 + scale) + shift))
    return dense(params["out"], h.mean(1))


def _modulated(std=None):
    draw = Draws(93)
    return {
        "a": draw.dense(4, WIDTH, 0.7),
        "b": draw.dense(WIDTH, WIDTH, 0.35),
        "c": draw.dense(6, WIDTH),
        "make": draw.dense(WIDTH, 2 * WIDTH, std),
        "out": draw.dense(WIDTH, 3),
    }


def crossed(params, batch):
    """Two blocks of attention to another sequence, in residual branches."""
    other, h = jnp.tanh(batch["edges"][:, 0] @ params["other"]), batch["x"] @ params["in"]
    for layer in params["layers"]:
        seen = layer_norm(h, params["norm"])
        logits = (seen @ layer["q"]) @ jnp.swapaxes(other @ layer["k"], 1, 2)
        h = h + jax.nn.softmax(logits / WIDTH**0.5) @ (other @ layer["v"]) @ layer["o"]
    return layer_norm(h, params["norm"]) @ params["out"]


def _crossed():
    draw = Draws(94)
    return {
        "other": draw(3, WIDTH),
        "in": draw(4, WIDTH),
        "norm": draw.norm(),
        "layers": [{name: draw(WIDTH, WIDTH) for name in "qkvo"} for _ in range(2)],
        "out": draw(WIDTH, 3),
    }


SECOND_INPUT_SOUND = {
    "a condition that starts small": (
        plain(modulated, lambda: _modulated(3e-3), part("condition", "x")), None, (),
    ),
}  # fmt: skip

SECOND_INPUT_FAULTS = {
    "one graph layer of four, scanned": Fault(
        "vanishing_signal", "w[2]", "fail",
        plain(scanned_graph, lambda: _scanned(_2=1e-4), part("adjacency", "x")),
    ),
    "a layer between learned filters": Fault(
        "vanishing_gradient", "layers/1/w", "fail",
        plain(continuous_filters, lambda: _filters(1e-4), part("edges", "x")),
    ),
}  # fmt: skip
