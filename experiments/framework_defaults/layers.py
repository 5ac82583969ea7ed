"""What other libraries draw for a layer of which only the sizes are given."""

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import initializers as init
from initlab.types import Initializer, ParamSpec, Role

__all__ = ["FRAMEWORKS", "KINDS", "Draw", "Library", "library"]

HEADS = 4
WINDOW = 3
TOKENS = 1000


class Draw(NamedTuple):
    """One layer as it starts.

    Attributes:
      weight: its weights, of any shape.
      bias: its biases; None for a layer without.
      fan_in: over how many inputs a unit sums.
      fan_out: how many units an input feeds.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    fan_in: int
    fan_out: int


class Library(NamedTuple):
    """Where draws come from.

    Attributes:
      source: the library and its version, or "formula".
      draw: `(inputs, units, seed) -> Draw` by kind of layer.
    """

    source: str
    draw: dict[str, Callable[[int, int, int], Draw]]


KINDS = ("dense", "convolution", "attention: query", "attention: output", "embedding")
"""Attention has as many features as inputs, in 4 heads; a convolution a window of 3 x 3; an
embedding 1000 tokens."""


def library(name: str) -> Library:
    """A framework's layers: its own where it is installed, else its documented formulas.

    Args:
      name: of FRAMEWORKS.

    Returns:
      Its draws.
    """
    package, real, formulas = FRAMEWORKS[name]
    if importlib.util.find_spec(package) is not None:
        # The distribution is not named as the package it installs.
        version = importlib.metadata.version("dm-haiku" if package == "haiku" else package)
        return Library(f"{package} {version}", real())
    if formulas is None:
        raise ValueError(f"{name} requires {package}, which is not installed")
    return Library("formula", formulas())


def _draw(kind: str, inputs: int, units: int, weight: Any, bias: Any) -> Draw:
    fans = {
        "convolution": (WINDOW**2 * inputs, WINDOW**2 * units),
        "embedding": (1, units),
    }.get(kind, (inputs, units))
    return Draw(np.asarray(weight), None if bias is None else np.asarray(bias), *fans)


def _flax() -> dict[str, Callable[[int, int, int], Draw]]:
    import flax.linen as nn

    def params(module: Any, x: Any, seed: int) -> Any:
        return module.init(jax.random.key(seed), x)["params"]

    def layer(kind: str, inputs: int, units: int, seed: int) -> Draw:
        if kind == "dense":
            found = params(nn.Dense(units), jnp.zeros((1, inputs)), seed)
        elif kind == "convolution":
            x = jnp.zeros((1, WINDOW, WINDOW, inputs))
            found = params(nn.Conv(units, (WINDOW, WINDOW)), x, seed)
        elif kind == "embedding":
            table = params(nn.Embed(TOKENS, units), jnp.zeros((1,), jnp.int32), seed)
            found = {"kernel": table["embedding"]}
        else:
            attention = nn.MultiHeadDotProductAttention(HEADS)
            parts = params(attention, jnp.zeros((1, 2, inputs)), seed)
            found = parts["query" if kind == KINDS[2] else "out"]
        return _draw(kind, inputs, units, found["kernel"], found.get("bias"))

    return _by_kind(layer)


def _equinox() -> dict[str, Callable[[int, int, int], Draw]]:
    import equinox as eqx

    def layer(kind: str, inputs: int, units: int, seed: int) -> Draw:
        key = jax.random.key(seed)
        if kind == "dense":
            found: Any = eqx.nn.Linear(inputs, units, key=key)
        elif kind == "convolution":
            found = eqx.nn.Conv2d(inputs, units, WINDOW, key=key)
        elif kind == "embedding":
            return _draw(kind, inputs, units, eqx.nn.Embedding(TOKENS, units, key=key).weight, None)
        else:
            attention = eqx.nn.MultiheadAttention(HEADS, inputs, key=key)
            found = attention.query_proj if kind == KINDS[2] else attention.output_proj
        return _draw(kind, inputs, units, found.weight, found.bias)

    return _by_kind(layer)


def _haiku() -> dict[str, Callable[[int, int, int], Draw]]:
    import haiku as hk

    def layer(kind: str, inputs: int, units: int, seed: int) -> Draw:
        makes = {
            "dense": (lambda x: hk.Linear(units)(x), jnp.zeros((1, inputs))),
            "convolution": (
                lambda x: hk.Conv2D(units, WINDOW)(x),
                jnp.zeros((1, WINDOW, WINDOW, inputs)),
            ),
            "embedding": (lambda x: hk.Embed(TOKENS, units)(x), jnp.zeros((1,), jnp.int32)),
        }
        run, x = makes[kind]
        (found,) = hk.transform(run).init(jax.random.key(seed), x).values()
        return _draw(kind, inputs, units, found.get("w", found.get("embeddings")), found.get("b"))

    # haiku's attention has no default: it requires a w_init.
    return {kind: functools.partial(layer, kind) for kind in ("dense", "convolution", "embedding")}


def _keras() -> dict[str, Callable[[int, int, int], Draw]]:
    import keras  # pyright: ignore[reportMissingImports]

    def layer(kind: str, inputs: int, units: int, seed: int) -> Draw:
        keras.utils.set_random_seed(seed)
        if kind == "dense":
            found = keras.layers.Dense(units)
            found.build((None, inputs))
        elif kind == "convolution":
            found = keras.layers.Conv2D(units, WINDOW)
            found.build((None, WINDOW, WINDOW, inputs))
        elif kind == "embedding":
            table = keras.layers.Embedding(TOKENS, units)
            table.build((None, 1))
            return _draw(kind, inputs, units, table.embeddings, None)
        else:
            attention = keras.layers.MultiHeadAttention(HEADS, inputs // HEADS)
            attention.build((None, 2, inputs), (None, 2, inputs))
            found = attention.query_dense if kind == KINDS[2] else attention.output_dense
        return _draw(kind, inputs, units, found.kernel, found.bias)

    return _by_kind(layer)


def _torch() -> dict[str, Callable[[int, int, int], Draw]]:
    import torch  # pyright: ignore[reportMissingImports]

    def layer(kind: str, inputs: int, units: int, seed: int) -> Draw:
        torch.manual_seed(seed)
        if kind == "dense":
            found = torch.nn.Linear(inputs, units)
        elif kind == "convolution":
            found = torch.nn.Conv2d(inputs, units, WINDOW)
        elif kind == "embedding":
            table = torch.nn.Embedding(TOKENS, units).weight.detach()
            return _draw(kind, inputs, units, table, None)
        else:
            attention = torch.nn.MultiheadAttention(inputs, HEADS)
            if kind == KINDS[2]:
                # One weight for queries, keys and values.
                weight, bias = attention.in_proj_weight[:inputs], attention.in_proj_bias[:inputs]
                return _draw(kind, inputs, units, weight.detach(), bias.detach())
            found = attention.out_proj
        return _draw(kind, inputs, units, found.weight.detach(), found.bias.detach())

    return _by_kind(layer)


def _torch_formulas() -> dict[str, Callable[[int, int, int], Draw]]:
    def weights(kind: str, inputs: int) -> tuple[Initializer, dict[str, int]]:
        if kind == KINDS[2]:
            # xavier_uniform_ of queries, keys and values as one weight.
            return init.by_role(init.glorot_uniform()), {"fan_out": 3 * inputs}
        if kind == KINDS[3]:
            return init.by_role(init.torch_default(), bias=init.zeros()), {}
        return init.torch_default(), {}

    return _from_formulas(weights)


def _keras_formulas() -> dict[str, Callable[[int, int, int], Draw]]:
    return _from_formulas(lambda kind, inputs: (init.keras_default(), {}))


def _from_formulas(
    weights: Callable[[str, int], tuple[Initializer, dict[str, int]]],
) -> dict[str, Callable[[int, int, int], Draw]]:
    def layer(kind: str, inputs: int, units: int, seed: int) -> Draw:
        initializer, fans = weights(kind, inputs)
        # The fans of the layer; an initializer may be given others, as torch's attention does.
        true = _draw(kind, inputs, units, (), ())
        shape = {
            "convolution": (WINDOW, WINDOW, inputs, units),
            "embedding": (TOKENS, units),
        }.get(kind, (inputs, units))
        role = Role.EMBEDDING if kind == "embedding" else Role.WEIGHT
        spec = ParamSpec(shape, true.fan_in, fans.get("fan_out", true.fan_out), role)
        keys = jax.random.split(jax.random.key(seed))
        bias = None
        if kind != "embedding":
            bias_spec = ParamSpec((units,), spec.fan_in, spec.fan_out, Role.BIAS)
            bias = initializer(keys[1], bias_spec)
        return _draw(kind, inputs, units, initializer(keys[0], spec), bias)

    return _by_kind(layer)


def _by_kind(layer: Callable[..., Draw]) -> dict[str, Callable[[int, int, int], Draw]]:
    return {kind: functools.partial(layer, kind) for kind in KINDS}


FRAMEWORKS: dict[str, tuple[str, Callable, Callable | None]] = {
    "torch": ("torch", _torch, _torch_formulas),
    "keras": ("keras", _keras, _keras_formulas),
    "flax": ("flax", _flax, None),
    "equinox": ("equinox", _equinox, None),
    "haiku": ("haiku", _haiku, None),
}
"""Package, its own layers, and formulas for where it is not installed."""
