"""Members: the parameters of vmapped, block-diagonal and expert layers have fans of their own."""

from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import initlab
from initlab import checks, networks
from initlab.initializers import (
    by_role,
    delta_orthogonal,
    lecun_uniform,
    orthogonal,
    scaled_uniform_orthogonal,
)

X = jnp.ones((6, 2))
IMAGES = jnp.ones((2, 5, 5, 2))
M = 4


@pytest.fixture(autouse=True)
def _as_users_have_it():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def _adopt(apply, x, **shapes):
    return networks.adopt(
        lambda key: {name: jnp.ones(shape) for name, shape in shapes.items()}, apply, x
    )


def _facts(network):
    leaves, _ = jax.tree_util.tree_flatten_with_path(network.specs)
    return {
        checks.path_name(path): (s.role.value, s.fan_in, s.fan_out, s.members) for path, s in leaves
    }


def _net(p, x):
    return jnp.tanh(jnp.tanh(x @ p["a"] + p["ab"]) @ p["b"] + p["bb"]) @ p["c"]


def _shapes(place):
    one = {"a": (2, 8), "ab": (8,), "b": (8, 8), "bb": (8,), "c": (8, 1)}
    return {name: (M, *shape) if place == 0 else (*shape, M) for name, shape in one.items()}


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("given", ["the same data", "data of their own"])
def test_vmapped_layers_have_the_fans_of_one(place, given):
    def apply(p, x):
        if given == "the same data":
            return jax.vmap(_net, (place, None))(p, x)
        return jax.vmap(_net, (place, 0))(p, jnp.broadcast_to(x, (M, *x.shape)))

    network = _adopt(apply, X, **_shapes(place))
    axis = {name: (0 if place == 0 else len(shape) - 1,) for name, shape in _shapes(place).items()}
    assert not network.doubts
    assert _facts(network) == {
        "a": ("input", 2, 8, axis["a"]),
        "ab": ("bias", 2, 8, axis["ab"]),
        "b": ("weight", 8, 8, axis["b"]),
        "bb": ("bias", 8, 8, axis["bb"]),
        "c": ("readout", 8, 1, axis["c"]),
    }


@pytest.mark.parametrize("init", [orthogonal(), scaled_uniform_orthogonal()])
def test_each_member_is_orthogonal(init):
    specs = _adopt(jax.vmap(_net, (-1, None)), X, **_shapes(-1)).specs
    drawn = initlab.initialize(jax.random.key(0), {"b": specs["b"]}, init)["b"]
    members = np.moveaxis(np.asarray(drawn), 2, 0)
    for each in members:
        np.testing.assert_allclose(each @ each.T, np.eye(8), atol=1e-5)
    assert np.abs(members[0] - members[1]).max() > 0.1


def _blocks(p, x):
    """A block-diagonal layer, as of Griffin's gates."""
    h = (x @ p["i"]).reshape(-1, 3, 4)
    z = jnp.einsum("bhi,ihj->bhj", h, p["w"]) + p["b"]
    return z.reshape(-1, 12) @ p["o"]


def _experts(p, x):
    h = x @ p["i"]
    gates = jax.nn.softmax(h @ p["router"])
    up = jax.nn.relu(jnp.einsum("bd,edf->ebf", h, p["up"]) + p["b"][:, None])
    return (h + jnp.einsum("be,ebd->bd", gates, jnp.einsum("ebf,efd->ebd", up, p["down"]))) @ p["o"]


def _layers_of_blocks(p, x):
    def layer(h, w):
        return h + jnp.einsum("bhi,hij->bhj", h, w), None

    h, _ = jax.lax.scan(layer, (x @ p["i"]).reshape(-1, 3, 4), p["w"])
    return h.reshape(-1, 12) @ p["o"]


