"""One member, expert or head that vanishes or dies where no signal is its own."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import IMAGES, SEQUENCE, Fault, normal, plain
from block_models import attend, experts, flat_heads, heads, members

CONVOLVED = {"a": (4, 3, 3, 3, 6), "b": (4, 3, 3, 6, 6), "c": (4, 6, 2)}
ENSEMBLE = {"a": (4, 8, 16), "ab": (4, 16), "b": (4, 16, 16), "c": (4, 16, 2)}
NORMALIZED = {name: ENSEMBLE[name] for name in "abc"}
EXPERTS = {"w": (4, 8, 16), "v": (4, 16, 5), "r": (8, 4)}
HEADS = {"q": (16, 2, 4), "k": (16, 2, 4), "v": (16, 2, 4), "o": (2, 4, 16)}
PACKED = {"qkv": (16, 24), "o": (8, 16)}
AT_ONCE = {"in": (8, 16), "r": (8, 4), "w": (4, 16, 16), "out": (16, 5)}


def _convolve(x, kernel):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)


def convolved(p, x):
    """An ensemble by vmap of convolutions, whose members are groups of channels inside."""

    def member(q):
        h = jax.nn.relu(_convolve(jax.nn.relu(_convolve(x, q["a"])), q["b"]))
        return jnp.mean(h, (1, 2)) @ q["c"]

    return jnp.mean(jax.vmap(member)(p), 0)


def rectified(p, x):
    """An ensemble of relu nets."""

    def member(q):
        h = jax.nn.relu(x @ q["a"] + q["ab"][None])
        return jax.nn.relu(h @ q["b"]) @ q["c"]

    return jnp.mean(jax.vmap(member)(p), 0)


def at_once(p, x):
    """Gates, data and the matrices of all experts in one sum."""
    h, gates = jnp.tanh(x @ p["in"]), jax.nn.softmax(x @ p["r"])
    return jnp.tanh(jnp.einsum("be,bd,edo->bo", gates, h, p["w"])) @ p["out"]


def by_hand(p, x):
    """The same by multiplying and summing."""
    h, gates = jnp.tanh(x @ p["in"]), jax.nn.softmax(x @ p["r"])
    matrices = jnp.sum(gates[:, :, None, None] * p["w"][None], 1)
    return jnp.tanh(jnp.sum(h[:, :, None] * matrices, 1)) @ p["out"]


def normalized_members(p, x):
    """An ensemble whose products are normalized, so that their weights may have any size."""

    def member(q):
        h = x
        for name in "ab":
            h = h @ q[name]
            h = jax.nn.relu(h * jax.lax.rsqrt(jnp.mean(h**2, -1, keepdims=True)))
        return h @ q["c"]

    return jnp.mean(jax.vmap(member)(p), 0)


def normalized(p, x):
    """Heads whose queries and keys are normalized, so that their weights may have any size."""
    q, k, v = (jnp.einsum("btd,dhe->bthe", x, p[name]) for name in "qkv")
    q, k = (each * jax.lax.rsqrt(jnp.mean(each**2, -1, keepdims=True)) for each in (q, k))
    return jnp.einsum("bthe,hed->btd", attend(q, k, v), p["o"])


def drawn(shapes, gain=1.0):
    """Weights of variance gain / fan_in; of heads, whose fans are all near 16."""
    return {
        name: normal(
            seed,
            shape,
            0.25
            if name in "qkvo"
            else (gain / np.prod(shape[len(shape) > 2 : -1] or shape[-1:])) ** 0.5,
        )
        for seed, (name, shape) in enumerate(shapes.items(), 3)
    }


def times(shapes, name, at, factor):
    """The same, of which one slice is multiplied."""
    params = drawn(shapes)
    params[name][at] *= np.float32(factor)
    return params


def _half_dead():
    params = drawn(ENSEMBLE, 2.0)
    params["ab"][:] = 0
    params["ab"][2, :12] = -30
    return params


def _vanishing(place, apply, *change, batch=None):
    given = () if batch is None else (batch,)
    return Fault("vanishing_signal", place, "fail", plain(apply, lambda: times(*change), *given))


MEMBER_FAULTS = {
    "one member of a vmapped convolution": _vanishing(
        "b", convolved, CONVOLVED, "b", 1, 1e-4, batch=IMAGES
    ),
    "one member's first convolution": _vanishing(
        "a", convolved, CONVOLVED, "a", 3, 1e-5, batch=IMAGES
    ),
    "one member behind drawn biases": _vanishing("a", members, ENSEMBLE, "a", 1, 1e-5),
    "one head's part of the output weights": _vanishing(
        "o", heads, HEADS, "o", 1, 1e-5, batch=SEQUENCE
    ),
    "one head's part of a flat matrix": _vanishing(
        "o", flat_heads, PACKED, "o", np.s_[4:], 1e-4, batch=SEQUENCE
    ),
    "one expert of several in one sum": _vanishing("w", at_once, AT_ONCE, "w", 2, 1e-5),
    "one expert of several, multiplied and summed": _vanishing("w", by_hand, AT_ONCE, "w", 0, 1e-4),
    "one expert whose outputs are summed at once": _vanishing("v", experts, EXPERTS, "v", 3, 1e-5),
    "most units of one member": Fault("dead_units", "a", "warn", plain(rectified, _half_dead)),
}

MEMBER_SOUND = {
    "one normalized member drawn at 1e-4": (
        plain(normalized_members, lambda: times(NORMALIZED, "a", 1, 1e-4)),
        None,
        (),
    ),
    "one head of normalized queries, drawn small": (
        plain(normalized, lambda: times(HEADS, "q", np.s_[:, 1], 1e-4), SEQUENCE),
        None,
        (),
    ),
    "one member with a small readout": (
        plain(members, lambda: times(ENSEMBLE, "c", 1, 1e-4)),
        None,
        (),
    ),
    "convolutions by vmap": (plain(convolved, lambda: drawn(CONVOLVED, 2.0), IMAGES), None, ()),
    "one expert of zeros": (plain(at_once, lambda: times(AT_ONCE, "w", 1, 0)), None, ()),
}
