"""Roles and fans read off foreign models, and what is said where they cannot be."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from foreign_models import MODELS, ROWS, LinenMLP, linen
from jax.ad_checkpoint import checkpoint_name

import initlab
from initlab import checks, networks, objectives, probes
from initlab.initializers import by_role, constant, normal, orthogonal
from initlab.types import Role, Task


def _by_path(specs):
    return {
        checks.path_name(path): spec
        for path, spec in jax.tree_util.tree_flatten_with_path(specs)[0]
    }


@pytest.fixture(autouse=True)
def _as_users_have_it():
    """Foreign models are not written for strict promotion."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@functools.cache
def _adopted(name):
    init, apply, x = MODELS[name][0]()
    return networks.adopt(init, apply, x), init


@pytest.mark.quick
@pytest.mark.parametrize("name", MODELS)
def test_roles_and_fans_are_the_known_ones(name):
    network, init = _adopted(name)
    specs = _by_path(network.specs)
    assert {path: (s.role, s.fan_in, s.fan_out) for path, s in specs.items()} == MODELS[name][1]
    assert dict(network.doubts) == {}
    # The params' own tree, so that the model takes what `initialize` draws.
    shapes = jax.eval_shape(init, jax.random.key(0))
    assert jax.tree.structure(network.specs) == jax.tree.structure(shapes)
    for spec, wanted in zip(specs.values(), jax.tree.leaves(shapes), strict=True):
        assert (spec.shape, spec.dtype) == (wanted.shape, wanted.dtype)
        assert bool(spec.stack) == (name.endswith("scanned") and len(specs) > 20 and _stacks(spec))


def _stacks(spec):
    return spec.shape[:1] == (2,)


def test_a_scanned_layer_is_drawn_slice_by_slice():
    specs = _adopted("linen decoder, scanned")[0].specs
    path = "ScanCheckpointLinenBlock_0/Dense_0/kernel"
    spec = _by_path(specs)[path]
    assert spec.shape == (2, 6, 12)
    assert spec.stack == tuple(path.replace("/kernel", f"/{n}/kernel") for n in range(2))
    drawn = initlab.initialize(jax.random.key(0), {"w": spec}, orthogonal())["w"]
    for each in drawn:
        np.testing.assert_allclose(each @ each.T, np.eye(6), atol=1e-5)
    assert np.abs(drawn[0] - drawn[1]).max() > 0.1


@pytest.mark.parametrize("name", ["nnx", "equinox convnet and gru"])
def test_it_trains(name):
    init, apply, x = MODELS[name][0]()
    network = networks.adopt(init, apply, x)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, *x.shape[1:]))
    labels = (x.reshape(20, -1).sum(axis=1) > 0).astype(np.int64)
    outputs = jax.eval_shape(apply, jax.eval_shape(init, jax.random.key(0)), np.float32(x)).shape[1]
    run = initlab.make_run(
        network,
        lambda p: by_role(normal(p["scale"])),
        Task(x, labels, objectives.binary if outputs == 1 else objectives.softmax),
        optimizer=lambda p: optax.sgd(0.5),
        steps=20,
        every=20,
        probes=(probes.loss, probes.gradient_norm),
    )
    history = jax.jit(run)({"seed": 0, "scale": 0.4})
    start, end = history.values["loss"]
    assert end < 0.9 * start
    parents = dict.fromkeys(path.rpartition("/")[0] for path in MODELS[name][1])
    assert set(run.layers) == set(parents)
    assert history.values["gradient_norm"].shape == (2, len(parents))


WEIGHT, VECTOR, SCALAR = (4, 4), (4,), ()


def facts(apply, **shapes):
    """What is said of the parameters of a model in plain JAX."""

    def init(key):
        return {name: jnp.ones(shape) for name, shape in shapes.items()}

    network = networks.adopt(init, apply, jnp.ones((3, 4)))
    return dict(network.doubts), _by_path(network.specs)


