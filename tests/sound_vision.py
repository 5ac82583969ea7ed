"""Published starts of vision models."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import IMAGES, plain
from model_pieces import (
    WIDTH,
    Draws,
    attend,
    dense,
    full,
    layer_norm,
    rms_norm,
    sinusoids,
    split,
    stacked,
    through,
    zeros,
)
from sound_adapters import conv

LABELS = np.arange(8) % 5


def label_loss(logits):
    log_p = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_p, LABELS[:, None], axis=1))


def patches(x, size=2):
    n, height, width, channels = x.shape
    x = x.reshape(n, height // size, size, width // size, size, channels)
    return jnp.swapaxes(x, 2, 3).reshape(n, -1, size * size * channels)


def kernel(draw, i, o, size=3, gain=2.0):
    return draw(size, size, i, o, std=(gain / (size * size * i)) ** 0.5)


def _attention(layer, h, other=None):
    other = h if other is None else other
    q, k, v = (split(dense(layer[n], x)) for n, x in (("q", h), ("k", other), ("v", other)))
    return dense(layer["o"], attend(q, k, v))


def _mlp(layer, h):
    return dense(layer["down"], jax.nn.gelu(dense(layer["up"], h)))


def _block(draw, std=None, wide=32, width=WIDTH):
    return {name: draw.dense(width, width, std) for name in "qkvo"} | {
        "up": draw.dense(width, wide, std),
        "down": draw.dense(wide, width, std),
        "n1": draw.norm(width),
        "n2": draw.norm(width),
    }


def _vit(params, x):
    h = dense(params["patch"], patches(x))
    first = jnp.broadcast_to(params["first"], (len(x), 1, WIDTH))
    h = jnp.concatenate([first, h], 1) + params["position"]

    def block(h, layer):
        h = h + _attention(layer, layer_norm(h, layer["n1"]))
        return h + _mlp(layer, layer_norm(h, layer["n2"]))

    h = through(block, h, params["blocks"])
    return dense(params["head"], layer_norm(h, params["norm"])[:, 0])


def _vit_params():
    """Dosovitskiy et al. 2020: a first token of zeros, a head of zeros."""
    draw = Draws(31)
    return {
        "patch": draw.dense(12, WIDTH),
        "first": zeros(1, WIDTH),
        "position": draw(10, WIDTH, std=0.02),
        "blocks": stacked(_block(draw, (2 / 32) ** 0.5) for _ in range(3)),
        "norm": draw.norm(),
        "head": {"w": zeros(WIDTH, 5), "b": zeros(5)},
    }


def _cait(params, x):
    """LayerScale on every branch, and a block that looks from a class token alone."""
    h = dense(params["patch"], patches(x)) + params["position"]

    def block(h, layer):
        h = h + layer["scale1"] * _attention(layer, layer_norm(h, layer["n1"]))
        return h + layer["scale2"] * _mlp(layer, layer_norm(h, layer["n2"]))

    h = through(block, h, params["blocks"])
    first = jnp.broadcast_to(params["first"], (len(x), 1, WIDTH))
    for layer in params["looks"]:
        seen = layer_norm(jnp.concatenate([first, h], 1), layer["n1"])
        first = first + layer["scale1"] * _attention(layer, seen[:, :1], seen)
        first = first + layer["scale2"] * _mlp(layer, layer_norm(first, layer["n2"]))
    return dense(params["head"], layer_norm(first, params["norm"])[:, 0])


def _cait_params(scale=1e-5):
    """Touvron et al. 2021 (2103.17239), whose std of 0.02 is for 192 features or more."""
    draw, std = Draws(32), 0.02 * (192 / WIDTH) ** 0.5
    scales = {"scale1": full(scale, WIDTH), "scale2": full(scale, WIDTH)}
    return {
        "patch": draw.dense(12, WIDTH, std),
        "position": draw(9, WIDTH, std=std),
        "first": draw(1, WIDTH, std=std),
        "blocks": stacked(_block(draw, std) | scales for _ in range(3)),
        "looks": [_block(draw, std) | scales],
        "norm": draw.norm(),
        "head": draw.dense(WIDTH, 5, std),
    }


def _convnext(params, x):
    h = layer_norm(conv(x, params["stem"], 2), params["norm"])
    for layer in params["blocks"]:
        seen = layer_norm(conv(h, layer["depthwise"], groups=WIDTH), layer["n1"])
        h = h + layer["scale"] * _mlp(layer, seen)
    return dense(params["head"], layer_norm(h.mean((1, 2)), params["last"]))


def _convnext_params():
    """Liu et al. 2022: std 0.02, LayerScale 1e-6."""
    draw = Draws(33)
    return {
        "stem": draw(2, 2, 3, WIDTH, std=0.02),
        "norm": draw.norm(),
        "blocks": [
            {
                "depthwise": draw(3, 3, 1, WIDTH, std=0.02),
                "n1": draw.norm(),
                "up": draw.dense(WIDTH, 32, 0.02),
                "down": draw.dense(32, WIDTH, 0.02),
                "scale": full(1e-6, WIDTH),
            }
            for _ in range(2)
        ],
        "last": draw.norm(),
        "head": draw.dense(WIDTH, 5, 0.02),
    }


def _batch_norm(h, layer):
    centred = h - h.mean((0, 1, 2))
    return (
        centred * jax.lax.rsqrt((centred**2).mean((0, 1, 2)) + 1e-5) * layer["scale"]
        + layer["bias"]
    )


def _resnet(params, x):
    """Blocks whose last norm's scale is zero (Goyal et al. 2017)."""
    h = jax.nn.relu(_batch_norm(conv(x, params["stem"]), params["norm"]))
    for layer, stride in zip(params["blocks"], (2, 1), strict=True):
        inside = jax.nn.relu(_batch_norm(conv(h, layer["a"], stride), layer["n1"]))
        inside = _batch_norm(conv(inside, layer["b"]), layer["n2"])
        if "short" in layer:
            h = _batch_norm(conv(h, layer["short"], stride), layer["n3"])
        h = jax.nn.relu(h + inside)
    return dense(params["head"], h.mean((1, 2)))


