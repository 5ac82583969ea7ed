"""Random sound starts of a few architectures, and where in each something can be broken.

The shapes are fixed, so that all draws of an architecture share one compiled program.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import CLASSES, IMAGES, ROWS

WIDTH, DEPTH = 16, 4


class Layer(NamedTuple):
    """A weight of a chain, and what belongs to its output units.

    Attributes:
      path: of the weight, as "0/w".
      index: which slice of a stacked weight, if it is.
      bias: the path of its bias.
      units: (path, axis) of everything that its output units lie on.
    """

    path: str
    index: int | None
    bias: str
    units: tuple[tuple[str, int], ...]

    @property
    def place(self):
        return self.path if self.index is None else f"{self.path}[{self.index}]"


class Architecture(NamedTuple):
    """A net, how its params are drawn, and its layers in the order of the program."""

    name: str
    apply: Callable[..., Any]
    draw: Callable[[Callable[..., Any]], Any]
    batch: np.ndarray
    hidden: tuple[Layer, ...]
    activation: str
    is_chain: bool = True


ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "none": lambda x: x}
GAINS = {"tanh": 1.0, "relu": 2.0, "none": 1.0}


def starts(seed, scheme):
    """Draws weights of variance gain / fan_in by one of several schemes."""
    rng = np.random.default_rng(seed)

    def draw(shape, gain=1.0):
        fan_in = np.prod(shape[:-1])
        std = (gain / fan_in) ** 0.5
        if scheme == "uniform":
            return rng.uniform(-(3**0.5) * std, 3**0.5 * std, shape).astype(np.float32)
        if scheme == "orthogonal":
            flat = (int(fan_in), shape[-1])
            q = np.linalg.qr(rng.normal(size=(max(flat), min(flat))))[0]
            q = q if flat[0] >= flat[1] else q.T
            return (q * gain**0.5).reshape(shape).astype(np.float32)
        return rng.normal(0, std, shape).astype(np.float32)

    return draw


def _stopped(h, number, stop):
    return jax.lax.stop_gradient(h) if number == stop else h


def _mlp(activation):
    def apply(params, x, stop=None):
        for n, layer in enumerate(params[:-1]):
            h = x @ layer["w"] + layer["b"][None]
            x = _stopped(ACTIVATIONS[activation](h), n, stop)
        return x @ params[-1]["w"] + params[-1]["b"][None]

    def draw(weight):
        sizes = (8, *[WIDTH] * DEPTH, CLASSES)
        gains = [GAINS["none"], *[GAINS[activation]] * DEPTH]
        return [
            {"w": weight((i, o), gain), "b": np.zeros(o, np.float32)}
            for i, o, gain in zip(sizes[:-1], sizes[1:], gains, strict=True)
        ]

    hidden = tuple(
        Layer(f"{n}/w", None, f"{n}/b", ((f"{n}/w", 1), (f"{n}/b", 0), (f"{n + 1}/w", 0)))
        for n in range(DEPTH)
    )
    return Architecture(f"mlp, {activation}", apply, draw, ROWS, hidden, activation)


def _scanned(activation):
    def apply(params, x, stop=None):
        def block(h, layer):
            h = ACTIVATIONS[activation](h @ layer["w"] + layer["b"][None])
            return h, None

        h = x @ params["in"]
        if stop is None:
            h, _ = jax.lax.scan(block, h, params["blocks"])
        else:
            for n in range(DEPTH):
                h, _ = block(h, jax.tree.map(lambda leaf, n=n: leaf[n], params["blocks"]))
                h = _stopped(h, n, stop)
        return h @ params["out"]

    def draw(weight):
        gain = GAINS[activation]
        return {
            "in": weight((8, WIDTH)),
            "blocks": {
                "w": np.stack([weight((WIDTH, WIDTH), gain) for _ in range(DEPTH)]),
                "b": np.zeros((DEPTH, WIDTH), np.float32),
            },
            "out": weight((WIDTH, CLASSES)),
        }

    hidden = tuple(Layer("blocks/w", n, "blocks/b", ()) for n in range(DEPTH))
    return Architecture(f"scan, {activation}", apply, draw, ROWS, hidden, activation)


def _normalized(h):
    centred = h - jnp.mean(h, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


def _residual():
    """Pre-norm branches of two layers, each times a gate."""

    def apply(params, x, stop=None):
        h = x @ params["in"]
        for n, layer in enumerate(params["blocks"]):
            inside = jax.nn.relu(_normalized(h) @ layer["up"] + layer["b"][None])
            h = h + layer["gate"] * (_stopped(inside, n, stop) @ layer["down"])
        return _normalized(h) @ params["out"]

    def draw(weight):
        blocks = [
            {
                "up": weight((WIDTH, WIDTH), 2.0),
                "b": np.zeros(WIDTH, np.float32),
                "down": weight((WIDTH, WIDTH)),
                "gate": np.float32(n % 2),
            }
            for n in range(3)
        ]
        return {"in": weight((8, WIDTH)), "blocks": blocks, "out": weight((WIDTH, CLASSES))}

    def layer(n):
        units = (("up", 1), ("b", 0), ("down", 0))
        at = tuple((f"blocks/{n}/{name}", axis) for name, axis in units)
        return Layer(f"blocks/{n}/up", None, f"blocks/{n}/b", at)

    hidden = tuple(layer(n) for n in range(3))
    return Architecture("residual", apply, draw, ROWS, hidden, "relu", is_chain=False)


def _convolutional():
    def apply(params, x, stop=None):
        for n, layer in enumerate(params[:-1]):
            x = jax.lax.conv_general_dilated(
                x, layer["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = _stopped(jax.nn.relu(x + layer["b"][None, None, None]), n, stop)
        return jnp.mean(x, (1, 2)) @ params[-1]["w"] + params[-1]["b"][None]

    def draw(weight):
        sizes = (3, 8, 8, 8)
        layers = [
            {"w": weight((3, 3, i, o), 2.0), "b": np.zeros(o, np.float32)}
            for i, o in itertools.pairwise(sizes)
        ]
        return [*layers, {"w": weight((8, CLASSES)), "b": np.zeros(CLASSES, np.float32)}]

    hidden = tuple(
        Layer(
            f"{n}/w",
            None,
            f"{n}/b",
            ((f"{n}/w", 3), (f"{n}/b", 0), (f"{n + 1}/w", 2 if n < 2 else 0)),
        )
        for n in range(3)
    )
    return Architecture("convolutions", apply, draw, IMAGES, hidden, "relu")


ARCHITECTURES = {
    each.name: each
    for each in (
        _mlp("tanh"),
        _mlp("relu"),
        _scanned("tanh"),
        _scanned("relu"),
        _residual(),
        _convolutional(),
    )
}
SCHEMES = ("normal", "uniform", "orthogonal")


@functools.cache
def loss_of(examples):
    """A cross-entropy with labels, one function for each number of examples."""
    labels = np.arange(examples) % CLASSES

    def loss(logits):
        log_p = jax.nn.log_softmax(logits)
        return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=1))

    return loss
