"""Small models whose weights have axes besides inputs and units, for faults of their draws."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import CLASSES, he, lecun, normal

MODEL, HEADS, HEAD, EXPERTS, LAYERS = 32, 4, 8, 6, 6
STREAM = np.random.default_rng(5).normal(size=(8, 5, MODEL)).astype(np.float32)


def _attend(params, x, q, k, v):
    mixed = jax.nn.softmax(jnp.einsum("bthe,bshe->bhts", q, k) / HEAD**0.5)
    x = x + jnp.einsum("bhts,bshe,hed->btd", mixed, v, params["o"].reshape(HEADS, HEAD, MODEL))
    x = x + jax.nn.relu(x @ params["up"]) @ params["down"]
    return x @ params["out"]


def by_heads(params, x):
    """Attention whose q, k, v are [model, heads, head]."""
    return _attend(params, x, *(jnp.einsum("btd,dhe->bthe", x, params[name]) for name in "qkv"))


def packed(params, x):
    """Attention whose q, k, v are one matrix [model, 3 model], in three parts."""
    parts = jnp.split(x @ params["qkv"], 3, axis=-1)
    return _attend(params, x, *(part.reshape(*x.shape[:2], HEADS, HEAD) for part in parts))


def packed_reshaped(params, x):
    """The same, taken apart by a reshape."""
    parts = (x @ params["qkv"]).reshape(*x.shape[:2], 3, HEADS, HEAD)
    return _attend(params, x, *(parts[:, :, n] for n in range(3)))


def _rest(std):
    """The block's other weights; `std` is a function of fan_in and fan_out."""
    sizes = {"up": (MODEL, 4 * MODEL), "down": (4 * MODEL, MODEL), "out": (MODEL, CLASSES)}
    return {name: normal(n, size, std(*size)) for n, (name, size) in enumerate(sizes.items())}


def _lecun(fan_in, fan_out):
    return fan_in**-0.5


def glorot(fan_in, fan_out):
    return (2 / (fan_in + fan_out)) ** 0.5


def heads_of(std, own=_lecun, **changes):
    """Params of `by_heads`: q, k, v of one std, the others by `own`."""
    qkv = {name: normal(10 + n, (MODEL, HEADS, HEAD), std) for n, name in enumerate("qkv")}
    o = normal(20, (HEADS, HEAD, MODEL), own(MODEL, MODEL))
    return qkv | {"o": o} | _rest(own) | changes


def packed_of(std, own=glorot):
    """Params of `packed`: qkv of one std, the others by `own`."""
    qkv, o = normal(10, (MODEL, 3 * MODEL), std), normal(20, (MODEL, MODEL), own(MODEL, MODEL))
    return {"qkv": qkv, "o": o} | _rest(own)


def experts(params, x):
    """A soft mixture of experts [expert, inputs, units] beside a stream."""
    h = jnp.tanh(x @ params["in"])
    each = jax.nn.relu(jnp.einsum("bi,eif->bef", h, params["up"]))
    each = jnp.einsum("bef,efo->beo", each, params["down"])
    mixed = jnp.einsum("be,beo->bo", jax.nn.softmax(h @ params["router"]), each)
    return (h + mixed) @ params["out"]


def experts_of(factor):
    """Params of `experts`, whose fan_in is counted `factor` times."""
    return {
        "in": normal(0, (8, MODEL), lecun(8)),
        "router": normal(1, (MODEL, EXPERTS), lecun(MODEL)),
        "up": normal(2, (EXPERTS, MODEL, 48), lecun(MODEL * factor)),
        "down": normal(3, (EXPERTS, 48, MODEL), lecun(48 * factor)),
        "out": normal(4, (MODEL, CLASSES), lecun(MODEL)),
    }


def _conv(x, kernel, groups=1):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=groups
    )


def separable(params, x):
    """A depthwise convolution, then one of windows of 1."""
    h = jax.nn.relu(_conv(x, params["stem"]))
    h = jax.nn.relu(_conv(h, params["depthwise"], 16))
    h = jax.nn.relu(_conv(h, params["pointwise"]))
    return h.mean((1, 2)) @ params["out"]


def separable_of(fan_in):
    """Params of `separable`, the depthwise kernel drawn with a fan_in."""
    return {
        "stem": normal(0, (3, 3, 3, 16), he(27)),
        "depthwise": normal(1, (3, 3, 1, 16), he(fan_in)),
        "pointwise": normal(2, (1, 1, 16, 32), he(16)),
        "out": normal(3, (32, CLASSES), he(32)),
    }


