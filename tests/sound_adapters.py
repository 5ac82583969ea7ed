"""Starts that add to a trained or frozen model, choose between parts, or open at a gate."""

import jax
import jax.numpy as jnp
from audit_models import IMAGES, ROWS, TOKENS, cross_entropy, plain
from model_pieces import (
    LENGTH,
    VOCABULARY,
    WIDTH,
    Draws,
    attend,
    causal,
    dense,
    full,
    layer_norm,
    ones,
    rms_norm,
    split,
    stacked,
    through,
    token_loss,
    zeros,
)

STOP = jax.lax.stop_gradient


def _base(seed=11, depth=2):
    draw = Draws(seed)
    return {
        "in": draw.dense(8, WIDTH),
        "blocks": [
            {"up": draw.dense(WIDTH, 32), "down": draw.dense(32, WIDTH)} for _ in range(depth)
        ],
        "out": draw.dense(WIDTH, 10),
    }


def _lora(params, x, base=None):
    """x @ (w + a @ b) with w frozen (Hu et al. 2021)."""
    base = STOP(params["base"]) if base is None else base

    def low_rank(layer, h, pair):
        return dense(layer, h) + 2.0 * (h @ pair["a"]) @ pair["b"]

    h = dense(base["in"], x)
    for layer, pairs in zip(base["blocks"], params["pairs"], strict=True):
        inside = jax.nn.relu(low_rank(layer["up"], h, pairs["up"]))
        h = h + low_rank(layer["down"], inside, pairs["down"])
    return dense(base["out"], h)


def _pairs():
    draw = Draws(12)
    pair = lambda i, o: {"a": draw(i, 4), "b": zeros(4, o)}  # noqa: E731
    return [{"up": pair(WIDTH, 32), "down": pair(32, WIDTH)} for _ in range(2)]


def _adapters_only():
    base = _base()
    return lambda params, x: _lora(params, x, base)


def _houlsby(params, x):
    """A narrow branch after each frozen layer, whose end starts nearly at zero."""
    base = STOP(params["base"])
    h = dense(base["in"], x)
    for layer, adapter in zip(base["blocks"], params["adapters"], strict=True):
        h = h + dense(layer["down"], jax.nn.relu(dense(layer["up"], h)))
        h = h + dense(adapter["up"], jax.nn.gelu(dense(adapter["down"], h)))
    return dense(params["head"], h)


def _houlsby_params():
    draw = Draws(13)
    adapter = lambda: {"down": draw.dense(WIDTH, 4, 1e-2), "up": draw.dense(4, WIDTH, 1e-2)}  # noqa: E731
    base = {name: layer for name, layer in _base().items() if name != "out"}
    return {"base": base, "adapters": [adapter(), adapter()], "head": draw.dense(WIDTH, 10)}


def _flamingo(params, batch):
    """Layers that look at images, opened by tanh of a gate (Alayrac et al. 2022)."""
    images = batch["images"] @ params["see"]

    def block(h, layer):
        q, k, v = (
            split(each @ layer[n]) for n, each in (("q", rms_norm(h)), ("k", images), ("v", images))
        )
        h = h + jnp.tanh(layer["gate_a"]) * (attend(q, k, v) @ layer["o"])
        inside = jax.nn.gelu(rms_norm(h) @ layer["up"]) @ layer["down"]
        h = h + jnp.tanh(layer["gate_m"]) * inside
        seen = rms_norm(h)
        q, k, v = (split(seen @ layer["base"][n]) for n in "qkv")
        return h + attend(q, k, v, causal()) @ layer["base"]["o"]

    h = through(block, params["embed"][batch["tokens"]], params["blocks"])
    return rms_norm(h) @ params["head"]


def _flamingo_params():
    draw = Draws(14)
    square = lambda: {name: draw(WIDTH, WIDTH) for name in "qkvo"}  # noqa: E731
    return {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "see": draw(12, WIDTH),
        "blocks": stacked(
            square()
            | {"up": draw(WIDTH, 32), "down": draw(32, WIDTH), "base": square()}
            | {"gate_a": zeros(), "gate_m": zeros()}
            for _ in range(2)
        ),
        "head": draw(WIDTH, VOCABULARY),
    }