def _gates_of_members(p, x):
    def one(p, x):
        h = x @ p["i"]
        return (h + p["g"] * jnp.tanh(h @ p["u"])) @ p["o"]

    return jax.vmap(one, (0, None))(p, x)


def _images(p, x):
    def one(p, x):
        for kernel, bias in (("k", "kb"), ("l", "lb")):
            z = jax.lax.conv_general_dilated(
                x, p[kernel], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(z + p[bias])
        return x.mean((1, 2)) @ p["o"]

    return jax.vmap(one, (0, None))(p, x)


def _heads(p, x):
    """Attention: its heads are one matrix, as its projections make them."""
    h = x @ p["i"]
    q, k = (jnp.einsum("bd,dhk->bhk", h, p[name]) for name in "qk")
    mixed = jax.nn.softmax(jnp.einsum("bhk,chk->hbc", q, k))
    v = jnp.einsum("bd,dhk->bhk", h, p["v"])
    return jnp.einsum("hbc,chk,hkd->bd", mixed, v, p["out"]) @ p["o"]


MODELS = {
    "blocks": (
        _blocks,
        X,
        {"i": (2, 12), "w": (4, 3, 4), "b": (3, 4), "o": (12, 1)},
        {"w": ("weight", 4, 4, (1,)), "b": ("bias", 4, 4, (0,)), "i": ("input", 2, 12, ())},
    ),
    "experts": (
        _experts,
        X,
        {"i": (2, 6), "router": (6, 5), "up": (5, 6, 9), "b": (5, 9), "down": (5, 9, 6)}
        | {"o": (6, 3)},
        {
            "router": ("weight", 6, 5, ()),
            "up": ("weight", 6, 9, (0,)),
            "b": ("bias", 6, 9, (0,)),
            "down": ("weight", 9, 6, (0,)),
        },
    ),
    "layers of blocks": (
        _layers_of_blocks,
        X,
        {"i": (2, 12), "w": (5, 3, 4, 4), "o": (12, 1)},
        {"w": ("residual", 4, 4, (0,))},
    ),
    "gates of members": (
        _gates_of_members,
        X,
        {"i": (3, 2, 6), "g": (3,), "u": (3, 6, 6), "o": (3, 6, 1)},
        {"g": ("gate", 1, 1, ()), "u": ("residual", 6, 6, (0,)), "i": ("input", 2, 6, (0,))},
    ),
    "convolutions": (
        _images,
        IMAGES,
        {"k": (3, 3, 3, 2, 4), "kb": (3, 4), "l": (3, 3, 3, 4, 6), "lb": (3, 6), "o": (3, 6, 1)},
        {
            "k": ("input", 18, 36, (0,)),
            "kb": ("bias", 18, 36, (0,)),
            "l": ("weight", 36, 54, (0,)),
            "lb": ("bias", 36, 54, (0,)),
        },
    ),
    "heads are no members": (
        _heads,
        X,
        {"i": (2, 6), **dict.fromkeys("qkv", (6, 2, 3)), "out": (2, 3, 6), "o": (6, 3)},
        {"q": ("weight", 6, 6, ()), "v": ("weight", 6, 6, ()), "out": ("weight", 6, 6, ())},
    ),
    "a depthwise sum": (
        lambda p, x: jnp.einsum("bkd,kd->bd", (x @ p["i"]).reshape(2, 3, 6), p["w"]) @ p["o"],
        X,
        {"i": (2, 6), "w": (3, 6), "o": (6, 1)},
        {"w": ("weight", 3, 1, ())},
    ),
    "a multiplication by einsum": (
        lambda p, x: jnp.einsum("bd,d->bd", _normalized(x @ p["i"]), p["s"]) @ p["o"],
        X,
        {"i": (2, 6), "s": (6,), "o": (6, 1)},
        {"s": ("norm_scale", 1, 1, ())},
    ),
    "a multiplication by a convolution": (
        lambda p, x: _scaled_channels(p["s"], _normalized(x @ p["i"])).mean((1, 2)) @ p["o"],
        IMAGES,
        {"i": (2, 6), "s": (1, 1, 1, 6), "o": (6, 1)},
        {"s": ("norm_scale", 1, 1, ())},
    ),
    "a gate by einsum": (
        lambda p, x: (x @ p["i"] + jnp.einsum("bd,->bd", x @ p["i"] @ p["u"], p["g"])) @ p["o"],
        X,
        {"i": (2, 6), "u": (6, 6), "g": (), "o": (6, 1)},
        {"g": ("gate", 1, 1, ())},
    ),
}


def _scaled_channels(scale, h):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        h, scale, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=h.shape[-1]
    )