class Attention(nn.Module):
    """In flax, with kernels [model, heads, head] of a scheme that sees their shape alone."""

    own: bool = False

    @nn.compact
    def __call__(self, x):
        if self.own:
            x = x + nn.MultiHeadDotProductAttention(HEADS)(x, x)
        else:
            shape, scheme = (MODEL, HEADS, HEAD), nn.initializers.lecun_normal()
            q, k, v = (jnp.einsum("btd,dhe->bthe", x, self.param(n, scheme, shape)) for n in "qkv")
            h = nn.dot_product_attention(q, k, v)
            x = x + nn.DenseGeneral(MODEL, (-2, -1))(h)
        h = nn.relu(nn.Dense(4 * MODEL)(nn.LayerNorm()(x)))
        return nn.Dense(CLASSES)(nn.LayerNorm()(x + nn.Dense(MODEL)(h)))


class Halves(nn.Module):
    """A flax net whose parameters are bfloat16, drawn in it or rounded to it."""

    rounded: bool

    @nn.compact
    def __call__(self, x):
        scheme = nn.initializers.lecun_normal()
        if self.rounded:
            scheme = lambda key, shape, dtype: nn.initializers.lecun_normal()(key, shape).astype(  # noqa: E731
                dtype
            )
        for _ in range(2):
            x = nn.tanh(nn.Dense(MODEL, param_dtype=jnp.bfloat16, kernel_init=scheme)(x))
        return nn.Dense(CLASSES, kernel_init=scheme, param_dtype=jnp.bfloat16)(x)


class Stacked(eqx.Module):
    """Layers of equinox, stacked and scanned."""

    first: eqx.nn.Linear
    layers: eqx.nn.Linear
    last: eqx.nn.Linear

    def __init__(self, key, as_one=False):
        keys = jax.random.split(key, 3)
        self.first = eqx.nn.Linear(8, MODEL, key=keys[0])
        own = jax.random.split(keys[1], 3)
        self.layers = eqx.filter_vmap(lambda key: eqx.nn.Linear(MODEL, MODEL, key=key))(own)
        if as_one:
            # The scheme of the other layers, U(-1, 1) / sqrt(fan_in), of the stack's fans.
            bound = (3 * MODEL) ** -0.5
            weight = jax.random.uniform(keys[1], (3, MODEL, MODEL), minval=-bound, maxval=bound)
            self.layers = eqx.tree_at(lambda layer: layer.weight, self.layers, weight)
        self.last = eqx.nn.Linear(MODEL, CLASSES, key=keys[2])

    def __call__(self, x):
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def layer(h, each):
            return jnp.tanh(eqx.combine(each, static)(h)), None

        return self.last(jax.lax.scan(layer, jnp.tanh(self.first(x)), arrays)[0])


def hippo(size):
    """HiPPO-LegS, a closed form (Gu et al. 2020, arXiv:2008.07669)."""
    root = np.sqrt(2 * np.arange(size) + 1)
    return -(np.tril(np.outer(root, root), -1) + np.diag(np.arange(size) + 1.0))


def positions(length, width):
    """Sines and cosines of positions (Vaswani et al. 2017, arXiv:1706.03762)."""
    angles = np.arange(length)[:, None] * 1e4 ** (-np.arange(0, width, 2) / width)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, width)


def with_tables(params, x):
    """Two layers that each decay by a table of rates, and mix by a matrix."""
    h = x @ params["in"]
    for layer in params["layers"]:
        decay = jnp.exp(-jnp.exp(layer["rates"]))  # [units, states]
        states = jnp.tanh(h @ layer["w"])[..., None] * decay[None]
        h = jnp.tanh(h + jnp.einsum("bus,st->bu", states, layer["mix"]) / 9)
    return h @ params["out"]


def tables_of(states=9):
    """Params of `with_tables`, whose tables are the same in both layers."""
    rates = np.tile(np.log(np.arange(1, states + 1)), (MODEL, 1)).astype(np.float32)
    mix = (hippo(states) / states).astype(np.float32)
    layers = [
        {"rates": rates, "mix": mix, "w": normal(n, (MODEL, MODEL), lecun(MODEL))} for n in (1, 2)
    ]
    ends = {"in": normal(0, (8, MODEL), lecun(8)), "out": normal(3, (MODEL, CLASSES), 0.1)}
    return ends | {"layers": layers}
