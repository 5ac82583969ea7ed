"""Faults of how parameters are drawn, and of an optimizer's first step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from audit_models import (
    CLASSES,
    IMAGES,
    ROWS,
    WIDTH,
    Fault,
    cross_entropy,
    deep,
    deep_tanh,
    drawn,
    he,
    layers,
    lecun,
    normal,
    plain,
    relu_net,
    tanh_net,
)
from draw_models import (
    EXPERTS,
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
    packed_reshaped,
    separable,
    separable_of,
)
from foreign_models import equinox, linen


def _drawn(parts):
    init, apply, x = parts
    return apply, drawn(init), x


def _one(number, change):
    params = layers(lecun)
    params[number]["w"] = change(params[number]["w"])
    return params


def _stuck(w):
    """As torch's truncated normal in bfloat16 was: 30 % at minus two standard deviations."""
    at_bound = np.random.default_rng(7).uniform(size=w.shape) < 0.3
    bound = np.float32(-2 * lecun(WIDTH))
    return np.where(at_bound, bound, np.maximum(w, bound)).astype(np.float32)


def _in_bfloat16(w):
    coarse = jax.random.normal(jax.random.key(3), w.shape, jnp.bfloat16)
    return np.asarray(coarse, np.float32) * np.float32(lecun(w.shape[0]))


def _rates(dtype):
    uniform = jax.random.uniform(jax.random.key(1), (WIDTH, WIDTH), dtype)
    return np.asarray(jnp.log(uniform.astype(jnp.float32)))


def decays(params, x):
    h = jnp.tanh(x @ params["in"])
    return (h @ jnp.exp(params["rates"]) / WIDTH) @ params["out"]


def of_logs(params, x):
    """A decay whose logarithm the model takes itself."""
    h = jnp.tanh(x @ params["in"])
    return (h * jax.nn.sigmoid(jnp.log(params["a"]))[None]) @ params["out"]


def scanned_roots(params, x):
    """Layers that divide by a root of a parameter of their own."""

    def layer(h, each):
        return jnp.tanh(h @ each["w"] * jax.lax.rsqrt(each["v"])[None]), None

    return jax.lax.scan(layer, x @ params["in"], params["layers"])[0] @ params["out"]


def with_zeros(shape, zeros):
    values = np.random.default_rng(8).uniform(0.5, 1.5, shape).astype(np.float32)
    values.ravel()[:zeros] = 0
    return values


ENDS = {"in": normal(0, (8, WIDTH), lecun(8)), "out": normal(1, (WIDTH, CLASSES), lecun(WIDTH))}


def _one_key_two_laws():
    params, key = layers(lecun), jax.random.key(9)
    schemes = jax.nn.initializers.lecun_normal(), jax.nn.initializers.lecun_uniform()
    for number, scheme in enumerate(schemes, start=1):
        params[number]["w"] = np.asarray(scheme(key, (WIDTH, WIDTH)))
    return params


def init_layers(key, fixed=(), biased=False):
    """Layers drawn from a key; those in `fixed` from a key of their own."""
    params = layers(lecun)
    for number, each in enumerate(params):
        own = jax.random.fold_in(jax.random.key(0) if number in fixed else key, number)
        each["w"] = jax.random.normal(own, each["w"].shape) * lecun(each["w"].shape[0])
        if biased:
            each["b"] = 0.1 * jax.random.normal(key, each["b"].shape)
    return params


def ignoring(init):
    return lambda: (tanh_net, None, ROWS, {"init": init})


def small_biases(params, x):
    h = jnp.tanh(x @ params["w"]) + params["one"].sum() * jnp.ones(())
    return h @ params["out"] + params["two"][None]


def init_small(key):
    """Two parameters of four entries, too few to be compared in one start, from one key."""
    keys = jax.random.split(key, 3)
    return {
        "w": jax.random.normal(keys[0], (8, WIDTH)) * lecun(8),
        "one": 0.1 * jax.random.normal(keys[1], (4,)),
        "two": 0.2 * jax.random.normal(keys[1], (4,)),
        "out": jax.random.normal(keys[2], (WIDTH, 4)) * lecun(WIDTH),
    }


def step(optimizer, apply=tanh_net, std=lecun, sizes=(8, WIDTH, WIDTH, WIDTH, CLASSES)):
    """A row of the first step of an optimizer."""
    return lambda: (apply, layers(std, sizes), ROWS, {"optimizer": optimizer})


def _halves():
    return jax.tree.map(lambda w: jnp.asarray(w, jnp.bfloat16), layers(lecun))


def tiny(logits):
    return 1e-6 * cross_entropy(logits)


WIDE = (8, 512, 512, CLASSES)

