"""Attentions and mixtures of experts, written in several ways; small."""

from typing import Any

import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import SEQUENCE, drawn, normal

LONG = np.random.default_rng(4).normal(size=(4, 16, 16)).astype(np.float32)
CAUSAL = np.tril(np.ones((16, 16), bool))
DISTANCE = np.arange(16)[:, None] - np.arange(16)[None]
SLOPES = 2.0 ** -np.arange(1, 5)


def softmax_by_hand(z):
    """Without a maximum, and with an exp of its own for the sum."""
    return jnp.exp(z) / jnp.sum(jnp.exp(z), axis=-1, keepdims=True)


def unit(x):
    return x * jax.lax.rsqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6)


def masked(z):
    return jnp.where(CAUSAL[None, None], z, -1e9)


def attend(scores=lambda z: z / 2, softmax=jax.nn.softmax, normalize=lambda x: x):
    """`attention` of four heads of four units, with scores and softmax of its own."""

    def apply(params, x):
        q, k, v = (jnp.einsum("btd,hde->bhte", x, params[name]) for name in "qkv")
        z = scores(jnp.einsum("bhte,bhse->bhts", normalize(q), normalize(k)))
        return jnp.einsum("bhts,bhse,hed->btd", softmax(z), v, params["o"])

    return apply


def divided_afterwards(params, x):
    q, k, v = (jnp.einsum("btd,hde->bhte", x, params[name]) for name in "qkv")
    e = jnp.exp(jnp.einsum("bhte,bhse->bhts", q, k))
    mixed = jnp.einsum("bhts,bhse->bhte", e, v) / jnp.sum(e, axis=-1)[..., None]
    return jnp.einsum("bhte,hed->btd", mixed, params["o"])


def layered(params, x):
    """Pre-norm attention, scanned over its layers."""
    block = attend(masked)
    return jax.lax.scan(lambda h, p: (h + block(p, unit(h)), None), x, params)[0]


def of_heads(scale=1.0, depth=None):
    """Params of `attend`; `scale` is that of query and key. With depth, of `layered`."""
    lead = () if depth is None else (depth,)
    params = {
        name: normal(n, (*lead, 4, 16, 4), 0.25) * np.float32(scale if name in "qk" else 1)
        for n, name in enumerate("qkv")
    }
    return params | {"o": normal(3, (*lead, 4, 4, 16), 0.25)}


class Flax(nn.Module):
    scale: float = 1.0
    dtype: object = None

    @nn.compact
    def __call__(self, x):
        init = nn.initializers.variance_scaling(self.scale, "fan_in", "normal")
        mask = nn.make_causal_mask(x[..., 0])
        heads = nn.MultiHeadDotProductAttention(4, kernel_init=init, dtype=self.dtype)
        return nn.Dense(5)(heads(x, x, mask=mask))


def flax_heads(scale=1.0, dtype=None):
    model = Flax(scale, dtype)
    return model.apply, drawn(lambda key: model.init(key, LONG)), LONG


def haiku_heads(scale=1.0):
    def net(x):
        heads = hk.MultiHeadAttention(4, 4, w_init=hk.initializers.VarianceScaling(scale))
        return hk.Linear(5)(heads(x, x, x))

    model = hk.without_apply_rng(hk.transform(net))
    return model.apply, drawn(lambda key: model.init(key, SEQUENCE)), SEQUENCE


EXPERTS = 4


def dense_experts(params, x):
    parts = jnp.einsum("btd,edo->bteo", x, params["experts"])
    return jnp.einsum("bte,bteo->bto", jax.nn.softmax(x @ params["router"]), parts)


def switch(params, x):
    """One expert for each token, scaled by its probability."""
    p = jax.nn.softmax(x @ params["router"])
    chosen = jax.nn.one_hot(jnp.argmax(p, axis=-1), EXPERTS)
    parts = jnp.einsum("btd,edo->bteo", x, params["experts"])
    return jnp.einsum("bte,bteo->bto", p * chosen, parts)


def two_of_them(params, x):
    """Scores of two experts, and a softmax over those two."""
    top, chosen = jax.lax.top_k(x @ params["router"], 2)
    parts = jnp.einsum("btd,btkdo->btko", x, params["experts"][chosen])
    return jnp.einsum("btk,btko->bto", jax.nn.softmax(top), parts)


def of_experts(scale=1.0):
    return {
        "router": normal(7, (16, EXPERTS), 0.25) * np.float32(scale),
        "experts": normal(8, (EXPERTS, 16, 16), 0.25),
    }


class FlaxSwitch(nn.Module):
    router_init: Any = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x):
        scores = nn.Dense(EXPERTS, kernel_init=self.router_init, use_bias=False, name="router")(x)
        gate, chosen = jax.lax.top_k(nn.softmax(scores), 1)
        experts = [nn.Dense(16)(x) for _ in range(EXPERTS)]
        mixed = sum(gate * (chosen == n) * each for n, each in enumerate(experts))
        return nn.Dense(5)(x + mixed)


def flax_switch(**more):
    model = FlaxSwitch(**more)
    return model.apply, drawn(lambda key: model.init(key, SEQUENCE)), SEQUENCE


def codes(params, x):
    """A sparse code: the largest units are kept; no experts."""
    h = x @ params["up"]
    return jnp.where(h >= jax.lax.top_k(h, 3)[0][..., -1:], h, 0) @ params["down"]


def classify(params, x):
    """Probabilities and the class that is most likely: a softmax of the output's own."""
    logits = x @ params["w"]
    return jax.nn.softmax(logits), jnp.argmax(logits, axis=-1)