def test_what_a_use_does_not_tell_is_said():
    def apply(p, x):
        h = x @ (p["v"] / jnp.linalg.norm(p["v"]))
        h = jnp.where(h > 0, h, p["slope"] * h) * p["layer_scale"]
        h = h + p["shared"] + jnp.tanh(h @ p["twice"][:2].T @ p["twice"][:2])
        both = jnp.concatenate([h @ jnp.concatenate([p["left"], p["right"]], axis=1), h], axis=1)
        return both @ p["out"]

    doubts, specs = facts(
        apply,
        v=WEIGHT,
        slope=SCALAR,
        layer_scale=VECTOR,
        shared=VECTOR,
        twice=WEIGHT,
        left=WEIGHT,
        right=WEIGHT,
        out=(12, 2),
        unused=VECTOR,
    )
    said = {
        "v": "before it is used",
        "slope": "is a scalar that multiplies what is not added to anything",
        "layer_scale": "multiplies what no normalization gave",
        "shared": "is added to what no weight gave",
        "twice": "is used in several ways: weight 2 -> 4, weight 4 -> 2",
        "left": "goes through concatenate before it is used",
        "right": "goes through concatenate before it is used",
        "unused": "is not used",
    }
    assert set(doubts) == set(said)
    for path, text in said.items():
        assert text in doubts[path], path
    # What is not understood is a weight as its shape has it.
    assert (specs["v"].role, specs["v"].fan_in, specs["v"].fan_out) == (Role.WEIGHT, 4, 4)
    assert specs["out"].role is Role.READOUT


@pytest.mark.quick
def test_a_rule_wins_and_ends_theread_off():
    init, apply, x = linen(LinenMLP(), ROWS)
    rules = {
        "*_1/kernel": {"role": Role.RESIDUAL},
        "Dense_*/kernel": {"fan_in": 11, "fan_out": 13},
    }
    specs = _by_path(networks.adopt(init, apply, x, rules=rules).specs)
    plain = _by_path(_adopted("linen mlp")[0].specs)
    assert specs.pop("Dense_1/kernel") == dataclasses.replace(
        plain.pop("Dense_1/kernel"), role=Role.RESIDUAL
    )
    for path in ("Dense_0/kernel", "Dense_2/kernel"):
        assert specs.pop(path) == dataclasses.replace(plain.pop(path), fan_in=11, fan_out=13)
    assert specs == plain

    def scaled(p, x):
        return jnp.tanh(x * p["scale"]) @ p["out"]

    one = {"scale": {"role": Role.GATE}}
    shapes = {"scale": jnp.ones(4), "out": jnp.ones((4, 2))}
    assert networks.adopt(lambda key: shapes, scaled, jnp.ones((3, 4))).doubts
    network = networks.adopt(lambda key: shapes, scaled, jnp.ones((3, 4)), rules=one)
    assert not network.doubts
    assert network.specs["scale"].role is Role.GATE


def test_loops_branches_and_calls_are_entered():
    @jax.checkpoint
    def twice(p, h):
        return jax.lax.fori_loop(0, 2, lambda _, h: jnp.tanh(h @ p["loop"] + p["bias"]), h)

    def apply(p, x):
        h = jax.jit(twice)(p, jax.nn.relu(x @ p["in"]))
        h = jax.lax.cond(jnp.sum(x) > 0, lambda h: h @ p["yes"], lambda h: h @ p["no"], h)
        h, _ = jax.lax.scan(lambda h, w: (h + jnp.tanh(h) @ w, None), h, p["stack"])
        one_hot = jax.nn.one_hot(jnp.argmax(h, axis=1), 5)
        return (jnp.tanh(h) + one_hot @ p["table"]) @ p["out"]

    shapes = dict.fromkeys(("in", "loop", "yes", "no"), WEIGHT)
    doubts, specs = facts(apply, **shapes, bias=VECTOR, stack=(3, 4, 4), table=(5, 4), out=(4, 2))
    assert not doubts
    roles = {path: spec.role.value for path, spec in specs.items()}
    assert roles == {
        "in": "input",
        "loop": "weight",
        "yes": "weight",
        "no": "weight",
        "bias": "bias",
        "stack": "residual",
        "table": "embedding",
        "out": "readout",
    }
    assert specs["stack"].stack == ("0/stack", "1/stack", "2/stack")
    assert (specs["table"].fan_in, specs["table"].fan_out) == (1, 4)


@pytest.mark.quick
def test_dead_code_is_no_use():
    def apply(p, x):
        h = jnp.tanh(x @ p["in"])
        jnp.exp(x @ p["in"].T @ p["aside"])
        return h @ p["out"]

    doubts, specs = facts(apply, **{"in": WEIGHT, "aside": WEIGHT, "out": (4, 2)})
    # The dead product takes "in" transposed, which would be another way to use it.
    assert doubts == {"aside": "is not used"}
    assert specs["in"].role is Role.INPUT


def test_what_changes_no_entry_is_seen_through():
    def apply(p, x):
        weight, bias = jax.lax.optimization_barrier((p["in"], p["bias"]))
        return jnp.tanh(x @ checkpoint_name(weight, "weight") + bias[None]) @ p["out"]

    doubts, specs = facts(apply, **{"in": WEIGHT, "bias": VECTOR, "out": (4, 2)})
    assert not doubts
    assert [specs[name].role.value for name in ("in", "bias")] == ["input", "bias"]


