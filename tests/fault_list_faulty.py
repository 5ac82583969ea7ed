"""Faulty starts that an audit once let pass, by name: (() -> (apply, params), parts of places)."""

import jax
import jax.numpy as jnp
import numpy as np
from fault_list_sound import he
from model_pieces import Draws, zeros

WIDTH = 16


def _ensemble(params, x):
    h = jax.nn.relu(jnp.einsum("bi,nih->bnh", x, params["w"]))
    return jnp.einsum("bnh,nh->bn", h, params["v"])


def _members_alike():
    draw = Draws(20)
    w, v = he(draw, 8, WIDTH), draw(WIDTH, 1)[:, 0]
    return {"w": np.stack([w] * 5), "v": np.stack([v] * 5)}


def _two_sides(params, x):
    both = jnp.concatenate([jnp.tanh(x @ params["left"]), jnp.tanh(x @ params["right"])], -1)
    return both @ params["head"]


def _left_of_zero():
    draw = Draws(21)
    head = draw(2 * WIDTH, 10)
    head[:WIDTH] = 0.1
    return {"left": zeros(8, WIDTH), "right": draw(8, WIDTH), "head": head}


def _masked_layers(params, x):
    mask, h = jnp.ones(3), x @ params["in"]
    for n, w in enumerate(params["layers"]):
        h = jnp.tanh(h @ w) * mask[n]
    return h @ params["out"]


def _copies_in_one_layer():
    draw = Draws(22)
    layers = [draw(WIDTH, WIDTH) for _ in range(3)]
    layers[1][:, 3] = layers[1][:, 5]
    layers[2][3] = layers[2][5]
    return {"in": draw(8, WIDTH), "layers": layers, "out": draw(WIDTH, 10)}


def dead_branch(units):
    def apply(params, x):
        h = x @ params["in"]
        h = h + jax.nn.relu(h @ params["up"] - 60) @ params["down"]
        return (h + params["alpha"] * jnp.tanh(h @ params["w"])) @ params["out"]

    draw = Draws(23)
    return apply, {
        "in": draw(8, WIDTH),
        "up": draw(WIDTH, units),
        "down": draw(units, WIDTH),
        "w": draw(WIDTH, WIDTH),
        "alpha": zeros(),
        "out": draw(WIDTH, 10),
    }


def _dead_member():
    def member(params, x):
        return jax.nn.relu(x @ params["a"] + params["b"]) @ params["c"]

    draw = Draws(24)
    params = {"a": draw(5, 8, WIDTH), "b": zeros(5, WIDTH), "c": draw(5, WIDTH, 1)}
    params["b"][2] = -60
    return lambda params, x: jax.vmap(member, (0, None))(params, x)[..., 0].T, params


def _narrow(params, x):
    return jnp.tanh(jnp.tanh(x @ params["a"]) @ params["b"]) @ params["c"]


def _narrow_params():
    draw = Draws(25)
    return {"a": draw(8, WIDTH), "b": 1000 * draw(WIDTH, 1), "c": draw(1, 10)}


def _dead_readout(params, x):
    return jax.nn.relu(jnp.tanh(x @ params["a"]) @ params["b"] - 30)


def _made_weights(params, x):
    for layer in params["layers"]:
        w = (params["z"] @ layer["make"]).reshape(8, 8)
        x = jax.nn.relu(x @ w)
    return x @ params["out"]


def _made_weights_params():
    draw = Draws(26)
    layers = [{"make": draw(8, 8 * 8, std=1.0)} for _ in range(8)]
    return {"z": draw(1, 8, std=1.0)[0], "layers": layers, "out": draw(8, 10)}


def _chaos(params, x):
    h = x @ params["in"]
    h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), h, params["layers"])
    return h @ params["out"]


def _chaos_params():
    draw = Draws(27)
    layers = np.stack([draw(32, 32, std=3 / 32**0.5) for _ in range(30)])
    return {"in": draw(8, 32), "layers": layers, "out": zeros(32, 10)}


def _carried(params, x):
    h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, params["layers"])
    return h @ params["out"]


