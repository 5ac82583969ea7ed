"""Faults of weights that the model computes, and of branches beside their stream."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import IMAGES, ROWS, Fault, deep, drawn, he, normal, plain, pre_norm
from foreign_models import linen

LAYERS, CODE = 6, 12


def generated(params, x):
    """A hypernetwork: every layer's weight is a function of the example."""
    code, h = jnp.tanh(x @ params["code"]), x
    for head in params["heads"]:
        weight = (code @ head).reshape(-1, 8, 8)
        h = jax.nn.relu(jnp.einsum("bi,bio->bo", h, weight))
    return h @ params["out"]


def generated_alone(params, x):
    """The same for one example, under vmap."""

    def one(row):
        code, h = jnp.tanh(row @ params["code"]), row
        for head in params["heads"]:
            h = jax.nn.relu(h @ (code @ head).reshape(8, 8))
        return h @ params["out"]

    return jax.vmap(one)(x)


def generated_kernels(params, x):
    code, h = jnp.tanh(x.mean((0, 1, 2)) @ params["code"]), x
    for head in params["heads"]:
        kernel = (code @ head).reshape(3, 3, 3, 3)
        numbers = ("NHWC", "HWIO", "NHWC")
        h = jax.lax.conv_general_dilated(h, kernel, (1, 1), "SAME", dimension_numbers=numbers)
    return h.mean((1, 2)) @ params["out"]


def heads_of(std, inputs=8, size=64):
    return {
        "code": normal(1, (inputs, CODE), inputs**-0.5),
        "heads": [normal(2 + n, (CODE, size), std) for n in range(LAYERS)],
        "out": normal(20, (inputs, 4), inputs**-0.5),
    }


def of_sizes(embedding, branch):
    """Params of `pre_norm` whose stream and whose branches start at other sizes."""
    params = deep(he(32), depth=4)
    params["in"] = embedding * params["in"]
    params["blocks"]["w"] = branch * params["blocks"]["w"]
    return params


class _Block(nn.Module):
    scale: float

    @nn.compact
    def __call__(self, x):
        h = nn.Dense(16, kernel_init=nn.initializers.normal(0.01))(x)
        for _ in range(2):
            init = nn.initializers.variance_scaling(self.scale, "fan_in", "normal")
            y = nn.gelu(nn.Dense(32)(nn.LayerNorm()(h)))
            h = h + nn.Dense(16, kernel_init=init)(y)
        return nn.Dense(4)(nn.LayerNorm()(h))


def blocks(scale):
    def ready():
        init, apply, x = linen(_Block(scale), ROWS)
        return apply, drawn(init), x

    return ready


def gated(params, x):
    """Branches of two products and a gate."""
    h = x @ params["in"]
    for block in params["blocks"]:
        h = h + block["gate"] * (jax.nn.relu(h @ block["up"] + block["b"][None]) @ block["down"])
    return h @ params["out"]


def of_gains(up, down, gate=1.0, bias=0.0):
    """Params of `gated` whose weights are drawn at these sizes times 1/sqrt(fan_in)."""
    return {
        "in": normal(1, (8, 16), 8**-0.5),
        "blocks": [
            {
                "up": normal(2 + n, (16, 32), up / 4),
                "down": normal(6 + n, (32, 16), down * 32**-0.5),
                "b": normal(11 + n, (32,), bias),
                "gate": np.float32(gate),
            }
            for n in range(2)
        ],
        "out": normal(9, (16, 4), 0.25),
    }


def tiny_layer(params, x):
    """Pre-norm branches of three products, scanned."""

    def layer(h, block):
        y = (h - h.mean(-1, keepdims=True)) / jnp.sqrt(h.var(-1, keepdims=True) + 1e-6)
        y = jnp.tanh(jnp.tanh(y @ block["up"]) @ block["mid"])
        return h + y @ block["down"], None

    h, _ = jax.lax.scan(layer, x @ params["in"], params["blocks"])
    return h @ params["out"]


def of_layers(gains):
    sizes = np.asarray(gains, np.float32)[:, None, None] / 4
    names = enumerate(("up", "mid", "down"))
    blocks = {name: sizes * normal(3 + n, (len(gains), 16, 16), 1.0) for n, name in names}
    return {"in": normal(1, (8, 16), 0.35), "blocks": blocks, "out": normal(9, (16, 4), 0.25)}


class _Tiny(nn.Module):
    scale: float

    @nn.compact
    def __call__(self, x):
        init = nn.initializers.variance_scaling(self.scale**2, "fan_in", "normal")
        h = nn.Conv(8, (3, 3))(x)
        for _ in range(2):
            y = nn.relu(nn.Conv(8, (3, 3), kernel_init=init)(nn.LayerNorm()(h)))
            h = h + nn.Conv(8, (3, 3), kernel_init=init)(y)
        return nn.Dense(4)(h.mean((1, 2)))


def tiny(scale):
    def ready():
        init, apply, x = linen(_Tiny(scale), IMAGES)
        return apply, drawn(init), x

    return ready


def normed_inside(params, x):
    """A normalization between the two products hides the first one's size."""
    h = x @ params["in"]
    for up, down in zip(params["up"], params["down"], strict=True):
        y = jax.nn.relu(h @ up)
        h = h + y / jnp.sqrt(jnp.mean(y**2, axis=-1, keepdims=True)) @ down
    return h @ params["out"]


def adapted(params, x):
    """Weights beside a product of two small ones, as LoRA's."""
    h = x @ params["in"]
    for up, down in zip(params["up"], params["down"], strict=True):
        h = jnp.tanh(h @ params["w"] + h @ up @ down)
    return h @ params["out"]


