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


def keeps_by_mask(chosen, capacity):
    """Places of a running sum, as in Mesh TensorFlow."""
    places = jnp.cumsum(chosen, axis=0) * chosen
    return chosen * (places <= capacity)


def keeps_by_place(chosen, capacity):
    """One place for each token, from 0."""
    places = jnp.sum((jnp.cumsum(chosen, axis=0) - 1) * chosen, axis=-1)
    return jnp.where((places >= capacity)[:, None], 0, chosen)


def keeps_by_slot(chosen, capacity):
    """A one-hot code of the places, as wide as the capacity, as in V-MoE."""
    places = jnp.cumsum(chosen, axis=0) * chosen - 1
    return jnp.sum(jax.nn.one_hot(places.astype(jnp.int32), capacity), axis=-1)


def with_capacity(keep, capacity, by_top_k=False):
    """A switch of experts whose tokens beyond a capacity pass by."""

    def apply(params, x):
        h = x.reshape(-1, x.shape[-1])
        p = jax.nn.softmax(h @ params["router"])
        chosen = jax.lax.top_k(p, 1)[1][:, 0] if by_top_k else jnp.argmax(p, axis=-1)
        kept = keep(jax.nn.one_hot(chosen, EXPERTS), capacity)
        parts = jnp.einsum("td,edo->teo", h, params["experts"])
        return (h + jnp.einsum("te,teo->to", p * kept, parts)).reshape(x.shape)

    return apply


def _parts(params, x):
    return (jnp.einsum("btd,hde->bhte", x, params[name]) for name in "qkv")


def _step(state, q, k, v):
    """One block of keys of an attention with a running maximum and sum."""
    top, total, mixed = state
    z = jnp.einsum("bhte,bhse->bhts", q, k) / 2
    new = jnp.maximum(top, z.max(-1))
    p, shrink = jnp.exp(z - new[..., None]), jnp.exp(top - new)
    total = total * shrink + p.sum(-1)
    return new, total, mixed * shrink[..., None] + jnp.einsum("bhts,bhse->bhte", p, v)


def _first(q):
    return jnp.full(q.shape[:3], -jnp.inf), jnp.zeros(q.shape[:3]), jnp.zeros_like(q)


def in_unrolled_blocks(params, x):
    q, k, v = _parts(params, x)
    state = _first(q)
    for n in range(0, k.shape[2], 4):
        state = _step(state, q, k[:, :, n : n + 4], v[:, :, n : n + 4])
    return jnp.einsum("bhte,hed->btd", state[2] / state[1][..., None], params["o"])


def in_scanned_blocks(params, x):
    q, k, v = _parts(params, x)
    blocks = [jnp.moveaxis(each.reshape(*each.shape[:2], -1, 4, 4), 2, 0) for each in (k, v)]
    (_, total, mixed), _ = jax.lax.scan(
        lambda state, each: (_step(state, q, *each), None), _first(q), tuple(blocks)
    )
    return jnp.einsum("bhte,hed->btd", mixed / total[..., None], params["o"])


def _masked_step(state, q, k, v, turn, block):
    causal = (turn * 4 + jnp.arange(4))[:, None] >= block * 4 + jnp.arange(4)[None]
    top, total, mixed = state
    z = jnp.where(causal, jnp.einsum("bhte,bhse->bhts", q, k) / 2, -1e30)
    new = jnp.maximum(top, z.max(-1))
    p, shrink = jnp.exp(z - new[..., None]), jnp.exp(top - new)
    total = total * shrink + p.sum(-1)
    return new, total, mixed * shrink[..., None] + jnp.einsum("bhts,bhse->bhte", p, v)


def skipping_blocks(params, x):
    """Causal: of blocks of keys those before are whole, one is masked, those behind are skipped."""
    q, k, v = (
        jnp.moveaxis(each.reshape(*each.shape[:2], -1, 4, 4), 2, 0) for each in _parts(params, x)
    )
    numbers = jnp.arange(len(q))

    def row(_, given):
        turn, q = given

        def column(state, given):
            block, k, v = given
            steps = [
                lambda state: _step(state, q, k, v),
                lambda state: _masked_step(state, q, k, v, turn, block),
                lambda state: state,
            ]
            return jax.lax.switch(jnp.sign(block - turn) + 1, steps, state), None

        start = (jnp.full(q.shape[:3], -1e30), jnp.zeros(q.shape[:3]), jnp.zeros_like(q))
        _, total, mixed = jax.lax.scan(column, start, (numbers, k, v))[0]
        return None, mixed / total[..., None]

    mixed = jnp.moveaxis(jax.lax.scan(row, None, (numbers, q))[1], 0, 2)
    return jnp.einsum("bhte,hed->btd", mixed.reshape(len(x), 4, -1, 4), params["o"])


def by_jax(params, x):
    q, k, v = (jnp.einsum("btd,hde->bthe", x, params[name]) for name in "qkv")
    return jnp.einsum("bthe,hed->btd", jax.nn.dot_product_attention(q, k, v), params["o"])