def _llama_adapter(params, tokens):
    """Prompts whose attention is multiplied by a gate of zero for each head (Zhang et al. 2023)."""
    h = params["embed"][tokens]
    for layer in params["blocks"]:
        seen = rms_norm(h)
        q, k, v = (split(seen @ layer[n]) for n in "qkv")
        prompt = jnp.broadcast_to(layer["prompt"], (len(tokens), *layer["prompt"].shape))
        other = attend(q, split(prompt @ layer["k"]), split(prompt @ layer["v"]))
        other = (split(other) * layer["gate"][:, None]).reshape(other.shape)
        h = h + (attend(q, k, v, causal()) + other) @ layer["o"]
    return rms_norm(h) @ params["head"]


def _llama_adapter_params():
    draw = Draws(15)
    return {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "blocks": [
            {name: draw(WIDTH, WIDTH) for name in "qkvo"}
            | {"prompt": draw(4, WIDTH, std=1.0), "gate": zeros(2)}
            for _ in range(2)
        ],
        "head": draw(WIDTH, VOCABULARY),
    }


def _prompted(params, tokens):
    """Learned vectors before the tokens of a frozen model."""
    base = STOP(params["base"])
    h = base["embed"][tokens]
    prompt = jnp.broadcast_to(params["prompt"], (len(tokens), *params["prompt"].shape))
    h = jnp.concatenate([prompt, h], 1)
    for layer in base["blocks"]:
        seen = rms_norm(h)
        h = h + attend(*(split(seen @ layer[n]) for n in "qkv")) @ layer["o"]
    return rms_norm(h)[:, -LENGTH:] @ base["head"]


def _prompted_params():
    draw = Draws(16)
    base = {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "blocks": [{name: draw(WIDTH, WIDTH) for name in "qkvo"} for _ in range(2)],
        "head": draw(WIDTH, VOCABULARY),
    }
    return {"base": base, "prompt": draw(3, WIDTH, std=0.5)}


def conv(x, w, stride=1, groups=1):
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )  # fmt: skip


def _controlnet(params, batch):
    """A copy of a frozen encoder whose outputs come in through convolutions of zeros."""
    frozen, x = STOP(params["frozen"]), batch["images"]
    h, other = conv(x, frozen["in"]), conv(x, params["copy"]["in"])
    other = other + conv(batch["condition"], params["zero_in"])
    outs = []
    for base, layer, zero in zip(
        frozen["down"], params["copy"]["down"], params["zeros"], strict=True
    ):
        h = h + conv(jax.nn.silu(rms_norm(h)), base)
        other = other + conv(jax.nn.silu(rms_norm(other)), layer)
        outs.append(conv(other, zero))
    for base, out in zip(frozen["up"], reversed(outs), strict=True):
        h = h + out
        h = h + conv(jax.nn.silu(rms_norm(h)), base)
    return conv(rms_norm(h), frozen["out"])


def _controlnet_params():
    draw = Draws(17)
    kernel = lambda i, o: draw(3, 3, i, o, std=(9 * i) ** -0.5)  # noqa: E731
    encoder = {"in": kernel(3, WIDTH), "down": [kernel(WIDTH, WIDTH) for _ in range(2)]}
    frozen = encoder | {"up": [kernel(WIDTH, WIDTH) for _ in range(2)], "out": kernel(WIDTH, 3)}
    return {
        "frozen": frozen,
        "copy": encoder,
        "zero_in": zeros(1, 1, 3, WIDTH),
        "zeros": [zeros(1, 1, WIDTH, WIDTH) for _ in range(2)],
    }


def _experts(params, x, most=2):
    """A router's best experts of four, weighted by their probabilities, beside a shared one."""
    h = jax.nn.relu(dense(params["in"], x))
    for layer in params["blocks"]:
        p = jax.nn.softmax(rms_norm(h) @ layer["router"])
        best, which = jax.lax.top_k(p, most)
        chosen = (jax.nn.one_hot(which, p.shape[-1]) * best[..., None]).sum(-2)
        chosen = chosen / chosen.sum(-1, keepdims=True)
        inside = jax.nn.silu(jnp.einsum("bi,nih->bnh", h, layer["up"]))
        each = jnp.einsum("bnh,nho->bno", inside, layer["down"])
        h = h + jnp.einsum("bn,bno->bo", chosen, each)
    return dense(params["out"], h)


def _soft_experts(params, x):
    return _experts(params, x, most=4)


def _experts_params():
    draw = Draws(18)
    return {
        "in": draw.dense(8, WIDTH),
        "blocks": [
            {"router": draw(WIDTH, 4), "up": draw(4, WIDTH, 24), "down": draw(4, 24, WIDTH)}
            for _ in range(2)
        ],
        "out": draw.dense(WIDTH, 10),
    }