def attended(params, x):
    """One attention beside its stream."""
    h = x.reshape(len(x), 4, 2) @ params["in"]
    q, k, v = (h @ params[name] for name in "qkv")
    h = h + jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2) / 4) @ v @ params["o"]
    return h.mean(1) @ params["out"]


def of_attention(value, output):
    gains = {"q": 1.0, "k": 1.0, "v": value, "o": output}
    square = {name: normal(n, (16, 16), gain / 4) for n, (name, gain) in enumerate(gains.items())}
    return square | {"in": normal(5, (2, 16), 0.7), "out": normal(6, (16, 4), 0.25)}


def pairs(up, down):
    return {
        "in": normal(1, (8, 16), 8**-0.5),
        "up": [normal(2 + n, (16, 16), up / 4) for n in range(2)],
        "down": [normal(6 + n, (16, 16), down / 4) for n in range(2)],
        "out": normal(9, (16, 4), 0.25),
    }


BRANCH_FAULTS = {
    "generated weights that are too large": Fault(
        "exploding_signal", "heads/", "fail", plain(generated, heads_of(2.0))
    ),
    "generated weights that are too small": Fault(
        "vanishing_signal", "heads/", "fail", plain(generated, heads_of(0.02))
    ),
    "generated weights of one example": Fault(
        "exploding_gradient", "heads/", "fail", plain(generated_alone, heads_of(2.0))
    ),
    "generated kernels": Fault(
        "exploding_signal",
        "heads/",
        "fail",
        plain(generated_kernels, heads_of(9.0, 3, 81), IMAGES),
    ),
    "a branch that drowns its stream": Fault(
        "branch_dominates", "blocks/w[0]", "fail", plain(pre_norm, lambda: of_sizes(0.02, 100.0))
    ),
    "a branch that nearly drowns its stream": Fault(
        "branch_dominates", "blocks/w[0]", "warn", plain(pre_norm, lambda: of_sizes(0.02, 5.0))
    ),
    "a branch that drowns its stream in flax": Fault(
        "branch_dominates", "Dense_2", "fail", blocks(1e6)
    ),
    "all weights of the branches times 1e-4": Fault(
        "vanishing_branch", "blocks/1/", "warn", plain(gated, lambda: of_gains(1e-4, 1e-4))
    ),
    "all weights of the branches times 1e-3": Fault(
        "vanishing_branch", "blocks/0/", "warn", plain(gated, lambda: of_gains(1e-3, 1e-3))
    ),
    "a first weight of 1e-6 before a last one of zero": Fault(
        "vanishing_branch", "blocks/0/", "warn", plain(gated, lambda: of_gains(1e-6, 0.0))
    ),
    "values and outputs of an attention times 1e-4": Fault(
        "vanishing_branch", "o", "warn", plain(attended, lambda: of_attention(1e-4, 1e-4))
    ),
    "values of 1e-6 before outputs of zero": Fault(
        "vanishing_branch", "o", "warn", plain(attended, lambda: of_attention(1e-6, 0.0))
    ),
    "one scanned branch times 1e-4": Fault(
        "vanishing_branch",
        "blocks/down[1]",
        "warn",
        plain(tiny_layer, lambda: of_layers((1.0, 1e-4, 1.0))),
    ),
    "convolutions of the branches times 1e-4 in flax": Fault(
        "vanishing_branch", "Conv_2/kernel", "warn", tiny(1e-4)
    ),
}


def layer_scale(params, x):
    h = x @ params["in"]
    for block in params["blocks"]:
        y = jax.nn.gelu(h @ block["up"]) @ block["down"]
        h = h + block["scale"][None] * y
    return h @ params["out"]


def _layer_scale():
    return {
        "in": normal(1, (8, 16), 8**-0.5),
        "blocks": [
            {
                "up": normal(2 + n, (16, 32), 0.3),
                "down": normal(6 + n, (32, 16), 0.2),
                "scale": np.full(16, 1e-5, np.float32),
            }
            for n in range(3)
        ],
        "out": normal(9, (16, 4), 0.25),
    }


BRANCH_SOUND = {
    **{
        f"branches of two products, {what}": (plain(gated, lambda g=gains: of_gains(*g)), None, ())
        for what, gains in {
            "the last times 1e-4": (1.0, 1e-4),
            "the last of zeros": (1.4, 0.0),
            "the first times 1e-4": (1e-4, 1.0),
            "a gate of 1e-6": (1.4, 1.0, 1e-6),
            "a gate of zero": (1.4, 1.0, 0.0),
            "both times 0.04": (0.04, 0.04),
            "the last times 1e-4, drawn biases": (1.0, 1e-4, 1.0, 0.5),
            "the first times 1e-6, drawn biases, the last of zeros": (1e-6, 0.0, 1.0, 0.5),
        }.items()
    },
    "an attention that ends in zeros": (plain(attended, lambda: of_attention(1.0, 0.0)), None, ()),
    "scanned branches of three products": (
        plain(tiny_layer, lambda: of_layers((1.0, 1.0, 1.0))),
        None,
        (),
    ),
    "a norm between small weights of a branch": (
        plain(normed_inside, lambda: pairs(2e-3, 1e-4)),
        None,
        ("unbalanced_updates",),
    ),
    "small products beside a weight": (
        plain(adapted, lambda: pairs(1e-4, 1e-4) | {"w": normal(10, (16, 16), 0.25)}),
        None,
        (),
    ),
    "generated weights": (plain(generated, heads_of(0.22)), None, ()),
    "LayerScale of 1e-5": (plain(layer_scale, _layer_scale), None, ()),
    "a small embedding before pre-norm branches": (
        plain(pre_norm, lambda: of_sizes(0.1, 1.0)),
        None,
        (),
    ),
    "flax: pre-norm branches on a small embedding": (blocks(1.0), None, ()),
}
