"""Sound starts of several paths, and of inputs that the model rescales itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import (
    ROWS,
    WIDTH,
    cross_entropy,
    deep,
    drawn,
    he,
    layers,
    lecun,
    normal,
    normalized,
    plain,
    pre_norm,
    relu_net,
    tanh_net,
)
from faults_paths import (
    TWO_HEADED,
    joined,
    policy_first,
    similarity,
    tower,
    trunk,
    value_first,
)
from foreign_models import linen

SCALES = np.asarray([1e4] * 4 + [1.0] * 4, np.float32)
PIXELS = np.random.default_rng(5).uniform(0, 255, (16, 8)).astype(np.float32)


def standardized(params, x):
    return tanh_net(params, (x - 5e3) / 2.9e3)


def of_pixels(params, x):
    return relu_net(params, x / 255)


def of_parts(params, x):
    """Features of other scales, each brought to its own, as of a physical simulation."""
    parts = [x[:, :4] / 1e4, x[:, 4:] - 2e2]
    return tanh_net(params, jnp.concatenate(parts, axis=-1))


def into_a_loop(params, x):
    h, _ = jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), (x - 5e3) / 2.9e3, params["blocks"])
    return h @ params["out"]


def of_one_example(params, x):
    return jax.vmap(lambda row: tanh_net(params, row[None] * 1e-4)[0])(x)


class _Rescaled(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x / 127.5 - 1
        for _ in range(3):
            x = nn.relu(nn.Dense(16)(x))
        return nn.Dense(4)(x)


def _rescaled():
    init, apply, x = linen(_Rescaled(), PIXELS)
    return apply, drawn(init), x


def _small_head():
    params = {"policy": tower(0, lecun), "value": tower(20, lecun)}
    params["policy"][-1]["w"] = 0.1 * params["policy"][-1]["w"]
    return params


def losses_of_two_sizes(outputs):
    return jnp.mean(outputs["policy"] ** 2) + 1e2 * jnp.mean((outputs["value"] - 3) ** 2)


def trunk_and_heads(params, x):
    h = tanh_net(params["trunk"], x)
    return {name: h @ params[name] for name in ("policy", "value")}


SQUARES = np.stack([np.linalg.qr(normal(70 + n, (8, 8), 1.0))[0] for n in range(6)]).astype(
    np.float32
)


def adaptive(params, x):
    """adaLN-Zero: the modulations of every block and of the end, and the readout, are zero."""
    h = x @ params["in"]
    for block in params["blocks"]:
        scale, gate = jnp.split(x @ block["modulation"], 2, axis=-1)
        h = h + gate * (jax.nn.relu((normalized(h) * (1 + scale)) @ block["w"]) @ block["end"])
    return (normalized(h) * (1 + x @ params["modulation"])) @ params["out"]


def _adaptive():
    return {
        "in": normal(1, (8, 16), lecun(8)),
        "blocks": [
            {
                "modulation": np.zeros((8, 32), np.float32),
                "w": normal(2 + n, (16, 16), he(16)),
                "end": normal(9 + n, (16, 16), lecun(16)),
            }
            for n in range(3)
        ],
        "modulation": np.zeros((8, 16), np.float32),
        "out": np.zeros((16, 4), np.float32),
    }


PATH_SOUND = {
    "adaLN-Zero with a zero readout": (plain(adaptive, _adaptive), None, ()),
    "pre-norm branches and a zero readout": (
        plain(pre_norm, lambda: deep(he(WIDTH)) | {"out": np.zeros((WIDTH, 10), np.float32)}),
        cross_entropy,
        (),
    ),
    "inputs of 5e3 +- 2.9e3": (plain(standardized, layers(lecun), 5e3 + 2.9e3 * ROWS), None, ()),
    "pixels over 255": (plain(of_pixels, layers(he), PIXELS), None, ()),
    "features of two scales": (
        plain(of_parts, layers(lecun), ROWS * SCALES + np.asarray([0] * 4 + [2e2] * 4, np.float32)),
        None,
        (),
    ),
    "inputs rescaled before a loop": (
        plain(into_a_loop, {"blocks": SQUARES, "out": normal(80, (8, 3), 0.3)}, 5e3 + 2.9e3 * ROWS),
        None,
        (),
    ),
    "inputs rescaled, example by example": (
        plain(of_one_example, layers(lecun), ROWS * np.float32(1e4)),
        None,
        (),
    ),
    "pixels rescaled in flax": (_rescaled, None, ()),
    "policy and value": (plain(policy_first, _small_head), None, ()),
    "value and policy": (plain(value_first, _small_head), None, ()),
    "a trunk and losses of two sizes": (
        plain(
            trunk_and_heads,
            {
                "trunk": tower(0, lecun),
                "policy": normal(71, (4, 3), 0.5),
                "value": normal(72, (4, 1), 0.5),
            },
        ),
        losses_of_two_sizes,
        (),
    ),
    "two deep heads on a trunk": (
        plain(trunk, TWO_HEADED | {"policy": tower(20, lecun), "value": tower(40, lecun)}),
        None,
        (),
    ),
    "two towers, multiplied": (
        plain(similarity, {"a": tower(0, lecun), "b": tower(20, lecun)}),
        None,
        (),
    ),
    "two towers, concatenated": (
        plain(
            joined, {"a": tower(0, lecun), "b": tower(20, lecun), "out": normal(60, (8, 3), 0.3)}
        ),
        None,
        (),
    ),
}