def _highway(params, x):
    """Srivastava et al. 2015: transform gates start closed, by biases of -2."""
    h = dense(params["in"], x)
    for layer in params["blocks"]:
        gate = jax.nn.sigmoid(dense(layer["gate"], h))
        h = gate * jnp.tanh(dense(layer["new"], h)) + (1 - gate) * h
    return dense(params["out"], h)


def _highway_params():
    draw = Draws(19)
    return {
        "in": draw.dense(8, WIDTH),
        "blocks": [
            {
                "new": draw.dense(WIDTH, WIDTH),
                "gate": draw.dense(WIDTH, WIDTH) | {"b": full(-2.0, WIDTH)},
            }
            for _ in range(4)
        ],
        "out": draw.dense(WIDTH, 10),
    }


def _rezero(params, x):
    h = dense(params["in"], x)
    for layer in params["blocks"]:
        h = h + layer["alpha"] * dense(layer["down"], jax.nn.relu(dense(layer["up"], h)))
    return dense(params["out"], h)


def _rezero_params(alpha=0.0):
    base = _base(20, 3)
    return base | {"blocks": [block | {"alpha": full(alpha)} for block in base["blocks"]]}


def _skip_init_zero_head():
    """Zeros behind zeros: the head opens first, then the gates, then what is behind them."""
    params = _rezero_params()
    return params | {"out": {"w": zeros(WIDTH, 10), "b": zeros(10)}}


def _norms_of_zero(params, x):
    h = dense(params["in"], x)
    for layer in params["blocks"]:
        inside = dense(layer["down"], jax.nn.relu(dense(layer["up"], h)))
        h = h + layer_norm(inside, layer["norm"])
    return dense(params["out"], h)


def _norms_of_zero_params():
    base = _base(21)
    norm = {"scale": zeros(WIDTH), "bias": zeros(WIDTH)}
    return base | {"blocks": [block | {"norm": norm} for block in base["blocks"]]}


def _linear_attention_gate(params, x):
    """A scale for each unit, applied by einsum."""
    h = dense(params["in"], x)
    for layer in params["blocks"]:
        seen = jnp.einsum("bd,d->bd", rms_norm(h), layer["scale"])
        h = h + dense(layer["down"], jax.nn.relu(dense(layer["up"], seen)))
    return dense(params["out"], h)


def _einsum_scales():
    base = _base(22)
    return base | {"blocks": [block | {"scale": ones(WIDTH)} for block in base["blocks"]]}


_SEEN = {"tokens": TOKENS, "images": Draws(10)(8, 5, 12, std=1.0)}
_PAIR = {"images": IMAGES, "condition": Draws(9)(*IMAGES.shape, std=1.0)}

SOUND_ADAPTERS = {
    "LoRA on a frozen base": (
        plain(_lora, lambda: {"base": _base(), "pairs": _pairs()}), cross_entropy, (),
    ),
    "LoRA alone": (
        lambda: (_adapters_only(), {"pairs": _pairs()}, ROWS), cross_entropy, (),
    ),
    "Houlsby adapters": (plain(_houlsby, _houlsby_params), cross_entropy, ()),
    "Flamingo": (plain(_flamingo, _flamingo_params, _SEEN), token_loss, ()),
    "LLaMA-Adapter": (plain(_llama_adapter, _llama_adapter_params, TOKENS), token_loss, ()),
    "soft prompts": (plain(_prompted, _prompted_params, TOKENS), token_loss, ()),
    "ControlNet": (plain(_controlnet, _controlnet_params, _PAIR), None, ()),
    "experts, two of four": (plain(_experts, _experts_params), cross_entropy, ()),
    "experts, all mixed": (plain(_soft_experts, _experts_params), cross_entropy, ()),
    "highway": (plain(_highway, _highway_params), cross_entropy, ()),
    "ReZero": (plain(_rezero, _rezero_params), cross_entropy, ()),
    "SkipInit and a head of zeros": (plain(_rezero, _skip_init_zero_head), cross_entropy, ()),
    "branches that end in norms of zero": (
        plain(_norms_of_zero, _norms_of_zero_params), cross_entropy, (),
    ),
    "scales by einsum": (plain(_linear_attention_gate, _einsum_scales), cross_entropy, ()),
}  # fmt: skip
