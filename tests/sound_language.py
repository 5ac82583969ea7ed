"""Published starts of language models, at the width of a thumbnail."""

import jax
import jax.numpy as jnp
from audit_models import TOKENS, plain
from model_pieces import (
    LENGTH,
    VOCABULARY,
    WIDTH,
    Draws,
    attend,
    causal,
    dense,
    full,
    joined,
    layer_norm,
    ones,
    rms_norm,
    rotated,
    split,
    stacked,
    through,
    token_loss,
    unit,
    zeros,
)

DEPTH, WIDE = 2, 3 * WIDTH


def _gpt2_block(h, layer):
    q, k, v = (
        split(each) for each in jnp.split(dense(layer["qkv"], layer_norm(h, layer["n1"])), 3, -1)
    )
    h = h + dense(layer["proj"], attend(q, k, v, causal()))
    return h + dense(layer["down"], jax.nn.gelu(dense(layer["up"], layer_norm(h, layer["n2"]))))


def _gpt2(params, tokens):
    h = params["wte"][tokens] + params["wpe"]
    for layer in params["blocks"]:
        h = _gpt2_block(h, layer)
    return layer_norm(h, params["norm"]) @ params["wte"].T


def _gpt2_scanned(params, tokens):
    h = params["wte"][tokens] + params["wpe"]
    h = through(_gpt2_block, h, params["blocks"])
    return layer_norm(h, params["norm"]) @ params["wte"].T


def _gpt2_params(depth=DEPTH):
    """Radford et al. 2019: std 0.02, over sqrt(2 depth) where a branch ends."""
    draw = Draws(1)
    end = 0.02 / (2 * depth) ** 0.5
    block = lambda: {  # noqa: E731
        "n1": draw.norm(),
        "qkv": draw.dense(WIDTH, 3 * WIDTH, 0.02),
        "proj": draw.dense(WIDTH, WIDTH, end),
        "n2": draw.norm(),
        "up": draw.dense(WIDTH, WIDE, 0.02),
        "down": draw.dense(WIDE, WIDTH, end),
    }
    return {
        "wte": draw(VOCABULARY, WIDTH, std=0.02),
        "wpe": draw(LENGTH, WIDTH, std=0.02),
        "blocks": [block() for _ in range(depth)],
        "norm": draw.norm(),
    }


def _gpt2_stacked():
    params = _gpt2_params()
    return params | {"blocks": stacked(params["blocks"])}


def _llama(params, tokens):
    def block(h, layer):
        seen = rms_norm(h, layer["n1"])
        q, k, v = (
            split(seen @ layer[name], heads) for name, heads in (("q", 4), ("k", 2), ("v", 2))
        )
        h = h + attend(rotated(q), rotated(k), v, causal()) @ layer["o"]
        seen = rms_norm(h, layer["n2"])
        return h + (jax.nn.silu(seen @ layer["gate"]) * (seen @ layer["up"])) @ layer["down"]

    h = through(block, params["embed"][tokens], params["blocks"])
    return rms_norm(h, params["norm"]) @ params["head"]


def _llama_params():
    """Touvron et al. 2023: grouped queries, gated linear units, std 0.02 everywhere."""
    draw = Draws(2)
    sizes = {"q": (WIDTH, WIDTH), "k": (WIDTH, 8), "v": (WIDTH, 8), "o": (WIDTH, WIDTH)}
    sizes |= {"gate": (WIDTH, 40), "up": (WIDTH, 40), "down": (40, WIDTH)}
    return {
        "embed": draw(VOCABULARY, WIDTH, std=0.02),
        "blocks": stacked(
            {name: draw(*shape, std=0.02) for name, shape in sizes.items()}
            | {"n1": ones(WIDTH), "n2": ones(WIDTH)}
            for _ in range(DEPTH)
        ),
        "norm": ones(WIDTH),
        "head": draw(WIDTH, VOCABULARY, std=0.02),
    }


def _nanochat(params, tokens):
    first = rms_norm(params["embed"][tokens])

    def block(h, layer):
        h = layer["resid"] * h + layer["from_first"] * first
        seen = rms_norm(h)
        q, k, v = (split(seen @ layer[name]) for name in "qkv")
        q, k = (rms_norm(rotated(each)) for each in (q, k))
        h = h + attend(q, k, v, causal()) @ layer["o"]
        return h + jax.nn.relu(rms_norm(h) @ layer["up"]) ** 2 @ layer["down"]

    h = through(block, first, params["blocks"])
    return 15 * jnp.tanh(rms_norm(h) @ params["head"] / 15)