def _carried_copies():
    """Of the scanned layers' hidden units two are one, in every layer."""
    draw = Draws(28)
    layers = [draw(8, 8) for _ in range(3)]
    for n, w in enumerate(layers):
        if n < 2:
            w[:, 3] = w[:, 5]
            layers[n + 1][3] = layers[n + 1][5]
    return {"layers": np.stack(layers), "out": draw(8, 10)}


def _query_heads(params, x):
    """Two query heads of one key head."""
    x = x.reshape(4, 4, 8)
    q = jnp.einsum("bti,ihd->bthd", x, params["q"])
    k, v = (jnp.einsum("bti,id->btd", x, params[name]) for name in "kv")
    p = jax.nn.softmax(jnp.einsum("bthd,bud->bhtu", q, k) / 2)
    return jnp.einsum("bhtu,bud,hdo->bto", p, v, params["o"])


def _query_heads_alike():
    draw = Draws(29)
    q, o = draw(8, 4, std=0.3), draw(4, 6)
    return {
        "q": np.stack([q, q], 1),
        "k": draw(8, 4),
        "v": draw(8, 4),
        "o": np.stack([o, o]),
    }


def _forgets(params, x):
    def step(s, _):
        return jax.nn.sigmoid(params["a"]) * s, None

    s, _ = jax.lax.scan(step, x @ params["in"], None, length=60)
    return s @ params["out"]


def _forgets_params():
    draw = Draws(30)
    return {"a": zeros(WIDTH), "in": draw(8, WIDTH), "out": draw(WIDTH, 10)}


def _sharp(params, x):
    x = x.reshape(2, 8, 8)
    q, k, v = (x @ params[name] for name in "qkv")
    return jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2)) @ v @ params["o"]


def _sharp_params():
    draw = Draws(31)
    big = {name: draw(8, WIDTH, std=1.5) for name in "qk"}
    return big | {"v": draw(8, WIDTH), "o": draw(WIDTH, 10)}


def _unbounded_stream(params, x):
    h = 0.02 * (x @ params["in"])
    for layer in params["blocks"]:
        seen = h * jax.lax.rsqrt(jnp.mean(h**2, -1, keepdims=True) + 1e-12)
        h = h + jax.nn.relu(seen @ layer["up"]) @ layer["down"]
    return h * jax.lax.rsqrt(jnp.mean(h**2, -1, keepdims=True) + 1e-12) @ params["out"]


def _unbounded_stream_params():
    draw = Draws(32)
    blocks = [{"up": 16 * draw(WIDTH, WIDTH), "down": 16 * draw(WIDTH, WIDTH)} for _ in range(2)]
    return {"in": draw(8, WIDTH), "blocks": blocks, "out": draw(WIDTH, 10)}


FAULTY = {
    "members of one draw": (lambda: (_ensemble, _members_alike()), {"w", "v", "member"}),
    "one of two groups of one name": (lambda: (_two_sides, _left_of_zero()), {"left", "head"}),
    "copies behind an indexed mask": (
        lambda: (_masked_layers, _copies_in_one_layer()),
        {"layers/1", "layers/2", "layers"},
    ),
    "a dead branch of eight units": (lambda: dead_branch(8), {"up"}),
    "a dead branch of one unit": (lambda: dead_branch(1), {"up"}),
    "a dead member": (_dead_member, {"a", "b"}),
    "a saturated layer of one unit": (lambda: (_narrow, _narrow_params()), {"b"}),
    "a dead readout": (
        lambda: (_dead_readout, {"a": Draws(33)(8, WIDTH), "b": Draws(34)(WIDTH, 1)}),
        {"b"},
    ),
    "weights that the net makes": (
        lambda: (_made_weights, _made_weights_params()),
        {"layers", "make"},
    ),
    "chaos before a readout of zeros": (lambda: (_chaos, _chaos_params()), {"layers"}),
    "copies in a carry that is input and output": (
        lambda: (_carried, _carried_copies()),
        {"layers"},
    ),
    "two query heads of one key head": (lambda: (_query_heads, _query_heads_alike()), {"q", "o"}),
    "a state that forgets all": (lambda: (_forgets, _forgets_params()), {"a", "in", "output"}),
    "logits of a hundred": (lambda: (_sharp, _sharp_params()), {"q", "k"}),
    "a stream that its branches drown": (
        lambda: (_unbounded_stream, _unbounded_stream_params()),
        {"blocks"},
    ),
}
