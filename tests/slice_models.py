"""Models that take parameters slice by slice: carried layers, chosen experts, packed heads."""

import jax
import jax.numpy as jnp
import numpy as np
from block_models import attend
from jax import lax


def carried(p, x):
    """Layers without a residual sum: each has hidden units of its own."""
    return lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p["w"])[0]


def carried_between(p, x):
    def step(h, layer):
        return jnp.tanh(h @ layer["w"] + layer["b"][None]), None

    layers = {"w": p["w"], "b": p["b"]}
    return lax.scan(jax.checkpoint(step), x @ p["in"], layers)[0] @ p["out"]


def carried_back(p, x):
    """The last layer first, and what each of them gave."""
    return lax.scan(lambda h, w: (jnp.tanh(h @ w), h), x, p["w"], reverse=True)


def pairs_of_layers(p, x):
    return lax.scan(lambda h, w: (jnp.tanh(jnp.tanh(h @ w[0]) @ w[1]), None), x, p["w"])[0]


def counted(p, x):
    return lax.fori_loop(0, 3, lambda n, h: jnp.tanh(h @ p["w"][n]), x)


def counted_down(p, x):
    """By a loop whose condition is a counter's, under a branch that the counter takes."""

    def body(state):
        n, h = state
        h = lax.cond(n > 0, jnp.sin, jnp.tanh, h @ p["w"][n])
        return n - 1, h

    return lax.while_loop(lambda state: state[0] >= 0, body, (2, x))[1]


def indexed_down(p, x):
    """By indices that a counter is subtracted from, each slice taken in a call of its own."""

    def layer(n, h):
        w = lax.dynamic_index_in_dim(p["w"], 2 - n, keepdims=False)
        return jnp.tanh(h @ w + p["b"][2 - n])

    return lax.fori_loop(0, 3, layer, x)


def made_in_layers(p, x):
    """All layers' weights and biases made at once, and scanned."""

    def step(h, made):
        return jnp.tanh(h @ made[:36].reshape(6, 6) + made[36:]), None

    return lax.scan(step, x, (p["z"] @ p["make"]).reshape(3, 42))[0]


def written_out(p, x):
    for n in range(3):
        x = jnp.tanh(x @ p["w"][n])
    return x


def put_together(p, x):
    return carried({"w": jnp.stack([p["0"], p["1"], p["2"]])}, x)


def members_of_layers(p, x):
    return jax.vmap(lambda w: carried({"w": w}, x))(p["w"])


def cells(p, x):
    """Layers of recurrent units: each layer's states are its own, along all of time."""

    def layer(steps, w):
        def cell(h, x):
            h = jnp.tanh(x @ w["in"] + h @ w["across"])
            return h, h

        return lax.scan(cell, jnp.zeros_like(steps[0]), steps)[1], None

    return lax.scan(layer, jnp.swapaxes(x, 0, 1), p)[0]


def counted_blocks(p, x):
    return lax.fori_loop(0, 3, lambda n, h: h + jnp.tanh(h @ p["u"][n]) @ p["d"][n], x)


def made(p, x):
    """All layers' weights made at once."""
    w = (p["z"] @ p["make"]).reshape(3, 6, 6)
    for n in range(3):
        x = jnp.tanh(x @ w[n])
    return x


def _packed(order):
    """Queries, keys and values of one matrix: heads, the three and features in some order."""

    def apply(p, x):
        z = (x @ p["qkv"]).reshape(*x.shape[:2], *order(2, 3, 4))
        three = order(2, 3, 4).index(3) + 2
        q, k, v = (jnp.squeeze(each, three) for each in jnp.split(z, 3, three))
        return attend(q, k, v).reshape(*x.shape[:2], 8) @ p["o"]

    return apply


def interleaved(p, x):
    q, k, v = jnp.split((x @ p["qkv"]).reshape(*x.shape[:2], 2, 12), 3, -1)
    return attend(q, k, v).reshape(*x.shape[:2], 8) @ p["o"]


def packed_in_layers(p, x):
    def step(h, layer):
        q, k, v = jnp.einsum("btd,dnhe->nbthe", h, layer["qkv"])
        return h + jnp.einsum("bthe,hed->btd", attend(q, k, v), layer["o"]), None

    return lax.scan(step, x, p)[0]


def _router(p, x):
    return x @ p["r"]