def _resnet_params():
    draw = Draws(34)

    def block(fan_in):
        first, second = (kernel(draw, i, WIDTH) for i in (fan_in, WIDTH))
        zero = {"scale": zeros(WIDTH), "bias": zeros(WIDTH)}
        return {"a": first, "n1": draw.norm(), "b": second, "n2": zero}

    wide = block(8) | {"short": kernel(draw, 8, WIDTH, 1), "n3": draw.norm()}
    params = {"stem": kernel(draw, 3, 8), "norm": draw.norm(8), "head": draw.dense(WIDTH, 5)}
    return params | {"blocks": [wide, block(WIDTH)]}


def _dit(params, batch):
    """Shifts, scales and gates from the time, all from a layer of zeros (Peebles and Xie 2022)."""
    h = dense(params["patch"], patches(batch["x"])) + params["position"]
    c = dense(params["t2"], jax.nn.silu(dense(params["t1"], sinusoids(batch["t"]))))
    c = jax.nn.silu(c + params["label"][batch["label"]])
    plain_norm = {"scale": 1.0, "bias": 0.0}

    def block(h, layer):
        s1, b1, g1, s2, b2, g2 = (m[:, None] for m in jnp.split(dense(layer["adaln"], c), 6, -1))
        h = h + g1 * _attention(layer, layer_norm(h, plain_norm) * (1 + s1) + b1)
        return h + g2 * _mlp(layer, layer_norm(h, plain_norm) * (1 + s2) + b2)

    h = through(block, h, params["blocks"])
    shift, scale = (m[:, None] for m in jnp.split(dense(params["last"], c), 2, -1))
    return dense(params["head"], layer_norm(h, plain_norm) * (1 + scale) + shift)


