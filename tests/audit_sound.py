"""Sound starts: frameworks' and papers' own, of moderate depth; the audit must not cry wolf."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import (
    CLASSES,
    DEPTH,
    IMAGES,
    ROWS,
    SEQUENCE,
    TOKENS,
    WIDTH,
    attention,
    cross_entropy,
    deep,
    deep_relu,
    deep_selu,
    deep_tanh,
    drawn,
    he,
    heads,
    layers,
    lecun,
    normal,
    plain,
    pre_norm,
    siren_net,
    tanh_layer,
    tanh_net,
)
from faults_branches import BRANCH_SOUND
from foreign_models import MODELS, linen
from second_inputs import SECOND_INPUT_SOUND
from sound_adapters import SOUND_ADAPTERS
from sound_asked import ASKED_SOUND
from sound_control import SOUND_CONTROL
from sound_copies import COPIES_SOUND
from sound_draws import DRAW_SOUND
from sound_generative import SOUND_GENERATIVE
from sound_heads import HEAD_SOUND
from sound_inside import INSIDE_SOUND
from sound_language import SOUND_LANGUAGE
from sound_layers import SOUND_LAYERS
from sound_networks import NETWORK_SOUND
from sound_pairs import SOUND_PAIRS
from sound_paths import PATH_SOUND
from sound_science import SOUND_SCIENCE
from sound_steps import STEP_SOUND
from sound_time import SOUND_TIME
from sound_vision import SOUND_VISION

from experiments.examples import equinox_model, flax_model, haiku_model
from initlab import initialize, initializers, networks

I = initializers  # noqa: E741


def _lab(network, initializer, x):
    def ready():
        made = network()
        return made.apply, drawn(lambda key: initialize(key, made.specs, initializer)), x

    return ready


def _foreign(make):
    def ready():
        init, apply, x = make()
        return apply, drawn(init), x

    return ready


def _of_table(name):
    def ready():
        apply, params, x = _foreign(MODELS[name][0])()
        rng = np.random.default_rng(0)
        if np.issubdtype(x.dtype, np.integer):
            return apply, params, rng.integers(0, 9, x.shape).astype(x.dtype)
        return apply, params, rng.normal(size=x.shape).astype(x.dtype)

    return ready


def _example(make):
    def ready():
        given = make()
        return given["apply"], drawn(given["init"]), given["batch"]

    return ready


def _transformer(**settings):
    return lambda: networks.transformer(
        (9, 16, 9), 3, jax.nn.gelu, heads=2, length=6, scanned=True, **settings
    )


class _ResidualBlock(nn.Module):
    width: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.Conv(self.width, (3, 3), self.stride, use_bias=False)(x)
        y = nn.relu(nn.BatchNorm(use_running_average=False)(y))
        y = nn.Conv(self.width, (3, 3), use_bias=False)(y)
        y = nn.BatchNorm(use_running_average=False, scale_init=nn.initializers.zeros)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.width, (1, 1), self.stride, use_bias=False)(x)
            x = nn.BatchNorm(use_running_average=False)(x)
        return nn.relu(x + y)


class _ResNet(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.BatchNorm(use_running_average=False)(nn.Conv(8, (3, 3))(x)))
        for width, stride in ((16, 2),):
            x = _ResidualBlock(width, stride)(x)
        return nn.Dense(CLASSES)(x.mean((1, 2)))


def _resnet():
    model = _ResNet()
    variables = drawn(lambda key: model.init(key, IMAGES))
    stats = variables["batch_stats"]

    def apply(params, x):
        return model.apply({"params": params, "batch_stats": stats}, x, mutable=["batch_stats"])[0]

    return apply, variables["params"], IMAGES


class _Mixer(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(16, (2, 2), strides=2)(x)
        x = x.reshape(x.shape[0], -1, 16)
        for _ in range(1):
            y = jnp.swapaxes(nn.LayerNorm()(x), 1, 2)
            y = nn.Dense(9)(nn.gelu(nn.Dense(12)(y)))
            x = x + jnp.swapaxes(y, 1, 2)
            x = x + nn.Dense(16)(nn.gelu(nn.Dense(24)(nn.LayerNorm()(x))))
        return nn.Dense(CLASSES)(nn.LayerNorm()(x).mean(1))


class _LinenMLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(3):
            x = nn.relu(nn.Dense(32)(x))
        return nn.Dense(CLASSES)(x)


def _logistic(params, x):
    return x @ params["w"] + params["b"][None]


def _with_own_derivative(params, x):
    h = tanh_layer(x, params[0]["w"]) + params[0]["b"][None]
    return tanh_net(params[1:], h)


def _one_branch_taken(params, x):
    h = jnp.tanh(x @ params[0]["w"] + params[0]["b"][None])
    h = jax.lax.cond(
        jnp.sum(x) < 1e9,
        lambda h: jnp.tanh(h @ params[1]["w"] + params[1]["b"][None]),
        lambda h: jnp.tanh(h @ params[2]["w"] + params[2]["b"][None]),
        h,
    )
    return h @ params[3]["w"] + params[3]["b"][None]


def _weight_norm(params, x):
    direction, gain = params["direction"], params["gain"][None]
    h = jnp.tanh(x @ (gain * direction / jnp.linalg.norm(direction, axis=0, keepdims=True)))
    return h @ params["out"]


def _gate_inside(params, x):
    h = x @ params["in"]
    return (h + (params["gate"] * jnp.tanh(h @ params["w"])) @ params["end"]) @ params["out"]


def two_layer_branches(params, x):
    def block(h, layer):
        return h + jax.nn.relu(h @ layer["w"]) @ layer["end"], None

    h, _ = jax.lax.scan(block, x @ params["in"], params["blocks"])
    return h @ params["out"]


def _two_layers(std):
    params = deep(he(WIDTH))
    end = normal(7, (DEPTH, WIDTH, WIDTH), std)
    return params | {"blocks": {"w": params["blocks"]["w"], "end": end}}


def _of_one_unit():
    return {
        "in": normal(1, (8, 1), lecun(8)),
        "blocks": {
            "w": 1 + normal(2, (5, 1, 1), 0.1),
            "b": np.zeros((5, 1), np.float32),
        },
        "out": normal(3, (1, CLASSES), 1.0),
    }


def _with_zero_readout():
    params = layers(lecun)
    params[-1]["w"] = np.zeros_like(params[-1]["w"])
    return params


def _siren():
    params = layers(lambda i: (2 / i) ** 0.5 / 30)
    params[0]["w"] = normal(0, (8, WIDTH), (1 / 3) ** 0.5 / 8)
    return params


def _with_no_more_inputs(params, x):
    return tanh_net(params["layers"], x + x[:, :0] @ params["more"])


def _critical():
    rng = np.random.default_rng(0)
    params = deep(1.0)
    squares = np.linalg.qr(rng.normal(size=(DEPTH, WIDTH, WIDTH)))[0].astype(np.float32)
    return params | {"blocks": params["blocks"] | {"w": squares}}


# name: (() -> (apply, params, batch), loss or None, the warnings that theory explains)
SOUND = {
    "tanh, LeCun": (plain(tanh_net, layers(lecun)), cross_entropy, ()),
    "tanh, a derivative of its own": (
        plain(_with_own_derivative, layers(lecun)),
        cross_entropy,
        (),
    ),
    "one of two branches": (plain(_one_branch_taken, layers(lecun)), cross_entropy, ()),
    "weight norm": (
        plain(
            _weight_norm,
            {
                "direction": normal(1, (8, WIDTH), 1.0),
                "gain": np.ones(WIDTH, np.float32),
                "out": normal(2, (WIDTH, CLASSES), lecun(WIDTH)),
            },
        ),
        cross_entropy,
        (),
    ),
    "a gate of zero inside a branch": (
        plain(
            _gate_inside,
            {
                "gate": np.zeros((), np.float32),
                "in": normal(1, (8, WIDTH), lecun(8)),
                "w": normal(2, (WIDTH, WIDTH), lecun(WIDTH)),
                "end": normal(3, (WIDTH, WIDTH), lecun(WIDTH)),
                "out": normal(4, (WIDTH, CLASSES), lecun(WIDTH)),
            },
        ),
        cross_entropy,
        (),
    ),
    "a parameter without entries": (
        plain(
            _with_no_more_inputs,
            {"layers": layers(lecun), "more": np.zeros((0, 8), np.float32)},
        ),
        cross_entropy,
        (),
    ),
    "five layers of one unit": (plain(deep_tanh, _of_one_unit), None, ()),
    "tanh, 0.1": (plain(tanh_net, layers(lambda i: 0.1)), None, ()),
    "a readout of zeros": (
        plain(
            tanh_net,
            _with_zero_readout,
        ),
        cross_entropy,
        (),
    ),
    "logistic regression from zero": (
        plain(_logistic, {"w": np.zeros((8, 10), np.float32), "b": np.zeros(10, np.float32)}),
        cross_entropy,
        (),
    ),
    "30 relu layers, He": (plain(deep_relu, lambda: deep(he(WIDTH))), cross_entropy, ()),
    "30 orthogonal tanh layers": (plain(deep_tanh, _critical), cross_entropy, ()),
    "30 pre-norm branches": (plain(pre_norm, lambda: deep(he(WIDTH))), cross_entropy, ()),
    "30 branches over sqrt(depth)": (
        plain(two_layer_branches, lambda: _two_layers(DEPTH**-0.5 * lecun(WIDTH))),
        cross_entropy,
        (),
    ),
    "30 branches that end in zeros": (
        plain(two_layer_branches, lambda: _two_layers(0.0)),
        cross_entropy,
        (),
    ),
    "attention": (plain(attention, heads((0, 1, 2, 3)), SEQUENCE), None, ()),
    "lab: mlp, Glorot": (
        _lab(lambda: networks.mlp((8, 16, 16, CLASSES), jnp.tanh), I.glorot_uniform(), ROWS),
        cross_entropy,
        (),
    ),
    "siren": (plain(siren_net, _siren), None, ()),
    "30 selu layers": (plain(deep_selu, lambda: deep(lecun(WIDTH))), cross_entropy, ()),
    "lab: convnet, He": (
        _lab(
            lambda: networks.convnet((6, 6, 3), 16, CLASSES, 4, jax.nn.relu, scanned=True),
            I.he_normal(),
            IMAGES,
        ),
        None,
        (),
    ),
    "lab: transformer, GPT-2": (
        _lab(_transformer(), I.gpt2(6, std=0.02 * (768 / 16) ** 0.5), TOKENS),
        None,
        (),
    ),
    "flax: relu mlp": (_foreign(lambda: linen(_LinenMLP(), ROWS)), cross_entropy, ()),
    "flax: ResNet": (_resnet, None, ()),
    "flax: mixer": (_foreign(lambda: linen(_Mixer(), IMAGES)), None, ()),
    "flax: convnet": (_example(flax_model.convnet), None, ()),
    "flax.nnx": (_of_table("nnx"), None, ()),
    "equinox: mlp": (_example(equinox_model.mlp), None, ()),
    "equinox: decoder": (_of_table("equinox decoder"), None, ()),
    "haiku: LSTM": (_example(haiku_model.lstm), None, ()),
    "haiku: convolution, LSTM, branch": (_of_table("haiku"), None, ()),
}

SOUND |= SOUND_ADAPTERS | SOUND_CONTROL | SOUND_GENERATIVE | SOUND_LANGUAGE | SOUND_LAYERS
SOUND |= SOUND_PAIRS | SOUND_SCIENCE | SOUND_TIME | SOUND_VISION
SOUND |= HEAD_SOUND | NETWORK_SOUND
SOUND |= ASKED_SOUND
SOUND |= DRAW_SOUND
SOUND |= PATH_SOUND | STEP_SOUND | BRANCH_SOUND
SOUND |= COPIES_SOUND | SECOND_INPUT_SOUND | INSIDE_SOUND
