"""Small models in plain JAX that the tables of faults and of sound starts share."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.compilation import compile_fast

WIDTH, DEPTH, CLASSES = 32, 30, 10
ROWS = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(size=(8, 6, 6, 3)).astype(np.float32)
TOKENS = np.random.default_rng(2).integers(0, 9, size=(8, 6)).astype(np.int32)
LABELS = np.arange(16) % CLASSES


class Fault(NamedTuple):
    """A fault: its code, a part of its place, its severity, and how it is made.

    `make() -> (apply, params, batch)`, or with a fourth: further arguments of the audit.
    """

    code: str
    place: str
    severity: str
    make: Any
    loss: Any = None


def cross_entropy(logits):
    log_p = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_p, LABELS[:, None], axis=1))


def normal(seed, shape, std):
    return np.random.default_rng(seed).normal(0, std, shape).astype(np.float32)


def layers(std, sizes=(8, WIDTH, WIDTH, WIDTH, CLASSES)):
    """Params of `tanh_net` and its like; `std` is a function of fan_in."""
    return [
        {"w": normal(n, (i, o), std(i)), "b": np.zeros(o, np.float32)}
        for n, (i, o) in enumerate(itertools.pairwise(sizes))
    ]


def lecun(fan_in):
    return fan_in**-0.5


def he(fan_in):
    return (2 / fan_in) ** 0.5


def plain(apply, params, batch: Any = ROWS):
    """A row of the tables, whose params may wait until they are needed."""
    return lambda: (apply, params() if callable(params) else params, batch)


def _net(activation):
    def apply(params, x):
        for layer in params[:-1]:
            x = activation(x @ layer["w"] + layer["b"][None])
        return x @ params[-1]["w"] + params[-1]["b"][None]

    return apply


tanh_net, relu_net = _net(jnp.tanh), _net(jax.nn.relu)
siren_net = _net(lambda z: jnp.sin(30 * z))


def deep(std, inside=lecun, depth=DEPTH):
    """Params of the scanned nets below."""
    return {
        "in": normal(1, (8, WIDTH), lecun(8)),
        "blocks": {
            "w": normal(2, (depth, WIDTH, WIDTH), std),
            "b": np.zeros((depth, WIDTH), np.float32),
        },
        "out": normal(3, (WIDTH, CLASSES), lecun(WIDTH)),
    }


def _scanned(block, last=lambda h: h):
    def apply(params, x):
        h, _ = jax.lax.scan(
            lambda h, layer: (block(h, layer), None), x @ params["in"], params["blocks"]
        )
        return last(h) @ params["out"]

    return apply


def _linear(h, layer):
    return h @ layer["w"] + layer["b"][None]


def normalized(h):
    centred = h - jnp.mean(h, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-6)


deep_tanh = _scanned(lambda h, layer: jnp.tanh(_linear(h, layer)))
deep_relu = _scanned(lambda h, layer: jax.nn.relu(_linear(h, layer)))
deep_selu = _scanned(lambda h, layer: jax.nn.selu(_linear(h, layer)))
deep_sigmoid = _scanned(lambda h, layer: jax.nn.sigmoid(_linear(h, layer)))
residual = _scanned(lambda h, layer: h + jax.nn.relu(_linear(h, layer)))
post_norm = _scanned(lambda h, layer: normalized(h + jax.nn.relu(_linear(h, layer))))
pre_norm = _scanned(lambda h, layer: h + jax.nn.relu(_linear(normalized(h), layer)), normalized)


@jax.custom_vjp
def tanh_layer(h, w):
    """With a derivative of its own, so that no gradient is seen inside."""
    return jnp.tanh(h @ w)


tanh_layer.defvjp(
    lambda h, w: (tanh_layer(h, w), (h, w)),
    lambda kept, sent: jax.vjp(lambda h, w: jnp.tanh(h @ w), *kept)[1](sent),
)


def times_norm(params, x):
    """The norm of zeros has no slope: its gradient is NaN where no signal is."""
    return tanh_net(params["net"], x) * (1 + jnp.linalg.norm(params["factor"]))


def attention(params, x):
    q, k, v = (jnp.einsum("btd,hde->bhte", x, params[name]) for name in "qkv")
    mixed = jax.nn.softmax(jnp.einsum("bhte,bhse->bhts", q, k)) @ v
    return jnp.einsum("bhte,hed->btd", mixed, params["o"])


def heads(seeds):
    """Four heads, each drawn from its seed; params of `attention`."""
    drawn = np.stack([normal(seed, (4, 16, 4), 0.25) for seed in seeds])
    return {name: drawn[:, n] for n, name in enumerate("qkv")} | {
        "o": np.swapaxes(drawn[:, 3], -2, -1)
    }


def drawn(init):
    """Params of an init of any framework, compiled as an audit compiles what runs once."""
    key = jax.random.key(0)
    return compile_fast(jax.jit(init).lower(key))(key)


SEQUENCE = np.random.default_rng(3).normal(size=(8, 5, 16)).astype(np.float32)
