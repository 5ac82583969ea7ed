"""Copies along axes that parameters and signals share, and within one of their indices alone."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from audit_models import IMAGES, ROWS, SEQUENCE, Fault, drawn, normal, plain
from block_models import (
    experts,
    grouped_queries,
    heads,
    members,
    mixture,
    repeated_keys,
    scanned,
    unrolled,
)
from foreign_models import linen
from slice_models import chosen, counted_blocks, interleaved

ENSEMBLE = {"a": (4, 8, 16), "ab": (4, 16), "b": (4, 16, 16), "c": (4, 16, 2)}
STACK = {"u": (3, 8, 16), "b": (3, 16), "d": (3, 16, 8)}
EXPERTS = {"w": (4, 8, 16), "v": (4, 16, 5), "r": (8, 4)}
CHOSEN = {"r": (8, 4), "w": (4, 8, 16), "v": (4, 16, 5)}
COUNTED = {"u": (3, 8, 16), "d": (3, 16, 8)}
PACKED = {"qkv": (16, 24), "o": (8, 16)}
HEADS = {"q": (16, 2, 4), "k": (16, 2, 4), "v": (16, 2, 4), "o": (2, 4, 16)}
QUERIES = {"q": (16, 2, 3, 4), "k": (16, 2, 4), "v": (16, 2, 4), "o": (2, 3, 4, 16)}
FLAT = {"q": (16, 24), "k": (16, 8), "v": (16, 8), "o": (24, 16)}
JOINED = {"left": (8, 16), "right": (8, 16), "head": (32, 2)}
MASKED = {f"{name}{n}": (8, 8) for n in range(2) for name in "ud"}
ONES = np.ones((2, 8), np.float32)


def draw(shapes):
    """Weights [..., fan_in, units] of variance 1 / fan_in; of heads, whose fans are all near 16."""
    return {
        name: normal(
            seed, shape, 0.25 if name in "qkvo" else shape[-2 if len(shape) > 1 else -1] ** -0.5
        )
        for seed, (name, shape) in enumerate(shapes.items(), 3)
    }


def copied(shapes, *changes):
    """Drawn params, of which some entries are those of others: `(leaf, to, from)` each."""
    params = draw(shapes)
    for name, to, source in changes:
        params[name][to] = params[name][source]
    return params


def times(shapes, name, at, factor):
    """Drawn params, of which one slice is multiplied."""
    params = draw(shapes)
    params[name][at] *= np.float32(factor)
    return params


def equal_members():
    return {name: np.repeat(leaf[:1], 4, 0) for name, leaf in draw(ENSEMBLE).items()}


def all_alike(outputs):
    """A loss that treats the members of an ensemble alike, as critics that have one target."""
    return jnp.mean((outputs - jnp.sin(jnp.arange(16.0))[None, :, None]) ** 2)


def joined(params, x):
    both = [jnp.tanh(x @ params["left"]), jnp.tanh(x @ params["right"])]
    return jnp.concatenate(both, 1) @ params["head"]


def _left_alike():
    params = draw(JOINED)
    params["left"][:] = 0
    params["head"][:16] = 0.1
    return params


def masked(params, x):
    for number in range(2):
        h = jnp.tanh(x @ params[f"u{number}"]) * ONES[number][None]
        x = x + h @ params[f"d{number}"]
    return x


class Normalized(nn.Module):
    """A group norm between convolutions."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.GroupNorm(num_groups=4)(nn.Conv(16, (3, 3))(x)))
        return nn.Dense(10)(nn.relu(nn.Conv(8, (3, 3))(x)).mean((1, 2)))


def _channels(start):
    params = drawn(start[0])
    params = jax.tree.map(np.array, params)
    for path in (("Conv_0", "kernel", -1), ("Conv_1", "kernel", -2)):
        kernel = np.moveaxis(params[path[0]][path[1]], path[2], 0)
        kernel[5] = kernel[4]
    return start[1], params, start[2]


class Attended(nn.Module):
    """An attention layer, its values' features in heads."""

    @nn.compact
    def __call__(self, x):
        return nn.MultiHeadDotProductAttention(num_heads=4)(x, x)


def _values(start):
    params = jax.tree.map(np.array, drawn(start[0]))
    attention = params["MultiHeadDotProductAttention_0"]
    value, out = attention["value"]["kernel"], attention["out"]["kernel"]
    value[:, 2, 1], out[2, 1] = value[:, 2, 0], out[2, 0]
    return start[1], params, start[2]


def _critics(key):
    """Members that one key drew: `vmap` over copies of it."""
    keys = jnp.stack([key] * 4)
    return eqx.filter_vmap(lambda key: eqx.nn.MLP(8, 2, 16, 2, key=key))(keys)


def _ensemble(key):
    net = _critics(key)
    arrays, rest = eqx.partition(net, eqx.is_array)
    return arrays, rest


def equinox_critics():
    arrays, rest = _ensemble(jax.random.key(0))

    def apply(params, x):
        def member(arrays):
            return jax.vmap(eqx.combine(arrays, rest))(x)

        return jax.vmap(member)(params)

    return apply, arrays, ROWS