def test_a_reduction_by_a_program_of_its_own_is_no_call():
    def apply(p, x):
        combine = lambda a, b: jnp.maximum(a, b) + 0 * a  # noqa: E731
        largest = jax.lax.reduce(p["rows"], -jnp.inf, combine, (0,))
        return jnp.tanh(x @ p["in"] + largest[None]) @ p["out"]

    doubts, _ = facts(apply, **{"rows": (3, 4), "in": WEIGHT, "out": (4, 2)})
    assert doubts == {"rows": "goes through reduce before it is used"}


def test_a_learned_token_and_positions_after_it_are_embeddings():
    def apply(p, x):
        h = (x @ p["in"]).reshape(3, 2, 2)
        token = jnp.tile(p["token"], (3, 1, 1))
        h = jnp.concatenate([token, h], axis=1) + p["position"]
        return jnp.tanh(h[:, 0]) @ p["out"]

    doubts, specs = facts(apply, **{"in": WEIGHT}, token=(1, 1, 2), position=(1, 3, 2), out=(2, 2))
    assert not doubts
    for path in ("token", "position"):
        assert (specs[path].role, specs[path].fan_in, specs[path].fan_out) == (Role.EMBEDDING, 1, 2)
    assert specs["out"].role is Role.READOUT


@pytest.mark.quick
def test_models_that_cannot_be_adopted():
    def init(key):
        return {"w": jnp.ones((4, 2))}

    def apply(p, x):
        return x @ p["w"]

    x = jnp.ones((3, 4))
    networks.adopt(init, apply, x)
    bad = [
        ((1, apply, x, {}), TypeError, "init must be a function, got 1"),
        ((init, None, x, {}), TypeError, "apply must be a function, got None"),
        ((lambda key: {}, apply, x, {}), ValueError, "init must give at least one parameter"),
        (
            (lambda key: {"w": jnp.ones(3, int)}, apply, x, {}),
            TypeError,
            "params['w'] must be floating, got int32",
        ),
        ((init, lambda p, x: (), x, {}), TypeError, "apply must give at least one array, got none"),
        ((init, lambda x, p: x @ p["w"], x, {}), TypeError, "params and batch are exchanged"),
        (
            (lambda key: {"w": jnp.ones(3, complex)}, apply, x, {}),
            TypeError,
            "params['w'] must be floating, got complex64",
        ),
        (
            (lambda key: {"params": init(key), "batch_stats": {}}, apply, x, {}),
            TypeError,
            "params must hold parameters alone, got the collections ['batch_stats'] as well",
        ),
        ((init, apply, x, {"v": {}}), ValueError, "no parameter matches 'v'; there are ['w']"),
        ((init, apply, x, {"w": {"fan": 1}}), TypeError, "rules['w'] may hold ('role', 'fan_in',"),
        ((init, apply, x, {"w": {"role": "bias"}}), TypeError, "rules['w'] must hold a Role, got"),
        (
            (init, apply, x, {"w": {"fan_in": 0}}),
            ValueError,
            "rules['w']['fan_in'] must be at least 1, got 0",
        ),
    ]
    for (init_, apply_, x_, rules), error, message in bad:
        with pytest.raises(error, match="^" + re.escape(message)):
            networks.adopt(init_, apply_, x_, rules=rules)
    network = networks.adopt(init, apply, x)
    with pytest.raises(ValueError, match="does not show its layers' states"):
        network.layers(network.specs, x)


def test_nothing_is_computed_and_shapes_suffice():
    def init(key):
        return {"w": jnp.zeros((100_000, 100_000)), "b": jnp.zeros(100_000)}

    x = jax.ShapeDtypeStruct((3, 100_000), np.float32)
    network = networks.adopt(init, lambda p, x: x @ p["w"] + p["b"], x)
    assert network.specs["w"].fan_in == 100_000
    values = initlab.initialize(
        jax.random.key(0), {"b": network.specs["b"]}, by_role(constant(1.0))
    )
    assert not values["b"].any()


def test_a_bias_behind_a_transform_along_tokens_is_that_of_the_product():
    def apply(params, x):
        h = jnp.fft.fft(x @ params["in"], axis=1).real + params["b"][None, None]
        return jnp.tanh(h) @ params["out"]

    def init(key):
        return {"in": jnp.ones((6, 5)), "b": jnp.zeros(5), "out": jnp.ones((5, 2))}

    network = networks.adopt(init, apply, np.ones((2, 3, 6), np.float32))
    bias = network.specs["b"]
    assert (bias.role, bias.fan_in, bias.fan_out) == (Role.BIAS, 6, 5)
    assert not network.doubts
