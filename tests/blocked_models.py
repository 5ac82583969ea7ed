"""Models some of whose parameters get no gradient at the start: for a step or two, or never."""

import itertools
from types import MappingProxyType
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import ROWS, normal

FEATURES, WIDTH, OUTPUTS = ROWS.shape[1], 16, 4


class Blocked(NamedTuple):
    """A model, and what descent does to it.

    Attributes:
      apply: a function of (params, x).
      params: its start.
      never: the parameters, or slices of them, that never move.
      culprits: the places of the findings of severity "fail".
      code: theirs.
      opens: `{parameter: the one whose step alone gives it a gradient}`.
    """

    apply: Any
    params: Any
    never: tuple[str, ...] = ()
    culprits: tuple[str, ...] = ()
    code: str = "unused_parameter"
    opens: Any = MappingProxyType({})


def zeros(*shape):
    return np.zeros(shape, np.float32)


def he(seed, i, o):
    return normal(seed, (i, o), (2 / i) ** 0.5)


def chain(params, x):
    return (x @ params["w"] + (x @ params["e"]) @ params["gate"]) @ params["out"]


def _chain():
    return {
        "w": he(1, FEATURES, WIDTH),
        "e": he(2, FEATURES, WIDTH),
        "gate": zeros(WIDTH, WIDTH),
        "out": zeros(WIDTH, OUTPUTS),
    }


def gated(function):
    def apply(params, x):
        h = x @ params["in"]
        return (h + function(params["g"]) * jnp.tanh(h @ params["w"])) @ params["out"]

    return apply


def _gated(g):
    return {
        "in": he(1, FEATURES, WIDTH),
        "g": np.asarray(g, np.float32),
        "w": he(2, WIDTH, WIDTH),
        "out": he(3, WIDTH, OUTPUTS),
    }


def rezero(params, x):
    h = x @ params["in"]
    for block in params["blocks"]:
        h = h + block["alpha"] * (jax.nn.relu(h @ block["up"]) @ block["down"])
    return h @ params["out"]


def scanned_rezero(params, x):
    def block(h, layer):
        return h + layer["alpha"] * (jax.nn.relu(h @ layer["up"]) @ layer["down"]), None

    return jax.lax.scan(block, x @ params["in"], params["blocks"])[0] @ params["out"]


def _rezero(bad, depth=3, scanned=False):
    blocks = [
        {
            "alpha": zeros(),
            "up": he(2 * n + 5, WIDTH, WIDTH),
            "down": zeros(WIDTH, WIDTH) if n in bad else he(2 * n + 6, WIDTH, WIDTH),
        }
        for n in range(depth)
    ]
    if scanned:
        blocks = jax.tree.map(lambda *leaves: np.stack(leaves), *blocks)
    return {"in": he(1, FEATURES, WIDTH), "blocks": blocks, "out": he(2, WIDTH, OUTPUTS)}


def low_rank(params, x):
    for layer in params["layers"]:
        frozen = jax.lax.stop_gradient(layer["w"])
        x = jnp.tanh(x @ (frozen + layer["A"] @ layer["B"]))
    return x @ params["out"]


def _low_rank(bad):
    layers = [
        {
            "w": he(3 * n + 1, FEATURES, FEATURES),
            "A": zeros(FEATURES, 1) if n in bad else he(3 * n + 2, FEATURES, 1),
            "B": zeros(1, FEATURES),
        }
        for n in range(3)
    ]
    return {"layers": layers, "out": he(10, FEATURES, OUTPUTS)}


def off_branch(params, x):
    h = x + jax.nn.relu(x @ params["up"] - 30) @ params["down"]
    return (h + params["alpha"] * jnp.tanh(h @ params["w"])) @ params["out"]


def _off_branch(units):
    return {
        "up": he(1, FEATURES, units),
        "down": he(2, units, FEATURES),
        "alpha": zeros(),
        "w": he(3, FEATURES, FEATURES),
        "out": he(4, FEATURES, OUTPUTS),
    }


def deep_relu(params, x):
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"][None])
    return x @ params[-1]["w"]