def _nanochat_params():
    """Branches that end in zeros, normalized queries, squared relu, a nearly zero readout."""
    draw = Draws(3)
    bound = (3 / WIDTH) ** 0.5
    return {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "blocks": stacked(
            {name: draw.uniform(WIDTH, WIDTH, bound=bound) for name in "qkv"}
            | {"o": zeros(WIDTH, WIDTH), "down": zeros(WIDE, WIDTH)}
            | {"up": draw.uniform(WIDTH, WIDE, bound=bound)}
            | {"resid": ones(), "from_first": full(0.1)}
            for _ in range(DEPTH)
        ),
        "head": draw(WIDTH, VOCABULARY, std=0.001),
    }


def _t5(params, tokens):
    """An encoder and a decoder that reads it; attention without a scale, biases by distance."""
    distance = jnp.abs(jnp.arange(LENGTH)[:, None] - jnp.arange(LENGTH))
    embedded = params["embed"][tokens]

    def branch(h, layer, other, mask, bias):
        q, k, v = (
            split(each @ layer[name]) for name, each in (("q", h), ("k", other), ("v", other))
        )
        logits = jnp.einsum("bqhd,bkhd->bhqk", q, k) + bias
        logits = jnp.where(mask, logits, -1e9)
        return joined(jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), v)) @ layer["o"]

    def stack(h, layers, bias, mask, memory=None):
        for layer in layers:
            seen = rms_norm(h, layer["n1"])
            h = h + branch(seen, layer["self"], seen, mask, bias)
            if memory is not None:
                h = h + branch(rms_norm(h, layer["n2"]), layer["cross"], memory, True, 0.0)
            h = h + jax.nn.relu(rms_norm(h, layer["n3"]) @ layer["up"]) @ layer["down"]
        return rms_norm(h)

    bias = jnp.moveaxis(params["bias"][distance], -1, 0)
    memory = stack(embedded, params["encoder"], bias, True)
    h = stack(embedded, params["decoder"], bias, causal(), memory)
    return h * WIDTH**-0.5 @ params["embed"].T


def _t5_params():
    """Raffel et al. 2020: queries of variance 1 / (width x width of a head)."""
    draw = Draws(4)
    attention = lambda: {  # noqa: E731
        "q": draw(WIDTH, WIDTH, std=(WIDTH * WIDTH / 2) ** -0.5),
        **{name: draw(WIDTH, WIDTH) for name in "kvo"},
    }
    norms = lambda *names: {name: ones(WIDTH) for name in names}  # noqa: E731
    mlp = lambda: {"up": draw(WIDTH, WIDE), "down": draw(WIDE, WIDTH)}  # noqa: E731
    return {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "bias": draw(LENGTH, 2, std=WIDTH**-0.5),
        "encoder": [{"self": attention(), **norms("n1", "n3"), **mlp()}],
        "decoder": [
            {"self": attention(), "cross": attention(), **norms("n1", "n2", "n3"), **mlp()}
        ],
    }


def _bert(params, tokens):
    h = params["word"][tokens] + params["position"] + params["kind"][jnp.zeros_like(tokens)]

    def block(h, layer):
        q, k, v = (split(dense(layer[name], h)) for name in "qkv")
        h = layer_norm(h + dense(layer["o"], attend(q, k, v)), layer["n1"])
        inside = jax.nn.gelu(dense(layer["up"], h))
        return layer_norm(h + dense(layer["down"], inside), layer["n2"])

    h = through(block, layer_norm(h, params["n0"]), params["blocks"])
    return dense(params["head"], jnp.tanh(dense(params["pool"], h[:, 0])))


def _bert_params():
    """Devlin et al. 2019: norms after the sum, std 0.02 at width 768, a tanh on the first token."""
    draw, std = Draws(5), 0.02 * (768 / WIDTH) ** 0.5
    return {
        "word": draw(VOCABULARY, WIDTH, std=std),
        "position": draw(LENGTH, WIDTH, std=std),
        "kind": draw(2, WIDTH, std=std),
        "n0": draw.norm(),
        "blocks": stacked(
            {name: draw.dense(WIDTH, WIDTH, std) for name in "qkvo"}
            | {"up": draw.dense(WIDTH, WIDE, std), "down": draw.dense(WIDE, WIDTH, std)}
            | {"n1": draw.norm(), "n2": draw.norm()}
            for _ in range(DEPTH)
        ),
        "pool": draw.dense(WIDTH, WIDTH, std),
        "head": draw.dense(WIDTH, 3, std),
    }


