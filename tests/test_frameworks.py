"""What frameworks hand out besides parameters is named, with the call that gives these alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import initlab
from initlab import checks, networks
from initlab.calibration import lsuv
from initlab.initializers import by_path, constant, normal, orthogonal
from initlab.symmetry import read_symmetry
from initlab.taps import read_model
from initlab.types import ParamSpec


@pytest.fixture(autouse=True)
def _as_users_have_it():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def test_statistics_and_counters_of_nnx_are_no_parameters():
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.layer = nnx.Linear(4, 3, rngs=rngs)
            self.norm = nnx.BatchNorm(3, use_running_average=True, rngs=rngs)
            self.drop = nnx.Dropout(0.5, deterministic=True, rngs=rngs)

        def __call__(self, x):
            return self.drop(self.norm(self.layer(x)))

    def whole(key):
        return nnx.split(Model(nnx.Rngs(key)))[1]

    graph, params, rest = nnx.split(Model(nnx.Rngs(0)), nnx.Param, ...)
    x = jnp.ones((3, 4))
    with pytest.raises(TypeError, match=r"got an nnx .* as well: .* `.* = nnx\.split\(model, nnx"):
        networks.adopt(whole, lambda p, x: nnx.merge(graph, p)(x), x)
    specs = jax.tree.map(lambda leaf: ParamSpec(leaf.shape, 1, 1), nnx.state(Model(nnx.Rngs(0))))
    with pytest.raises(TypeError, match=r"nnx\.Param"):
        initlab.initialize(jax.random.key(0), specs, normal(1.0))
    network = networks.adopt(lambda key: params, lambda p, x: nnx.merge(graph, p, rest)(x), x)
    leaves, _ = jax.tree_util.tree_flatten_with_path(network.specs)
    assert {checks.path_name(path) for path, _ in leaves} == {
        "layer/bias/value",
        "layer/kernel/value",
        "norm/bias/value",
        "norm/scale/value",
    }
    init = by_path({"*/kernel": orthogonal(), "*": constant(0.0)})
    with pytest.raises(ValueError, match=r"'\*/kernel'; the nearest paths are \['layer/kernel/val"):
        initlab.initialize(jax.random.key(0), network.specs, init)


@pytest.mark.quick
def test_a_whole_equinox_model_is_no_tree_of_parameters():
    model = eqx.nn.MLP(4, 2, 3, 1, key=jax.random.key(0))
    with pytest.raises(TypeError, match=r"eqx\.partition\(model, eqx\.is_inexact_array\)"):
        read_model(lambda model, x: jax.vmap(model)(x), model, jnp.ones((3, 4)))


def test_an_nnx_model_that_draws_is_rebuilt_in_each_call():
    cell = nnx.RNN(nnx.GRUCell(4, 3, rngs=nnx.Rngs(0)))
    graph, params, rest = nnx.split(cell, nnx.Param, ...)
    x = jnp.ones((3, 2, 4))
    with pytest.raises(TypeError, match=r"TraceContextError .*`nnx\.merge\(.*, copy=True\)\(x\)`"):
        read_model(lambda p, x: nnx.merge(graph, p, rest)(x), params, x)
    # A key that a program has closed over is no number; all units are outputs.
    copied = lambda p, x: nnx.merge(graph, p, rest, copy=True)(x)  # noqa: E731
    assert read_symmetry(copied, params, x).groups == ()


def _equinox_model():
    return eqx.nn.MLP(4, 2, 3, 1, key=jax.random.key(0)), lambda model, x: jax.vmap(model)(x)


class Counted(nnx.Module):
    """Holds parameters, statistics and counters."""

    def __init__(self, rngs):
        self.layer, self.norm = nnx.Linear(4, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(self.layer(x)))


def _nnx_model():
    return Counted(nnx.Rngs(0)), lambda model, x: model(x)


def _equinox_params():
    model, _ = _equinox_model()
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return params, lambda params, x: jax.vmap(eqx.combine(params, static))(x)


def _table():
    return {"table": jnp.ones((4, 2))}, lambda params, ids: params["table"][ids]


KEY = jax.random.key(0)
TAKING_A_MODEL = {
    "audit": lambda apply, params, x: initlab.audit(apply, params, x),
    "audit, init": lambda apply, params, x: initlab.audit(apply, None, x, init=lambda key: params),
    "find_groups": initlab.symmetry.find_groups,
    "adopt": lambda apply, params, x: networks.adopt(lambda key: params, apply, x),
    "lsuv": lambda apply, params, x: lsuv(KEY, apply, params, x),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", TAKING_A_MODEL)
def test_a_whole_model_and_exchanged_arguments_are_named_at_every_door(name):
    call = TAKING_A_MODEL[name]
    x = jnp.ones((3, 4))
    for make, hint in (
        (_equinox_model, r"eqx\.partition\(model"),
        (_nnx_model, r"nnx\.split\(model"),
    ):
        model, apply = make()
        with pytest.raises(TypeError, match=hint):
            call(apply, model, x)
    for make, batch in (
        (_equinox_params, x),
        (_equinox_model, x),
        (_nnx_model, x),
        (_table, jnp.zeros(3, jnp.int32)),
    ):
        params, apply = make()
        with pytest.raises(TypeError, match="params and batch are exchanged"):
            call(apply, batch, params)


@pytest.mark.quick
def test_arrays_are_no_specs_and_the_way_to_these_is_named():
    with pytest.raises(TypeError, match=r"must hold ParamSpec, got .*: .*networks\.adopt\(init"):
        initlab.initialize(KEY, {"w": jnp.ones(3)}, normal(1.0))
