"""Sound draws that look like faulty ones, and first steps of usual optimizers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from audit_models import (
    IMAGES,
    ROWS,
    WIDTH,
    cross_entropy,
    deep,
    deep_tanh,
    drawn,
    layers,
    lecun,
    normal,
    plain,
    tanh_net,
)
from draw_models import (
    HEAD,
    HEADS,
    LAYERS,
    MODEL,
    STREAM,
    Attention,
    Halves,
    Stacked,
    by_heads,
    experts,
    experts_of,
    glorot,
    heads_of,
    packed,
    packed_of,
    positions,
    separable,
    separable_of,
    tables_of,
    with_tables,
)
from faults_draws import ENDS, init_layers, of_logs, step, with_zeros
from foreign_models import equinox, linen


def _drawn(parts):
    init, apply, x = parts
    return apply, drawn(init), x


def _query(std):
    return normal(30, (MODEL, HEADS, HEAD), std)


def _sparse():
    params = layers(lecun)
    kept = np.random.default_rng(4).uniform(size=(WIDTH, WIDTH)) < 0.2
    params[1]["w"] = (params[1]["w"] * kept * 5**0.5).astype(np.float32)
    return params


def _clipped():
    params = layers(lecun)
    bound = 2 * lecun(WIDTH)
    params[1]["w"] = np.clip(params[1]["w"], -bound, bound)
    return params


def with_positions(params, x):
    h = x
    for name in ("first", "second"):
        h = h + params[name][None]
        h = h + jax.nn.relu(h @ params[f"{name}_up"]) @ params[f"{name}_down"]
    return h @ params["out"]


def _positions():
    table = positions(5, MODEL).astype(np.float32)
    sizes = {"up": (MODEL, 64), "down": (64, MODEL)}
    weights = {
        f"{name}_{end}": normal(10 * n + size[0], size, lecun(size[0]))
        for n, name in enumerate(("first", "second"))
        for end, size in sizes.items()
    }
    return {"first": table, "second": table, "out": normal(1, (MODEL, 10), 0.1)} | weights


DRAW_SOUND = {
    "heads": (plain(by_heads, heads_of(lecun(MODEL)), STREAM), None, ()),
    "heads, Glorot": (
        plain(by_heads, heads_of(glorot(MODEL, HEAD), own=glorot), STREAM),
        None,
        (),
    ),
    # 1 / sqrt(model * head), the attention's temperature folded in (T5).
    "heads, a query with its temperature": (
        plain(by_heads, heads_of(lecun(MODEL), q=_query(lecun(MODEL * HEAD))), STREAM),
        None,
        (),
    ),
    "heads, one std for all weights": (
        plain(by_heads, heads_of(0.1, own=lambda *fans: 0.1), STREAM),
        None,
        (),
    ),
    "a packed qkv drawn part by part": (
        plain(packed, packed_of(glorot(MODEL, MODEL)), STREAM),
        None,
        (),
    ),
    "a packed qkv by fan_in": (
        plain(packed, packed_of(lecun(MODEL), own=lambda i, o: lecun(i)), STREAM),
        None,
        (),
    ),
    "flax: attention": (lambda: _drawn(linen(Attention(own=True), STREAM)), None, ()),
    "experts drawn one by one": (plain(experts, experts_of(1)), None, ()),
    "scanned layers drawn one by one": (
        plain(deep_tanh, lambda: deep(lecun(WIDTH), depth=LAYERS)),
        None,
        (),
    ),
    "equinox: scanned layers": (lambda: _drawn(equinox(Stacked, ROWS)), None, ()),
    "a depthwise kernel by its window": (plain(separable, separable_of(9), IMAGES), None, ()),
    "flax: bfloat16, rounded": (lambda: _drawn(linen(Halves(rounded=True), ROWS)), None, ()),
    "four weights of five at zero": (plain(tanh_net, _sparse), cross_entropy, ()),
    "weights clipped at two standard deviations": (
        plain(tanh_net, _clipped),
        cross_entropy,
        (),
    ),
    "tables of rates and HiPPO's, the same in two layers": (
        plain(with_tables, tables_of()),
        cross_entropy,
        (),
    ),
    "zeros whose logarithm is not taken": (
        plain(
            lambda p, x: of_logs({**p, "a": jnp.where(p["a"] > 0, p["a"], 1)}, x),
            ENDS | {"a": with_zeros((WIDTH,), 3)},
        ),
        None,
        (),
    ),
    "positions, the same in two layers": (plain(with_positions, _positions, STREAM), None, ()),
    "an init that draws": (
        lambda: (tanh_net, None, ROWS, {"init": init_layers}),
        cross_entropy,
        (),
    ),
    "an init of zeros": (
        lambda: (lambda p, x: x @ p, None, ROWS, {"init": lambda key: jnp.zeros((8, 10))}),
        cross_entropy,
        (),
    ),
    "a random table that is not trained": (
        lambda: (
            lambda p, x: jnp.tanh(x @ jax.lax.stop_gradient(p["features"])) @ p["out"],
            None,
            ROWS,
            {
                "init": lambda key: {
                    "features": normal(0, (8, WIDTH), 0.3),
                    "out": jax.random.normal(key, (WIDTH, 10)) * lecun(WIDTH),
                }
            },
        ),
        cross_entropy,
        (),
    ),
    **{
        f"the first step of {name}": (step(optimizer), cross_entropy, ())
        for name, optimizer in {
            "sgd": optax.sgd(0.1),
            "Adam": optax.adam(1e-3),
            "AdamW, clipped": optax.chain(
                optax.clip_by_global_norm(1.0), optax.adamw(3e-4, weight_decay=0.1)
            ),
            "a warm-up from 0": optax.adam(optax.linear_schedule(0.0, 1e-3, 100)),
            "LAMB": optax.lamb(1e-3),
            "Lion": optax.lion(1e-4),
            "AdaGrad": optax.adagrad(0.1),
            "Adafactor": optax.adafactor(1e-3),
        }.items()
    },
}