def _deepnorm(params, tokens):
    alpha = (2 * len(params["blocks"]["q"])) ** 0.25

    def block(h, layer):
        q, k, v = (split(h @ layer[name]) for name in "qkv")
        h = layer_norm(alpha * h + attend(q, k, v, causal()) @ layer["o"], layer["n1"])
        return layer_norm(alpha * h + jax.nn.relu(h @ layer["up"]) @ layer["down"], layer["n2"])

    return through(block, params["embed"][tokens], params["blocks"]) @ params["head"]


def _deepnorm_params(depth=6):
    """Wang et al. 2022 (2203.00555): Xavier, times beta where values and branches end."""
    draw = Draws(6)
    beta = (8 * depth) ** -0.25
    xavier = lambda i, o, gain: draw(i, o, std=gain * (2 / (i + o)) ** 0.5)  # noqa: E731
    gains = {"q": 1, "k": 1, "v": beta, "o": beta}
    return {
        "embed": draw(VOCABULARY, WIDTH, std=1.0),
        "blocks": stacked(
            {name: xavier(WIDTH, WIDTH, gain) for name, gain in gains.items()}
            | {"up": xavier(WIDTH, WIDE, beta), "down": xavier(WIDE, WIDTH, beta)}
            | {"n1": draw.norm(), "n2": draw.norm()}
            for _ in range(depth)
        ),
        "head": xavier(WIDTH, VOCABULARY, 1),
    }


def _ngpt(params, tokens):
    def toward(h, branch, rate):
        return unit(h + rate * (unit(branch) - h))

    def block(h, layer):
        q, k, v = (split(h @ unit(layer[name], 0)) for name in "qkv")
        q, k = (unit(rotated(each)) * layer["scale_qk"] for each in (q, k))
        mixed = attend(q, k, v, causal(), (WIDTH / 2) ** 0.5) @ unit(layer["o"], 1)
        h = toward(h, mixed, layer["rate_a"])
        u, g = (h @ unit(layer[name], 0) * WIDTH**0.5 for name in ("up", "gate"))
        return toward(h, (u * jax.nn.silu(g)) @ unit(layer["down"], 1), layer["rate_m"])

    h = through(block, unit(params["embed"])[tokens], params["blocks"])
    return h @ unit(params["head"], 0) * params["scale"]


def _ngpt_params():
    """Loshchilov et al. 2024 (2410.01131): everything lies on a sphere."""
    draw = Draws(7)
    sizes = dict.fromkeys("qkvo", (WIDTH, WIDTH))
    sizes |= {"up": (WIDTH, WIDE), "gate": (WIDTH, WIDE), "down": (WIDE, WIDTH)}
    rates = {"rate_a": full(0.05, WIDTH), "rate_m": full(0.05, WIDTH), "scale_qk": ones(8)}
    return {
        "embed": draw(VOCABULARY, WIDTH, std=WIDTH**-0.5),
        "blocks": stacked(
            {name: draw(*shape, std=WIDTH**-0.5) for name, shape in sizes.items()} | rates
            for _ in range(DEPTH)
        ),
        "head": draw(WIDTH, VOCABULARY),
        "scale": ones(VOCABULARY),
    }


def _albert(params, tokens):
    """One block again and again (Lan et al. 2020), from a narrow table."""
    h = params["table"][tokens] @ params["widen"] + params["position"]
    h, _ = jax.lax.scan(lambda h, _: (_gpt2_block(h, params["block"]), None), h, None, length=4)
    return layer_norm(h, params["norm"]) @ params["head"]


def _albert_params():
    draw, known = Draws(8), _gpt2_params(1)
    return {
        "table": draw(VOCABULARY, 6, std=1.0),
        "widen": draw(6, WIDTH),
        "position": draw(LENGTH, WIDTH, std=0.02),
        "block": known["blocks"][0],
        "norm": draw.norm(),
        "head": draw(WIDTH, VOCABULARY, std=0.02),
    }


SOUND_LANGUAGE = {
    "GPT-2": (plain(_gpt2, _gpt2_params, TOKENS), token_loss, ()),
    "GPT-2, scanned": (plain(_gpt2_scanned, _gpt2_stacked, TOKENS), token_loss, ()),
    "Llama": (plain(_llama, _llama_params, TOKENS), token_loss, ()),
    "nanochat-like": (plain(_nanochat, _nanochat_params, TOKENS), token_loss, ()),
    "T5": (plain(_t5, _t5_params, TOKENS), token_loss, ()),
    "BERT": (plain(_bert, _bert_params, TOKENS), None, ()),
    "DeepNorm": (plain(_deepnorm, _deepnorm_params, TOKENS), token_loss, ()),
    "nGPT-like": (plain(_ngpt, _ngpt_params, TOKENS), token_loss, ()),
    "ALBERT": (plain(_albert, _albert_params, TOKENS), token_loss, ()),
}