def _dit_params():
    draw = Draws(35)
    blocks = []
    for _ in range(2):
        block = _block(draw, (2 / 32) ** 0.5)
        block = {name: value for name, value in block.items() if name not in ("n1", "n2")}
        blocks.append(block | {"adaln": {"w": zeros(WIDTH, 6 * WIDTH), "b": zeros(6 * WIDTH)}})
    return {
        "patch": draw.dense(12, WIDTH),
        "position": draw(9, WIDTH, std=0.02),
        "t1": draw.dense(WIDTH, WIDTH, 0.02),
        "t2": draw.dense(WIDTH, WIDTH, 0.02),
        "label": draw(5, WIDTH, std=0.02),
        "blocks": stacked(blocks),
        "last": {"w": zeros(WIDTH, 2 * WIDTH), "b": zeros(2 * WIDTH)},
        "head": {"w": zeros(WIDTH, 12), "b": zeros(12)},
    }


def _unet(params, batch):
    """Ho et al. 2020: a time in each block, whose last convolution is zero, as the very last is."""
    t = jax.nn.silu(dense(params["time"], sinusoids(batch["t"])))

    def block(layer, h):
        inside = conv(jax.nn.silu(rms_norm(h)), layer["a"]) + dense(layer["t"], t)[:, None, None]
        inside = conv(jax.nn.silu(rms_norm(inside)), layer["b"])
        return (conv(h, layer["short"]) if "short" in layer else h) + inside

    h = conv(batch["x"], params["in"])
    skip = block(params["down"], h)
    h = block(params["mid"], conv(skip, params["halve"], 2))
    h = jnp.repeat(jnp.repeat(h, 2, 1), 2, 2)
    h = block(params["up"], jnp.concatenate([h, skip], -1))
    return conv(jax.nn.silu(rms_norm(h)), params["out"])


def _unet_params():
    draw = Draws(36)
    block = lambda i: {  # noqa: E731
        "a": kernel(draw, i, WIDTH, gain=1.0),
        "t": draw.dense(WIDTH, WIDTH),
        "b": zeros(3, 3, WIDTH, WIDTH),
    }
    return {
        "time": draw.dense(WIDTH, WIDTH),
        "in": kernel(draw, 3, WIDTH, gain=1.0),
        "down": block(WIDTH),
        "halve": kernel(draw, WIDTH, WIDTH, gain=1.0),
        "mid": block(WIDTH),
        "up": block(2 * WIDTH) | {"short": kernel(draw, 2 * WIDTH, WIDTH, 1, 1.0)},
        "out": zeros(3, 3, WIDTH, 3),
    }


def _mobile(params, x):
    """Depthwise separable, with squeeze and excitation."""
    h = conv(x, params["stem"])
    for layer in params["blocks"]:
        inside = jax.nn.silu(rms_norm(conv(h, layer["up"])))
        inside = jax.nn.silu(rms_norm(conv(inside, layer["depth"], groups=32)))
        squeezed = jax.nn.relu(dense(layer["s1"], inside.mean((1, 2))))
        inside = inside * jax.nn.sigmoid(dense(layer["s2"], squeezed))[:, None, None]
        h = h + conv(inside, layer["down"])
    return dense(params["head"], rms_norm(h).mean((1, 2)))


def _mobile_params():
    draw = Draws(40)
    return {
        "stem": kernel(draw, 3, WIDTH),
        "blocks": [
            {
                "up": kernel(draw, WIDTH, 32, 1),
                "depth": kernel(draw, 1, 32),
                "s1": draw.dense(32, 8),
                "s2": draw.dense(8, 32),
                "down": kernel(draw, 32, WIDTH, 1, 1.0),
            }
            for _ in range(2)
        ],
        "head": draw.dense(WIDTH, 5),
    }


TIMED = {"x": IMAGES, "t": np.linspace(0, 9, 8).astype(np.float32), "label": LABELS}

SOUND_VISION = {
    "ViT": (plain(_vit, _vit_params, IMAGES), label_loss, ()),
    "CaiT": (plain(_cait, _cait_params, IMAGES), label_loss, ()),
    "ConvNeXt": (plain(_convnext, _convnext_params, IMAGES), label_loss, ()),
    "ResNet, zero gamma": (plain(_resnet, _resnet_params, IMAGES), label_loss, ()),
    "DiT": (plain(_dit, _dit_params, TIMED), None, ()),
    "U-Net": (plain(_unet, _unet_params, TIMED), None, ()),
    "MobileNet": (plain(_mobile, _mobile_params, IMAGES), label_loss, ()),
}