def _normalized(h):
    return h / jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + 1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_members_are_found_however_they_are_laid(name):
    apply, x, shapes, known = MODELS[name]
    network = _adopt(apply, x, **shapes)
    assert not network.doubts
    facts = _facts(network)
    assert {path: facts[path] for path in known} == known


def test_kernels_of_members_are_drawn_one_by_one():
    apply, x, shapes, _ = MODELS["convolutions"]
    specs = {"l": _adopt(apply, x, **shapes).specs["l"]}
    drawn = initlab.initialize(jax.random.key(0), specs, delta_orthogonal())
    for kernel in np.asarray(drawn["l"]):
        np.testing.assert_allclose(kernel[1, 1] @ kernel[1, 1].T, np.eye(4), atol=1e-5)


def test_members_that_no_axis_holds_are_in_doubt():
    def apply(p, x):
        z = jnp.einsum("bhi,hij->bhj", (x @ p["i"]).reshape(-1, 3, 4), p["w"].reshape(3, 4, 4))
        return z.reshape(-1, 12) @ p["o"]

    network = _adopt(apply, X, i=(2, 12), w=(12, 4), o=(12, 1))
    assert network.doubts == {"w": "is taken apart into members that none of its axes holds"}


def test_ensembles_of_frameworks_are_members():
    shared: Any = None
    module = nn.vmap(
        nn.Dense,
        in_axes=shared,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        axis_size=3,
    )(4)
    flax = networks.adopt(
        lambda key: module.init(key, X)["params"], lambda p, x: module.apply({"params": p}, x), X
    )
    assert _facts(flax) == {
        "bias": ("bias", 2, 4, (0,)),
        "kernel": ("readout", 2, 4, (0,)),
    }

    @eqx.filter_vmap
    def make(key):
        return eqx.nn.MLP(2, 1, 8, 2, key=key)

    def init(key):
        return eqx.partition(make(jax.random.split(key, 3)), eqx.is_inexact_array)[0]

    static = eqx.partition(make(jax.random.split(jax.random.key(0), 3)), eqx.is_inexact_array)[1]

    def apply(params, x):
        one = lambda model, x: jax.vmap(model)(x)  # noqa: E731
        return eqx.filter_vmap(one, in_axes=(eqx.if_array(0), None))(eqx.combine(params, static), x)

    facts = _facts(networks.adopt(init, apply, X))
    assert facts["layers/0/weight"] == ("input", 2, 8, (0,))
    assert facts["layers/0/bias"] == ("bias", 2, 8, (0,))
    assert facts["layers/1/weight"] == ("weight", 8, 8, (0,))


def test_a_member_s_draw_has_the_scale_of_its_fan():
    specs = _adopt(lambda p, x: jax.vmap(_net, (0, None))(p, x), X, **_shapes(0)).specs
    drawn = initlab.initialize(jax.random.key(1), specs, by_role(lecun_uniform()))
    for name, fan_in in (("a", 2), ("b", 8)):
        assert np.abs(drawn[name]).max() < (3 / fan_in) ** 0.5
        np.testing.assert_allclose(np.std(drawn[name]) * fan_in**0.5, 1, rtol=0.2)
    assert not np.any(drawn["bb"])
