"""Planted faults: what is wrong, which code must be found, where, and how bad it is."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import (
    IMAGES,
    ROWS,
    SEQUENCE,
    WIDTH,
    Fault,
    attention,
    cross_entropy,
    deep,
    deep_relu,
    deep_sigmoid,
    deep_tanh,
    drawn,
    he,
    heads,
    layers,
    lecun,
    normal,
    plain,
    post_norm,
    relu_net,
    residual,
    tanh_net,
    times_norm,
)
from faults_asked import ASKED_FAULTS
from faults_branches import BRANCH_FAULTS
from faults_copies import COPIES_FAULTS
from faults_draws import DRAW_FAULTS
from faults_heads import HEAD_FAULTS
from faults_paths import PATH_FAULTS
from faults_sound import FAULTS_SOUND
from faults_time import TIME_FAULTS
from foreign_models import equinox, haiku, linen
from second_inputs import SECOND_INPUT_FAULTS


def _changed(params, number, **changes):
    params = [dict(layer) for layer in params]
    params[number] |= changes
    return params


def _rescaled():
    params = layers(he)
    for number, factor in ((1, 30), (2, 1 / 30)):
        params[number]["w"] = params[number]["w"] * np.float32(factor)
    return params


def _same_key():
    params = layers(lecun)
    return _changed(params, 2, w=2 * params[1]["w"])


def _same_key_other_shape():
    draws = normal(5, WIDTH * WIDTH, 1.0)
    params = _changed(layers(lecun), 1, w=(draws / 6).reshape(WIDTH, WIDTH))
    return _changed(params, 3, w=(draws / 6)[: 10 * WIDTH].reshape(WIDTH, 10))


def _stacked_key():
    params = deep(lecun(WIDTH), depth=4)
    params["blocks"]["w"][:] = params["blocks"]["w"][:1]
    return params


def with_spare(params, x):
    return tanh_net(params["net"], x)


def stopped(params, x):
    h = jnp.tanh(x @ params[0]["w"])
    return tanh_net(params[1:], jax.lax.stop_gradient(h))


def gated(params, x):
    h = x @ params["in"]
    return (h + params["gate"] * (jnp.tanh(h @ params["w1"]) @ params["w2"])) @ params["out"]


def _gated():
    draws = {"in": (8, WIDTH), "w1": (WIDTH, WIDTH), "out": (WIDTH, 10)}
    params = {name: normal(n, shape, 0.2) for n, (name, shape) in enumerate(draws.items())}
    return params | {"gate": np.zeros((), np.float32), "w2": np.zeros((WIDTH, WIDTH), np.float32)}


def halves(params, x):
    h = jnp.maximum(x.astype(jnp.float16) @ params["in"], 0)
    return (h @ params["mid"]).astype(jnp.float32) @ params["out"]


def _halves():
    params = {"in": normal(1, (8, WIDTH), 60.0), "mid": normal(2, (WIDTH, WIDTH), 600.0)}
    return {name: w.astype(np.float16) for name, w in params.items()} | {
        "out": normal(3, (WIDTH, 10), 1e-3)
    }


def waits(params, x):
    h = x @ params["in"]
    return jax.lax.while_loop(lambda h: jnp.max(jnp.abs(h)) > 1, lambda h: h / 2, h) @ params["out"]


def ints(params, x):
    return jnp.round(x @ params["in"]) @ params["out"]


TWO = {"in": normal(1, (8, WIDTH), 0.35), "out": normal(2, (WIDTH, 10), 0.17)}


class _Linen(nn.Module):
    kernel_init: Any = nn.initializers.lecun_normal()
    bias_init: Any = nn.initializers.zeros

    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = nn.relu(nn.Dense(WIDTH, kernel_init=self.kernel_init, bias_init=self.bias_init)(x))
        return nn.Dense(10)(x)


def _he_of_oihw(key, shape, dtype=jnp.float32):
    """He's variance, its fan_in read off axes that lie in another order than the kernel's."""
    return jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=1, out_axis=0)(
        key, shape, dtype
    )


class _Convolutions(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(7):
            x = nn.relu(nn.Conv(16, (3, 3), kernel_init=_he_of_oihw, use_bias=False)(x))
        return nn.Dense(10)(x.mean((1, 2)))


def _drawn(parts, apply=None):
    init, own, x = parts
    return apply or own, drawn(init), x


def _equinox(key):
    return eqx.nn.MLP(8, 10, WIDTH, 3, jnp.tanh, key=key)


def _equinox_same_key(key):
    linear = eqx.nn.Linear(WIDTH, WIDTH, key=key)
    return eqx.tree_at(lambda net: net.layers[1:3], _equinox(key), (linear, linear))


def _equinox_zero(key):
    return jax.tree.map(
        lambda leaf: jnp.zeros_like(leaf) if eqx.is_inexact_array(leaf) else leaf, _equinox(key)
    )


def _haiku(w_init=None):
    def net(x):
        for _ in range(3):
            x = jnp.tanh(hk.Linear(WIDTH, w_init=w_init)(x))
        return hk.Linear(10)(x)

    return net


# One function for the starts of one net, so that it is compiled once.
LINEN, EQUINOX, HAIKU = (
    parts[1] for parts in (linen(_Linen(), ROWS), equinox(_equinox, ROWS), haiku(_haiku(), ROWS))
)


FAULTS = {
    "zero weights": Fault("symmetric_units", "0", "fail", plain(tanh_net, layers(lambda i: 0.0))),
    "two heads from one key": Fault(
        "symmetric_units", "k:0", "fail", plain(attention, heads((0, 1, 1, 2)), SEQUENCE)
    ),
    "zero kernels in flax": Fault(
        "symmetric_units",
        "Dense_0",
        "fail",
        lambda: _drawn(linen(_Linen(nn.initializers.zeros), ROWS), LINEN),
    ),
    "zeros in equinox": Fault(
        "symmetric_units", "layers/0", "fail", lambda: _drawn(equinox(_equinox_zero, ROWS), EQUINOX)
    ),
    "one constant kernel": Fault(
        "constant_tensor",
        "1/w",
        "warn",
        plain(tanh_net, _changed(layers(lecun), 1, w=np.full((WIDTH, WIDTH), 0.1, np.float32))),
    ),
    "constants everywhere": Fault(
        "constant_tensor",
        "1/w",
        "fail",
        plain(
            tanh_net,
            [{**each, "w": np.full_like(each["w"], 0.1)} for each in layers(lecun)],
        ),
    ),
    "constant kernels in haiku": Fault(
        "constant_tensor",
        "linear/w",
        "fail",
        lambda: _drawn(haiku(_haiku(hk.initializers.Constant(0.1)), ROWS), HAIKU),
    ),
    "two layers from one key": Fault(
        "duplicate_tensors", "1/w, 2/w", "warn", plain(tanh_net, _same_key)
    ),
    "one key, two shapes": Fault(
        "duplicate_tensors", "1/w, 3/w", "warn", plain(tanh_net, _same_key_other_shape)
    ),
    "a stack from one key": Fault(
        "duplicate_tensors", "blocks/w[0], blocks/w[1]", "warn", plain(deep_tanh, _stacked_key)
    ),
    "one key in equinox": Fault(
        "duplicate_tensors",
        "layers/1/weight, layers/2/weight",
        "warn",
        lambda: _drawn(equinox(_equinox_same_key, ROWS), EQUINOX),
    ),
    "dead relu biases": Fault(
        "dead_units",
        "1/w",
        "fail",
        plain(relu_net, _changed(layers(he), 1, b=np.full(WIDTH, -20, np.float32))),
    ),
    "weights that see only one side": Fault(
        "dead_units",
        "0/w",
        "fail",
        plain(relu_net, _changed(layers(he), 0, w=-abs(layers(he)[0]["w"])), abs(ROWS)),
    ),
    "dead biases in flax": Fault(
        "dead_units",
        "Dense_0",
        "fail",
        lambda: _drawn(linen(_Linen(bias_init=nn.initializers.constant(-20.0)), ROWS), LINEN),
    ),
    "weights times 100": Fault(
        "saturated", "0/w", "fail", plain(tanh_net, layers(lambda i: 100 * lecun(i)))
    ),
    "std 1 in a deep tanh net": Fault(
        "saturated", "blocks/w[3]", "warn", plain(deep_tanh, lambda: deep(1.0))
    ),
    "std 1 in a deep tanh net, its gradient": Fault(
        "exploding_gradient", "blocks/w", "fail", plain(deep_tanh, lambda: deep(1.0))
    ),
    "0.01 in a 30-layer net": Fault(
        "vanishing_signal", "blocks/w[2]", "fail", plain(deep_tanh, lambda: deep(0.01))
    ),
    "a fan of axes in another order": Fault(
        "vanishing_signal",
        "Conv_",
        "fail",
        lambda: _drawn(linen(_Convolutions(), IMAGES)),
    ),
    "0.01 in haiku": Fault(
        "vanishing_signal",
        "linear_1/w",
        "fail",
        lambda: _drawn(haiku(_haiku(hk.initializers.RandomNormal(0.01)), ROWS), HAIKU),
    ),
    "one zero layer": Fault(
        "vanishing_signal",
        "1/w",
        "fail",
        plain(tanh_net, _changed(layers(lecun), 1, w=np.zeros((WIDTH, WIDTH), np.float32))),
    ),
    "twice He in a 30-layer net": Fault(
        "exploding_signal", "blocks/w", "fail", plain(deep_relu, lambda: deep(2 * he(WIDTH)))
    ),
    "unscaled residual branches": Fault(
        "exploding_signal", "blocks/w", "fail", plain(residual, lambda: deep(he(WIDTH)))
    ),
    "sigmoids in a 30-layer net": Fault(
        "rank_collapse", "blocks/w", "fail", plain(deep_sigmoid, lambda: deep(lecun(WIDTH)))
    ),
    "sigmoids in a 30-layer net, their gradient": Fault(
        "vanishing_gradient", "blocks/w", "fail", plain(deep_sigmoid, lambda: deep(lecun(WIDTH)))
    ),
    "post-norm without warm-up scale": Fault(
        "exploding_gradient",
        "blocks/w",
        "fail",
        plain(post_norm, lambda: deep(2 * he(WIDTH), depth=60)),
    ),
    "a parameter that nothing reads": Fault(
        "unused_parameter",
        "spare",
        "warn",
        plain(with_spare, {"net": layers(lecun), "spare": normal(9, (3, 3), 1.0)}),
    ),
    "a stop_gradient in the wrong place": Fault(
        "unused_parameter", "0/w", "warn", plain(stopped, layers(lecun))
    ),
    "a step function": Fault("unused_parameter", "in", "warn", plain(ints, TWO)),
    "two consecutive zero layers": Fault(
        "unused_parameter",
        "1/w",
        "fail",
        plain(
            tanh_net,
            _changed(
                _changed(layers(lecun), 1, w=np.zeros((WIDTH, WIDTH), np.float32)),
                2,
                w=np.zeros((WIDTH, WIDTH), np.float32),
            ),
        ),
    ),
    "a zero gate before zeros": Fault("unused_parameter", "w1", "fail", plain(gated, _gated)),
    "a float16 overflow": Fault("non_finite", "mid", "fail", plain(halves, _halves)),
    "a NaN in a bias": Fault(
        "non_finite",
        "2/b",
        "fail",
        plain(tanh_net, _changed(layers(lecun), 2, b=np.full(WIDTH, np.nan, np.float32))),
    ),
    "a norm of zeros": Fault(
        "non_finite",
        "factor",
        "fail",
        plain(times_norm, {"net": layers(lecun), "factor": np.zeros(4, np.float32)}),
    ),
    "a readout of std 1": Fault(
        "confident_start",
        "output",
        "fail",
        plain(relu_net, _changed(layers(he), 3, w=normal(8, (WIDTH, 10), 3.0))),
        cross_entropy,
    ),
    "layers out of balance": Fault(
        "unbalanced_updates", "1/w", "warn", plain(relu_net, _rescaled), cross_entropy
    ),
    "a while loop": Fault("untracked", "while", "info", plain(waits, TWO)),
}

FAULTS |= PATH_FAULTS | TIME_FAULTS | BRANCH_FAULTS | HEAD_FAULTS | FAULTS_SOUND
FAULTS |= ASKED_FAULTS | DRAW_FAULTS | COPIES_FAULTS | SECOND_INPUT_FAULTS
