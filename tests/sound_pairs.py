"""Towers that meet, targets that follow, pixels as they come."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import IMAGES, plain
from model_pieces import WIDTH, Draws, dense, full, unit, zeros
from sound_adapters import conv
from sound_vision import TIMED, kernel, label_loss


def _clip(params, batch):
    """Two towers that meet in a table of cosines, times exp of a learned scale."""
    image = jax.nn.relu(dense(params["image"]["in"], batch["x"].reshape(8, -1)))
    image = unit(dense(params["image"]["out"], image))
    text = params["text"]["embed"][batch["label"]]
    text = unit(dense(params["text"]["out"], jnp.tanh(dense(params["text"]["in"], text))))
    return image @ text.T * jnp.exp(params["scale"])


def _clip_params():
    draw = Draws(37)
    return {
        "image": {"in": draw.dense(108, WIDTH), "out": draw.dense(WIDTH, WIDTH)},
        "text": {
            "embed": draw(5, WIDTH, std=1.0),
            "in": draw.dense(WIDTH, WIDTH),
            "out": draw.dense(WIDTH, WIDTH),
        },
        "scale": full(np.log(1 / 0.07)),
    }


def _byol(params, x):
    """An online net that predicts a copy of itself, which no gradient reaches."""

    def encode(net, x):
        h = jax.nn.relu(dense(net["in"], x.reshape(8, -1)))
        return dense(net["out"], jax.nn.relu(dense(net["mid"], h)))

    online = encode(params["online"], x)
    target = jax.lax.stop_gradient(unit(encode(params["target"], x[:, ::-1])))
    guess = unit(dense(params["p2"], jax.nn.relu(dense(params["p1"], online))))
    return 2 - 2 * (guess * target).sum(-1)


def _byol_params():
    draw = Draws(38)
    net = {"in": draw.dense(108, 32), "mid": draw.dense(32, 32), "out": draw.dense(32, WIDTH)}
    return {
        "online": net, "target": net, "p1": draw.dense(WIDTH, 32), "p2": draw.dense(32, WIDTH),
    }  # fmt: skip


def _pixels(params, x):
    """Bytes, brought to [0, 1] inside."""
    h = jax.nn.relu(conv(x / 255.0, params["a"], 2) + params["ab"])
    h = jax.nn.relu(conv(h, params["b"]) + params["bb"])
    return dense(params["head"], h.reshape(len(x), -1))


def _pixels_params():
    draw = Draws(39)
    return {
        "a": kernel(draw, 3, WIDTH),
        "ab": zeros(WIDTH),
        "b": kernel(draw, WIDTH, WIDTH),
        "bb": zeros(WIDTH),
        "head": draw.dense(9 * WIDTH, 5),
    }


def _modulated(params, batch):
    """Scales and shifts of a condition (Perez et al. 2018), nearly off and without a one."""
    x, condition = batch
    h = dense(params["in"], x)
    for block in params["blocks"]:
        scale, shift = condition @ block["scale"], condition @ block["shift"]
        h = h + jnp.tanh(scale * (h @ block["w"]) + shift)
    return dense(params["head"], h)


def _modulated_params():
    draw = Draws(42)
    return {
        "in": draw.dense(8, 16),
        "blocks": [
            {"w": draw(16, 16), "scale": draw(6, 16) * 1e-4, "shift": draw(6, 16) * 1e-4}
            for _ in range(2)
        ],
        "head": draw.dense(16, 5),
    }


_BYTES = np.random.default_rng(41).integers(0, 256, IMAGES.shape).astype(np.float32)
_CONDITIONED = tuple(
    np.random.default_rng(43 + n).normal(size=(8, size)).astype(np.float32)
    for n, size in enumerate((8, 6))
)

SOUND_PAIRS = {
    "CLIP": (plain(_clip, _clip_params, TIMED), None, ()),
    "BYOL": (plain(_byol, _byol_params, IMAGES), None, ()),
    "FiLM times 1e-4": (plain(_modulated, _modulated_params, _CONDITIONED), label_loss, ()),
    "bytes over 255": (plain(_pixels, _pixels_params, _BYTES), label_loss, ()),
}