COPIES_FAULTS = {
    "critics that are copies": Fault(
        "repeated_slices", "a 0", "warn", plain(members, equal_members)
    ),
    "critics that are copies, under a loss that treats them alike": Fault(
        "symmetric_units", "a:0", "fail", plain(members, equal_members), all_alike
    ),
    "critics in equinox from one key": Fault(
        "repeated_slices", "layers/1/weight 0", "warn", equinox_critics
    ),
    "experts that are copies": Fault(
        "repeated_slices",
        "w 0",
        "warn",
        plain(
            experts,
            lambda: copied(EXPERTS, ("w", slice(None), [0] * 4), ("v", slice(None), [0] * 4)),
        ),
    ),
    "one saturated member of four": Fault(
        "saturated", "b", "fail", plain(members, lambda: times(ENSEMBLE, "b", 2, 100))
    ),
    "one member of four that vanishes": Fault(
        "vanishing_signal", "b", "fail", plain(members, lambda: times(ENSEMBLE, "b", 1, 1e-5))
    ),
    "one saturated expert of four": Fault(
        "saturated", "w", "fail", plain(experts, lambda: times(EXPERTS, "w", 3, 200))
    ),
    "one expert of four that vanishes": Fault(
        "vanishing_signal", "v", "fail", plain(mixture, lambda: times(EXPERTS, "v", 3, 1e-5))
    ),
    "one head of two that vanishes": Fault(
        "vanishing_signal",
        "v",
        "fail",
        plain(heads, lambda: times(HEADS, "v", (slice(None), 1), 1e-5), SEQUENCE),
    ),
    "two units of one member": Fault(
        "symmetric_units",
        "a[2]",
        "fail",
        plain(
            members,
            lambda: copied(
                ENSEMBLE,
                ("a", (2, slice(None), 3), (2, slice(None), 5)),
                ("ab", (2, 3), (2, 5)),
                ("b", (2, 3), (2, 5)),
            ),
        ),
    ),
    "two units of one expert": Fault(
        "symmetric_units",
        "v[1]",
        "fail",
        plain(
            experts,
            lambda: copied(EXPERTS, ("w", (1, ..., 3), (1, ..., 5)), ("v", (1, 3), (1, 5))),
        ),
    ),
    **{
        f"two units of one layer, {name}": Fault(
            "symmetric_units",
            "b[2]",
            "fail",
            plain(
                apply,
                lambda: copied(
                    STACK,
                    ("u", (2, ..., 3), (2, ..., 5)),
                    ("b", (2, 3), (2, 5)),
                    ("d", (2, 3), (2, 5)),
                ),
            ),
        )
        for name, apply in (("scanned", scanned), ("written out", unrolled))
    },
    "two units of one expert that data choose": Fault(
        "symmetric_units",
        "v[1]",
        "fail",
        plain(
            chosen,
            lambda: copied(CHOSEN, ("w", (1, ..., 3), (1, ..., 5)), ("v", (1, 3), (1, 5))),
        ),
    ),
    "two units of one layer that a counter takes": Fault(
        "symmetric_units",
        "d[2]",
        "fail",
        plain(
            counted_blocks,
            lambda: copied(COUNTED, ("u", (2, ..., 3), (2, ..., 5)), ("d", (2, 3), (2, 5))),
        ),
    ),
    "two value features of one head in one matrix": Fault(
        "symmetric_units",
        "[1]",
        "fail",
        plain(
            interleaved,
            lambda: copied(PACKED, ("qkv", np.s_[:, 22], np.s_[:, 20]), ("o", 6, 4)),
            SEQUENCE,
        ),
    ),
    "two query heads of one key head": Fault(
        "symmetric_units",
        "o:1[1]",
        "fail",
        plain(
            grouped_queries,
            lambda: copied(QUERIES, ("q", np.s_[:, 1, 2], np.s_[:, 1, 0]), ("o", (1, 2), (1, 0))),
            SEQUENCE,
        ),
    ),
    "two query heads of one repeated key head": Fault(
        "symmetric_units",
        "[1]",
        "fail",
        plain(
            repeated_keys,
            lambda: copied(
                FLAT,
                ("q", np.s_[:, 16:20], np.s_[:, 12:16]),
                ("o", np.s_[16:20], np.s_[12:16]),
            ),
            SEQUENCE,
        ),
    ),
    "two value features of one head": Fault(
        "symmetric_units",
        "o[1]",
        "fail",
        plain(
            heads,
            lambda: copied(HEADS, ("v", np.s_[:, 1, 2], np.s_[:, 1, 0]), ("o", (1, 2), (1, 0))),
            SEQUENCE,
        ),
    ),
    "two value features of one head in flax": Fault(
        "symmetric_units", "[2]", "fail", lambda: _values(linen(Attended(), SEQUENCE))
    ),
    "two channels of one group in flax": Fault(
        "symmetric_units", "[1]", "fail", lambda: _channels(linen(Normalized(), IMAGES))
    ),
    "one of two layers that are joined": Fault(
        "symmetric_units", "head", "fail", plain(joined, _left_alike)
    ),
    "one layer beside a mask of ones": Fault(
        "symmetric_units",
        "d1",
        "fail",
        plain(masked, lambda: copied(MASKED, ("u1", np.s_[:, 3], np.s_[:, 5]), ("d1", 3, 5))),
    ),
}
