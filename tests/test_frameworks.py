"""What frameworks hand out besides parameters is named, with the call that gives these alone."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import initlab
from initlab import checks, networks
from initlab.calibration import lsuv
from initlab.initializers import by_path, constant, normal, orthogonal
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
    params, static = eqx.partition(model, eqx.is_inexact_array)
    apply = lambda params, x: jax.vmap(eqx.combine(params, static))(x)  # noqa: E731
    for exchanged in (read_model, functools.partial(lsuv, jax.random.key(0))):
        with pytest.raises(TypeError, match="params and batch are exchanged"):
            exchanged(apply, jnp.ones((3, 4)), params)