def _dying(units=3, depth=10):
    sizes = (FEATURES, *(units,) * depth, OUTPUTS)
    layers = [
        {"w": abs(he(n + 1, i, o)), "b": zeros(o)}
        for n, (i, o) in enumerate(itertools.pairwise(sizes))
    ]
    # Of inputs that are all positive, or none: the fourth layer has nothing to pass on.
    layers[3]["w"] = -layers[3]["w"]
    del layers[-1]["b"]
    return layers


def one_unit(params, x):
    return jax.nn.relu(jnp.tanh(x @ params["a"]) @ params["b"] + params["bias"][None])


def _one_unit():
    return {
        "a": he(1, FEATURES, WIDTH),
        "b": he(2, WIDTH, 1),
        "bias": np.full(1, -50, np.float32),
    }


def _zero_layer():
    return [
        {"w": he(1, FEATURES, WIDTH), "b": zeros(WIDTH)},
        {"w": zeros(WIDTH, WIDTH), "b": zeros(WIDTH)},
        {"w": he(3, WIDTH, OUTPUTS)},
    ]


def block_diagonal(params, x):
    h = jax.nn.relu(jnp.einsum("bni,nio->bno", x.reshape(len(x), 4, -1), params["w"]))
    return h.reshape(len(h), -1) @ params["out"]


