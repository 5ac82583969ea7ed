"""Faults of one of several paths, and of a layer whose place must be told."""

import itertools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from audit_models import (
    ROWS,
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
from foreign_models import linen

DEEP = (8, *(16,) * 8, 4)


def tower(start, std):
    """Params of one tower; no two towers are one draw."""
    return [
        {"w": normal(start + n, (i, o), std(i)), "b": np.zeros(o, np.float32)}
        for n, (i, o) in enumerate(itertools.pairwise(DEEP))
    ]


def _shrunk(fan_in):
    return 0.2 * lecun(fan_in)


def _one_layer(std, number, factor):
    params = layers(std, DEEP)
    params[number]["w"] = params[number]["w"] * np.float32(factor)
    return params


def outputs_of(*names):
    """A tower for each name, traced in their order."""

    def apply(params, x):
        return {name: tanh_net(params[name], x) for name in names}

    return apply


policy_first, value_first = outputs_of("policy", "value"), outputs_of("value", "policy")


def similarity(params, x):
    return (tanh_net(params["a"], x[:, ::-1]) * tanh_net(params["b"], x)).sum(-1)


def joined(params, x):
    towers = [tanh_net(params["a"], x), tanh_net(params["b"], x)]
    return jnp.tanh(jnp.concatenate(towers, axis=-1)) @ params["out"]


def trunk(params, x):
    h = tanh_net(params["trunk"], x)
    return tanh_net(params["policy"], h @ params["in"]), tanh_net(params["value"], h @ params["in"])


class _TwoTowers(nn.Module):
    std: float

    @nn.compact
    def __call__(self, x):
        ends = []
        for std in (1.0, self.std):
            h = x
            for _ in range(6):
                scale = nn.initializers.variance_scaling(std, "fan_in", "normal")
                h = nn.tanh(nn.Dense(16, kernel_init=scale)(h))
            ends.append(h)
        return jnp.einsum("bi,bi->b", *ends)


def _drawn(module):
    init, apply, x = linen(module, ROWS)
    return apply, drawn(init), x


TWO_HEADED = {"in": normal(90, (4, 8), 0.5), "trunk": tower(0, lecun)}


def _zero_readout(depth=30):
    return deep(3 * lecun(32), depth=depth) | {"out": np.zeros((32, 10), np.float32)}


def gated_output(params, x):
    return params["gate"] * deep_tanh(params["net"], x)


class _ZeroHead(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(9):
            scale = nn.initializers.variance_scaling(0.05, "fan_in", "normal")
            x = nn.sigmoid(nn.Dense(16, kernel_init=scale)(x))
        return nn.Dense(4, kernel_init=nn.initializers.zeros)(x)


PATH_FAULTS = {
    "chaotic layers behind a zero readout": Fault(
        "exploding_gradient", "blocks/w", "fail", plain(deep_tanh, _zero_readout)
    ),
    "chaotic layers behind a zero readout and a loss": Fault(
        "exploding_gradient", "blocks/w", "fail", plain(deep_tanh, _zero_readout), cross_entropy
    ),
    "chaotic layers behind a zero gate": Fault(
        "exploding_gradient",
        "net/blocks/w",
        "fail",
        plain(
            gated_output,
            {"gate": np.zeros((), np.float32), "net": deep(3 * lecun(32))},
        ),
    ),
    "sigmoids behind a zero readout in flax": Fault(
        "vanishing_gradient", "Dense_", "fail", lambda: _drawn(_ZeroHead())
    ),
    "a policy before its shrinking value": Fault(
        "vanishing_signal",
        "value/",
        "fail",
        plain(policy_first, {"policy": tower(0, lecun), "value": tower(20, _shrunk)}),
    ),
    "a shrinking value before its policy": Fault(
        "vanishing_gradient",
        "value/",
        "fail",
        plain(value_first, {"policy": tower(0, lecun), "value": tower(20, _shrunk)}),
    ),
    "a policy whose gradient explodes": Fault(
        "exploding_gradient",
        "policy/",
        "warn",
        plain(value_first, {"policy": tower(0, lambda i: 3.0), "value": tower(20, lecun)}),
    ),
    "a trunk with one shrinking head": Fault(
        "vanishing_signal",
        "policy/",
        "fail",
        plain(trunk, TWO_HEADED | {"policy": tower(20, _shrunk), "value": tower(40, lecun)}),
    ),
    "one of two towers, multiplied": Fault(
        "vanishing_signal",
        "a/",
        "fail",
        plain(similarity, {"a": tower(0, _shrunk), "b": tower(20, lecun)}),
    ),
    "one of two towers, concatenated": Fault(
        "vanishing_gradient",
        "b/",
        "fail",
        plain(
            joined,
            {"a": tower(0, lecun), "b": tower(20, _shrunk), "out": normal(60, (8, 3), 0.3)},
        ),
    ),
    "one of two towers in flax": Fault(
        "vanishing_signal", "Dense_", "fail", lambda: _drawn(_TwoTowers(0.03))
    ),
    "one kernel times 0.01": Fault(
        "vanishing_signal", "2/w", "fail", plain(relu_net, _one_layer(lecun, 2, 0.01))
    ),
    "one kernel times 0.01, its gradient": Fault(
        "vanishing_gradient", "5/w", "fail", plain(relu_net, _one_layer(lecun, 5, 0.01))
    ),
    "one kernel times 1000": Fault(
        "exploding_signal", "3/w", "fail", plain(relu_net, _one_layer(he, 3, 1e3))
    ),
}