def chosen(p, x):
    """The expert of the largest logit."""
    which = jnp.argmax(_router(p, x), -1)
    h = jnp.tanh(jnp.einsum("bi,bih->bh", x, p["w"][which]))
    return jnp.einsum("bh,bho->bo", h, p["v"][which])


def chosen_by_vmap(p, x):
    def token(x):
        which = jnp.argmax(_router(p, x))
        return jnp.tanh(x @ p["w"][which]) @ p["v"][which]

    return jax.vmap(token)(x)


def two_chosen(p, x):
    gates, which = lax.top_k(jax.nn.softmax(_router(p, x)), 2)
    h = jnp.tanh(jnp.einsum("bi,bkih->bkh", x, p["w"][which]))
    return jnp.einsum("bkh,bkho,bk->bo", h, p["v"][which], gates)


def chosen_of_layers(p, x):
    """Each layer's expert by one lookup of both, as a counter and the data say."""

    def layer(n, x):
        which = jnp.argmax(_router(p, x), -1)
        h = jnp.tanh(jnp.einsum("bi,bih->bh", x, p["w"][n, which]))
        return x + jnp.einsum("bh,bho->bo", h, p["v"][n, which])

    return lax.fori_loop(0, 2, layer, x)


def _chosen_and(change):
    """Experts chosen by data, their units or their choice changed on the way."""

    def apply(p, x):
        logits = _router(p, x)
        which = jnp.argmax(logits, -1)
        h = jnp.tanh(jnp.einsum("bi,bih->bh", x, p["w"][which]))
        h, which = change(h, which, logits)
        return jnp.einsum("bh,bho->bo", h, p["v"][which])

    return apply


def _summed(p, x):
    which = jnp.argmax(_router(p, x), -1)
    h = jnp.tanh(jnp.einsum("bi,bih->bh", x, p["w"][which]))
    return jnp.einsum("bh,cho->bco", h, p["v"][which])


def _stale(p, x):
    """What one turn of a loop has chosen meets what the next one does."""
    which = jnp.argmax(_router(p, x), -1)

    def step(h, n):
        return jnp.tanh(h @ p["v"][n] @ p["w"][n]), None

    return lax.scan(step, x @ p["w"][0], which)[0] @ p["v"][1]


CHANGES = {
    "the choice of another": lambda h, which, logits: (h, jnp.argmin(logits, -1)),
    "rolled": lambda h, which, logits: (jnp.roll(h, 1, 0), which),
    "reversed": lambda h, which, logits: (h[::-1], which),
    "sorted": lambda h, which, logits: (jnp.sort(h, 0), which),
    "cumulated": lambda h, which, logits: (jnp.cumsum(h, 0), which),
    "gathered": lambda h, which, logits: (h[jnp.argsort(logits[:, 0])], which),
    "scattered": lambda h, which, logits: (jnp.zeros_like(h).at[which].add(h), which),
    "centred": lambda h, which, logits: (h - jnp.mean(h, 0, keepdims=True), which),
    "transformed": lambda h, which, logits: (jnp.fft.fft(h, axis=0).real, which),
}


def fourier(p, x):
    """Mixing along tokens, as FNet does (Lee-Thorp et al. 2021, arXiv:2105.03824)."""
    h = jnp.tanh(x @ p["in"])
    h = h + jnp.fft.fft(h, axis=1).real
    spectrum = jnp.fft.rfft(h, axis=1) * lax.complex(p["k"], jnp.sin(p["k"]))[None]
    return jnp.fft.irfft(spectrum, 3, axis=1) @ p["out"]


def transformed_units(p, x):
    return jnp.fft.fft(jnp.tanh(x @ p["in"])).real @ p["out"]


def complex_weights(p, x):
    """Spectral weights, as a Fourier neural operator has them (Li et al. 2021, 2010.08895)."""
    spectrum = jnp.einsum("bki,kio->bko", jnp.fft.rfft(x @ p["in"], axis=1), p["k"])
    return jnp.tanh(jnp.fft.irfft(spectrum, 3, axis=1)) @ p["out"]


_LAYERS, _ROWS, _TOKENS = {"w": (3, 6, 6)}, (5, 6), (2, 3, 6)
_HIDDEN = {"w[0]": (), "w[1]": ()}
_EXPERTS = {"r": (3, 4), "w": (4, 3, 5), "v": (4, 5, 3)}
_PACKED = {"qkv": (6, 24), "o": (8, 6)}
_FOURIER = {"in": (6, 5), "k": (2, 5), "out": (5, 2)}