DRAW_FAULTS = {
    "heads taken for a window": Fault(
        "fan_mismatch", "q", "warn", plain(by_heads, heads_of(lecun(MODEL * HEADS)), STREAM)
    ),
    "a query alone": Fault(
        "fan_mismatch",
        "q",
        "warn",
        plain(
            by_heads,
            heads_of(lecun(MODEL), q=normal(30, (MODEL, HEADS, 8), lecun(MODEL * HEADS))),
            STREAM,
        ),
    ),
    "heads taken for a window, Glorot": Fault(
        "fan_mismatch",
        "v",
        "warn",
        plain(by_heads, heads_of(glorot(MODEL * HEADS, MODEL * 8), own=glorot), STREAM),
    ),
    "heads taken for a window in flax": Fault(
        "fan_mismatch", "k", "warn", lambda: _drawn(linen(Attention(), STREAM))
    ),
    "a packed qkv drawn as one matrix": Fault(
        "fan_mismatch", "qkv", "warn", plain(packed, packed_of(glorot(MODEL, 3 * MODEL)), STREAM)
    ),
    "a packed qkv drawn as one matrix, reshaped": Fault(
        "fan_mismatch",
        "qkv",
        "warn",
        plain(packed_reshaped, packed_of(glorot(MODEL, 3 * MODEL)), STREAM),
    ),
    "experts drawn as one tensor": Fault(
        "fan_mismatch", "up", "warn", plain(experts, experts_of(EXPERTS))
    ),
    "scanned layers drawn as one tensor": Fault(
        "fan_mismatch",
        "blocks/w",
        "warn",
        plain(deep_tanh, lambda: deep(lecun(WIDTH * LAYERS), depth=LAYERS)),
    ),
    "scanned layers drawn as one tensor in equinox": Fault(
        "fan_mismatch",
        "layers/weight",
        "warn",
        lambda: _drawn(equinox(lambda key: Stacked(key, as_one=True), ROWS)),
    ),
    "a depthwise kernel by all channels": Fault(
        "fan_mismatch", "depthwise", "warn", plain(separable, separable_of(9 * 16), IMAGES)
    ),
    "a draw in bfloat16": Fault(
        "coarse_draw", "1/w", "warn", plain(tanh_net, lambda: _one(1, _in_bfloat16))
    ),
    "a draw in bfloat16 in flax": Fault(
        "coarse_draw", "Dense_1", "warn", lambda: _drawn(linen(Halves(rounded=False), ROWS))
    ),
    "a draw stuck at its bound": Fault(
        "coarse_draw", "1/w", "warn", plain(tanh_net, _one(1, _stuck))
    ),
    "the logarithm of a draw that is 0": Fault(
        "coarse_draw",
        "rates",
        "fail",
        plain(
            decays,
            lambda: {
                "in": normal(0, (8, WIDTH), lecun(8)),
                "rates": _rates(jnp.bfloat16),
                "out": normal(1, (WIDTH, CLASSES), lecun(WIDTH)),
            },
        ),
    ),
    "a 0 of which the model takes the logarithm": Fault(
        "coarse_draw", "a", "fail", plain(of_logs, ENDS | {"a": with_zeros((WIDTH,), 1)})
    ),
    "two zeros by whose roots scanned layers divide": Fault(
        "coarse_draw",
        "layers/v",
        "fail",
        plain(
            scanned_roots,
            ENDS
            | {
                "layers": {
                    "w": normal(2, (3, WIDTH, WIDTH), lecun(WIDTH)),
                    "v": with_zeros((3, WIDTH), 2),
                }
            },
        ),
    ),
    "one key, two distributions": Fault(
        "duplicate_tensors", "1/w, 2/w", "warn", plain(tanh_net, _one_key_two_laws)
    ),
    "an init that ignores its key": Fault(
        "ignores_key", "init", "warn", ignoring(lambda key: layers(lecun))
    ),
    "one layer from a key of its own": Fault(
        "ignores_key", "2/w", "warn", ignoring(lambda key: init_layers(key, fixed=(2,)))
    ),
    "two small parameters from one key": Fault(
        "ignores_key", "one, two", "warn", lambda: (small_biases, None, ROWS, {"init": init_small})
    ),
    "a learning rate of 3,000": Fault(
        "first_update", "optimizer", "fail", step(optax.sgd(3e3), relu_net, he), cross_entropy
    ),
    "Adam with a rate of 1": Fault(
        "first_update", "optimizer", "warn", step(optax.adam(1.0)), cross_entropy
    ),
    "Adam's rate of a narrow net in a wide one": Fault(
        "first_update", "optimizer", "warn", step(optax.adam(0.03), sizes=WIDE), cross_entropy
    ),
    "an update that goes uphill": Fault(
        "first_update", "optimizer", "fail", step(optax.scale(0.1)), cross_entropy
    ),
    "gradients under epsilon": Fault(
        "first_update", "1/w", "warn", step(optax.adam(1e-3, eps=1e-6)), tiny
    ),
    "gradients under epsilon, clipped": Fault(
        "first_update",
        "1/w",
        "warn",
        step(optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3, eps=1e-6))),
        tiny,
    ),
    "weight decay of 30": Fault(
        "first_update", "1/w", "warn", step(optax.adamw(1e-3, weight_decay=30.0)), cross_entropy
    ),
    "updates that bfloat16 rounds off": Fault(
        "first_update",
        "1/w",
        "warn",
        lambda: (
            tanh_net,
            _halves(),
            jnp.asarray(ROWS, jnp.bfloat16),
            {"optimizer": optax.sgd(1e-4)},
        ),
        cross_entropy,
    ),
}
