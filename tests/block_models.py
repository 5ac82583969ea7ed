"""Models whose units lie in blocks: layers, heads, experts, members, groups of channels."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def experts(p, x):
    h = jnp.tanh(jnp.einsum("bi,nih->bnh", x, p["w"]))
    gate = jax.nn.softmax(x @ p["r"])
    return jnp.einsum("bnhe,bn->be", jnp.einsum("bnh,nhe->bnhe", h, p["v"]), gate)


def mixture(p, x):
    """Experts whose outputs are products of their own, where `experts` sums over all at once."""
    h = jnp.tanh(jnp.einsum("bi,nih->bnh", x, p["w"]))
    each = jnp.einsum("bnh,nhe->bne", h, p["v"])
    return jnp.einsum("bne,bn->be", each, jax.nn.softmax(x @ p["r"]))


def members(p, x):
    """An ensemble by vmap; its members are the outputs."""

    def member(q):
        return jnp.tanh(jnp.tanh(x @ q["a"] + q["ab"][None]) @ q["b"]) @ q["c"]

    return jax.vmap(member)(p)


def attend(q, k, v):
    weights = jax.nn.softmax(jnp.einsum("bthe,bshe->bhts", q, k))
    return jnp.einsum("bhts,bshe->bthe", weights, v)


def heads(p, x):
    q, k, v = (jnp.einsum("btd,dhe->bthe", x, p[name]) for name in "qkv")
    return jnp.einsum("bthe,hed->btd", attend(q, k, v), p["o"])


def flat_heads(p, x):
    q, k, v = jnp.split((x @ p["qkv"]).reshape(*x.shape[:2], 3, 2, 4), 3, 2)
    return attend(q[:, :, 0], k[:, :, 0], v[:, :, 0]).reshape(*x.shape[:2], 8) @ p["o"]


def packed_heads(p, x):
    q, k, v = (each.reshape(*x.shape[:2], 2, 4) for each in jnp.split(x @ p["qkv"], 3, 2))
    return attend(q, k, v).reshape(*x.shape[:2], 8) @ p["o"]


def grouped_queries(p, x):
    q = jnp.einsum("btd,dghe->bghte", x, p["q"])
    k, v = (jnp.einsum("btd,dge->bgte", x, p[name]) for name in "kv")
    weights = jax.nn.softmax(jnp.einsum("bghte,bgse->bghts", q, k))
    return jnp.einsum("bghts,bgse,ghed->btd", weights, v, p["o"])


def repeated_keys(p, x):
    q = (x @ p["q"]).reshape(*x.shape[:2], 6, 4)
    k, v = ((x @ p[name]).reshape(*x.shape[:2], 2, 4) for name in "kv")
    attended = attend(q, jnp.repeat(k, 3, 2), jnp.repeat(v, 3, 2))
    return attended.reshape(*x.shape[:2], 24) @ p["o"]


def talking_heads(p, x):
    q, k, v = (jnp.einsum("btd,dhe->bhte", x, p[name]) for name in "qkv")
    weights = jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2))
    return jnp.einsum("bgts,hg,bhse,hed->btd", weights, p["m"], v, p["o"])


def _block(h, layer):
    return h + jnp.tanh(h @ layer["u"] + layer["b"][None]) @ layer["d"]


def scanned(p, x):
    return lax.scan(lambda h, layer: (_block(h, layer), None), x, p)[0]


def scanned_in_half(p, x):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.float16).astype(leaf.dtype), p)
    return scanned(half, x)


def unrolled(p, x):
    for number in range(3):
        x = _block(x, jax.tree.map(lambda leaf, n=number: leaf[n], p))
    return x


def unrolled_shifted(p, x):
    """Each layer goes up by its own weights and down by the next one's."""
    for number in range(3):
        layer = {"u": p["u"][number], "b": p["b"][number], "d": p["d"][(number + 1) % 3]}
        x = _block(x, layer)
    return x


def shared_bias(p, x):
    def step(h, layer):
        return _block(h, layer | {"b": p["b"]}), None

    return lax.scan(step, x, {"u": p["u"], "d": p["d"]})[0]


def twice_scanned(p, x):
    return scanned(p, jnp.sin(scanned(p, x)))


def heads_of_layers(p, x):
    def step(h, layer):
        return h + heads(layer, h), None

    return lax.scan(step, x, p)[0]