SLICE_MODELS = {
    "carried": (carried, _LAYERS, _ROWS, _HIDDEN),
    "carried between": (
        carried_between,
        {"in": (4, 6), "w": (3, 6, 6), "b": (3, 6), "out": (6, 2)},
        (5, 4),
        {"in": (), "b[0]": (), "b[1]": (), "b[2]": ()},
    ),
    "carried back": (carried_back, _LAYERS, _ROWS, {}),
    "pairs of layers": (
        pairs_of_layers,
        {"w": (2, 2, 6, 6)},
        _ROWS,
        {"w:3[0]": (2,), "w:2[0, 1]": ()},
    ),
    "counted": (counted, _LAYERS, _ROWS, _HIDDEN),
    "counted down": (counted_down, _LAYERS, _ROWS, _HIDDEN),
    "indexed down": (indexed_down, {"w": (3, 6, 6), "b": (3, 6)}, _ROWS, {"b[1]": (), "b[2]": ()}),
    "made in layers": (made_in_layers, {"z": (4,), "make": (4, 126)}, _ROWS, None),
    "written out": (written_out, _LAYERS, _ROWS, _HIDDEN),
    "put together": (put_together, dict.fromkeys("012", (6, 6)), _ROWS, {"0": (), "1": ()}),
    "members of layers": (
        members_of_layers,
        {"w": (2, 3, 6, 6)},
        _ROWS,
        {"w[0]": (2,), "w[1]": (2,)},
    ),
    "cells": (
        cells,
        {"in": (3, 6, 6), "across": (3, 6, 6)},
        _TOKENS,
        {"across[0]": (), "across[1]": ()},
    ),
    "counted blocks": (counted_blocks, {"u": (3, 6, 4), "d": (3, 4, 6)}, _ROWS, {"d": (3,)}),
    "made": (made, {"z": (4,), "make": (4, 108)}, _ROWS, None),
    "packed, the three first": (_packed(lambda h, n, e: (n, h, e)), _PACKED, _TOKENS, None),
    "packed, heads first": (_packed(lambda h, n, e: (h, n, e)), _PACKED, _TOKENS, None),
    "packed, the three last": (_packed(lambda h, n, e: (h, e, n)), _PACKED, _TOKENS, None),
    "interleaved": (
        interleaved,
        _PACKED,
        _TOKENS,
        {"o:0[1,2,4]": (), "o:0[2,4,1]": (2,), "qkv[0]": (2,)},
    ),
    "packed in layers": (
        packed_in_layers,
        {"qkv": (2, 6, 3, 2, 4), "o": (2, 2, 4, 6)},
        _TOKENS,
        {"o:1": (2,), "o:2": (2, 2), "qkv[0]": (2, 2)},
    ),
    "chosen": (chosen, _EXPERTS, (5, 3), {"v": (4,)}),
    "chosen by vmap": (chosen_by_vmap, _EXPERTS, (5, 3), {"v": (4,)}),
    "two chosen": (two_chosen, _EXPERTS, (5, 3), {"v": (4,)}),
    "chosen of layers": (
        chosen_of_layers,
        {"r": (3, 4), "w": (2, 4, 3, 5), "v": (2, 4, 5, 3)},
        (5, 3),
        {"v": (2, 4)},
    ),
    "fourier": (fourier, _FOURIER, _TOKENS, {"in": ()}),
    "transformed units": (transformed_units, {"in": (6, 5), "out": (5, 2)}, _TOKENS, {}),
    "complex weights": (
        complex_weights,
        {"in": (6, 5), "k": (2, 5, 4, "complex"), "out": (4, 2)},
        _TOKENS,
        {"in": (), "k": ()},
    ),
}
"""`(apply, shapes of params, shape of x, {group: its blocks})`; None where soundness is all."""

MEETING = {
    **{name: _chosen_and(change) for name, change in CHANGES.items()},
    "all pairs": _summed,
    "of another turn": _stale,
}
"""Experts `_EXPERTS` whose units meet those of other experts: none has exchanges of its own."""


def drawn(shapes, seed=0):
    """Gaussian parameters in double precision."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes.items():
        sizes = [each for each in shape if isinstance(each, int)]
        found[name] = rng.standard_normal(sizes)
        if len(sizes) < len(shape):
            found[name] = found[name] + 1j * rng.standard_normal(sizes)
    return found