def _block_diagonal(zero):
    blocks = [he(n + 1, FEATURES // 4, 6) for n in range(4)]
    blocks[zero] = zeros(FEATURES // 4, 6)
    return {"w": np.stack(blocks), "out": he(9, 24, OUTPUTS)}


def vmapped_low_rank(params, x):
    def member(layer):
        frozen = jax.lax.stop_gradient(layer["w"])
        return jnp.tanh(x @ (frozen + layer["A"] @ layer["B"])) @ layer["out"]

    return jax.vmap(member)(params).sum(0)


def _vmapped_low_rank(bad):
    draw = np.random.default_rng(20)
    shapes = {"w": (FEATURES, FEATURES), "A": (FEATURES, 2), "out": (FEATURES, OUTPUTS)}
    params = {
        name: draw.normal(0, FEATURES**-0.5, (3, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    params["A"][bad] = 0
    return params | {"B": zeros(3, 2, FEATURES)}


def settled(params, x):
    """Behind a loop of unknown length a gate of one less one, and a branch of two zeros."""

    def step(state):
        return state[0] + 1, jnp.tanh(state[1])

    h = jax.lax.while_loop(lambda state: state[0] < 2, step, (0, x))[1] @ params["in"]
    h = h + (params["g"] - 1) * jnp.tanh(h @ params["w"])
    return (h + params["a"] * (jax.nn.relu(h @ params["up"]) @ params["down"])) @ params["out"]


class _Branch(nn.Module):
    """A branch behind a gate of zero, whose end is zero as well or not."""

    end: Any

    @nn.compact
    def __call__(self, h):
        inside = nn.Dense(WIDTH, kernel_init=self.end)(nn.gelu(nn.Dense(WIDTH)(h)))
        return h + jnp.tanh(self.param("gate", nn.initializers.zeros, ())) * inside


class _Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.Dense(WIDTH)(x)
        h = _Branch(nn.initializers.zeros)(h)
        return nn.Dense(OUTPUTS)(_Branch(nn.initializers.lecun_normal())(h))


def _dense(kernel):
    return {"kernel": kernel, "bias": zeros(kernel.shape[1])}


def _linen_branch(seed, end):
    inside = _dense(normal(seed, (WIDTH, WIDTH), WIDTH**-0.5))
    return {"Dense_0": inside, "Dense_1": _dense(end), "gate": zeros()}


def _linen():
    """As _Linen draws them, but with NumPy: each process that collects would compile the draws."""
    end = normal(3, (WIDTH, WIDTH), WIDTH**-0.5)
    return {
        "params": {
            "Dense_0": _dense(normal(0, (FEATURES, WIDTH), FEATURES**-0.5)),
            "_Branch_0": _linen_branch(1, zeros(WIDTH, WIDTH)),
            "_Branch_1": _linen_branch(2, end),
            "Dense_1": _dense(normal(4, (WIDTH, OUTPUTS), WIDTH**-0.5)),
        }
    }


# The end's bias, too, is zero.
_DEAD = ("Dense_0/bias", "Dense_0/kernel", "Dense_1/bias", "Dense_1/kernel", "gate")

MODELS = {
    "zeros that open one after the other": Blocked(
        chain, _chain(), opens={"gate": "out", "w": "out"}
    ),
    "flax: one of two gated branches ends in zeros": Blocked(
        _Linen().apply,
        _linen(),
        tuple(f"params/_Branch_0/{name}" for name in _DEAD),
        tuple(f"params/_Branch_0/{name}" for name in _DEAD),
        opens={"params/_Branch_1/Dense_0/kernel": "params/_Branch_1/gate"},
    ),
    "tanh of a gate": Blocked(gated(jnp.tanh), _gated(0), opens={"w": "g"}),
    "a gate of one less one": Blocked(gated(lambda g: g - 1), _gated(1), opens={"w": "g"}),
    "a gate and a pair of zeros behind a while loop": Blocked(
        settled,
        _gated(1) | {"a": zeros(), "up": he(4, WIDTH, WIDTH), "down": zeros(WIDTH, WIDTH)},
        ("a", "down", "up"),
        ("a", "down", "up"),
        opens={"w": "g"},
    ),
    "a gate for each feature": Blocked(
        gated(lambda g: (g / (1 + g**2))[None]), _gated(zeros(WIDTH)), opens={"w": "g"}
    ),
    "a gate that is flat at zero": Blocked(
        gated(lambda g: 1 - jnp.cos(g)), _gated(0), ("g", "w"), ("g",)
    ),
    "relu of a gate of zero": Blocked(gated(jax.nn.relu), _gated(0), ("g", "w"), ("g",)),
    "one of three blocks that end in zeros": Blocked(
        rezero,
        _rezero((1,)),
        tuple(f"blocks/1/{name}" for name in ("alpha", "down", "up")),
        tuple(f"blocks/1/{name}" for name in ("alpha", "down", "up")),
        opens={"blocks/0/up": "blocks/0/alpha", "blocks/2/down": "blocks/2/alpha"},
    ),
    "two of five scanned blocks": Blocked(
        scanned_rezero,
        _rezero((0, 3), 5, scanned=True),
        tuple(f"blocks/{name}[{n}]" for name in ("alpha", "down", "up") for n in (0, 3)),
        tuple(f"blocks/{name}[{n}]" for name in ("alpha", "down", "up") for n in (0, 3)),
        opens={"blocks/up[2]": "blocks/alpha"},
    ),
    "one of three low-rank pairs": Blocked(
        low_rank,
        _low_rank((1,)),
        ("layers/1/A", "layers/1/B"),
        ("layers/1/A", "layers/1/B"),
        opens={"layers/0/A": "layers/0/B", "layers/2/A": "layers/2/B"},
    ),
    "one of four blocks that is zero": Blocked(
        block_diagonal, _block_diagonal(1), ("w[1]",), ("w[1]",)
    ),
    "one of three low-rank pairs of a vmap": Blocked(
        vmapped_low_rank, _vmapped_low_rank(1), ("A[1]", "B[1]"), ("A[1]", "B[1]")
    ),
    "a zero layer in front of relu": Blocked(
        deep_relu, _zero_layer(), ("0/b", "0/w", "1/b", "1/w", "2/w"), ("1/w",)
    ),
    **{
        f"a branch of {units} units that are off": Blocked(
            off_branch,
            _off_branch(units),
            ("down", "up"),
            ("up",),
            "dead_units",
            {"w": "alpha"},
        )
        for units in (1, 6, 12)
    },
    "a readout of one unit that is off": Blocked(
        one_unit, _one_unit(), ("a", "b", "bias"), ("b",), "dead_units"
    ),
    "a narrow layer that has died": Blocked(
        deep_relu,
        _dying(),
        (*(f"{n}/{name}" for n in range(10) for name in "bw"), "10/w"),
        ("3/w",),
        "dead_units",
    ),
}