def normalized_groups(p, x):
    y = jnp.einsum("byxc,cd->byxd", x, p["w"])
    z = y.reshape(*y.shape[:3], 2, 4)
    z = z - jnp.mean(z, (1, 2, 4), keepdims=True)
    z = z / jnp.sqrt(jnp.mean(z * z, (1, 2, 4), keepdims=True) + 1)
    z = jax.nn.relu(z.reshape(y.shape) * p["s"][None, None, None])
    return lax.conv_general_dilated(
        z, p["k"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def grouped_convolution(p, x):
    y = jnp.einsum("byxc,cd->byxd", x, p["w"])
    y = lax.conv_general_dilated(
        jnp.sin(y),
        p["k"],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=2,
    )
    return jnp.tanh(y) @ p["v"]


def _mixed(mix):
    """Experts between whose layers something mixes along the experts."""

    def apply(p, x):
        h = mix(jnp.einsum("bi,nih->bnh", x, p["w"]))
        return jnp.einsum("bnh,nhe->be", jnp.tanh(h), p["v"])

    return apply


MIXING = {
    "nothing": lambda h: h,
    "reversed": lambda h: jnp.flip(h, 1),
    "cumulated": lambda h: jnp.cumsum(h, 1),
    "sorted": lambda h: jnp.sort(h, 1),
    "rolled": lambda h: jnp.roll(h, 1, 1),
    "gathered": lambda h: h[:, np.asarray([1, 2, 3, 0])],
    "pooled": lambda h: lax.reduce_window(h, 0.0, lax.add, (1, 3, 1), (1, 1, 1), "SAME"),
    "convolved": lambda h: lax.conv_general_dilated(
        h[:, None],
        jnp.ones((1, 3, 1, 5)),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=5,
    )[:, 0],
    "centred": lambda h: h - jnp.mean(h, 1, keepdims=True),
    "mixed by a matrix": lambda h: jnp.einsum("bnh,nm->bmh", h, jnp.arange(16.0).reshape(4, 4)),
    "chosen": lambda h: lax.top_k(jnp.swapaxes(h, 1, 2), 4)[0].swapaxes(1, 2),
    "written": lambda h: h.at[:, 1].set(h[:, 0]),
}

_STACK = {"u": (3, 6, 4), "b": (3, 4), "d": (3, 4, 6)}
_HEADS = {"q": (6, 2, 4), "k": (6, 2, 4), "v": (6, 2, 4), "o": (2, 4, 6)}
_EXPERTS = {"w": (4, 3, 5), "v": (4, 5, 2)}
_FREE = {"v:0": (5,), "v:1": (4,)}
_ROWS, _TOKENS, _IMAGES = (5, 6), (2, 3, 6), (2, 4, 4, 3)

BLOCK_MODELS = {
    "experts": (experts, _EXPERTS | {"r": (3, 4)}, (5, 3), {"r": (), "v": (4,)}),
    "members": (
        members,
        {"a": (4, 6, 5), "ab": (4, 5), "b": (4, 5, 3), "c": (4, 3, 2)},
        _ROWS,
        {"a": (4,), "b": (4,)},
    ),
    "heads": (heads, _HEADS, _TOKENS, {"k:1": (), "k:2": (2,), "o": (2,)}),
    "flat heads": (
        flat_heads,
        {"qkv": (6, 24), "o": (8, 6)},
        _TOKENS,
        {"o:0[1,2,4]": (), "o:0[2,4,1]": (2,), "qkv": (2,)},
    ),
    "packed heads": (packed_heads, {"qkv": (6, 24), "o": (8, 6)}, _TOKENS, None),
    "grouped queries": (
        grouped_queries,
        {"q": (6, 2, 3, 4), "k": (6, 2, 4), "v": (6, 2, 4), "o": (2, 3, 4, 6)},
        _TOKENS,
        {"k:1": (), "k:2": (2,), "o:1": (2,), "o:2": (2,)},
    ),
    "repeated keys": (
        repeated_keys,
        {"q": (6, 24), "k": (6, 8), "v": (6, 8), "o": (24, 6)},
        _TOKENS,
        {"k:1[1,2,4]": (), "k:1[2,4,1]": (2,), "o:0[2,3,4]": (2,), "o:0[6,4,1]": (2,)},
    ),
    "talking heads": (talking_heads, _HEADS | {"m": (2, 2)}, _TOKENS, None),
    "scanned": (scanned, _STACK, _ROWS, {"b": (3,)}),
    "scanned in half": (scanned_in_half, _STACK, _ROWS, {"b": (3,)}),
    "unrolled": (unrolled, _STACK, _ROWS, {"b": (3,)}),
    "unrolled, shifted": (
        unrolled_shifted,
        _STACK,
        _ROWS,
        {"b[0]": (), "b[1]": (), "b[2]": ()},
    ),
    "a shared bias": (shared_bias, _STACK | {"b": (4,)}, _ROWS, {"b": ()}),
    "scanned twice": (twice_scanned, _STACK, _ROWS, {"b": (3,)}),
    "heads of layers": (
        heads_of_layers,
        {name: (3, *shape) for name, shape in _HEADS.items()},
        _TOKENS,
        {"k:2": (3,), "k:3": (3, 2), "o": (3, 2)},
    ),
    "groups of channels": (
        normalized_groups,
        {"w": (3, 8), "s": (8,), "k": (3, 3, 8, 5)},
        _IMAGES,
        {"k:2[1,2,4]": (), "k:2[2,4,1]": (2,)},
    ),
    "grouped convolution": (
        grouped_convolution,
        {"w": (3, 8), "k": (3, 3, 4, 6), "v": (6, 2)},
        _IMAGES,
        None,
    ),
    **{
        name: (
            _mixed(mix),
            _EXPERTS,
            (5, 3),
            None if name != "nothing" else _FREE,
        )
        for name, mix in MIXING.items()
    },
}
"""`(apply, shapes of params, shape of x, {group: its blocks})`; None where soundness is all."""
