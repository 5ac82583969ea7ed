"""Registries: every initializer has a name and starts a network, every network has one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import KEY, WINDOWED, weight_spec

import initlab
from experiments import names
from initlab import initializers as I  # noqa: N812
from initlab import networks as N  # noqa: N812
from initlab import theory
from initlab.types import ParamSpec, Role

NOT_SCHEMES = {
    *("by_path", "by_role", "choice", "initialize", "scaled", "shifted"),
    *("fan_avg", "fan_in", "fan_out", "bias_law", "weight_law"),
    *("unit_normal", "unit_truncated_normal", "unit_uniform"),
}


def test_every_initializer_has_a_name():
    assert set(names.INITIALIZERS) == set(I.__all__) - NOT_SCHEMES


@pytest.mark.parametrize("name", names.INITIALIZERS)
def test_every_name_starts_a_network(name):
    initializer = names.INITIALIZERS[name](jnp.tanh, 4)
    if name in WINDOWED:
        specs = {
            "first": {"weight": weight_spec(3, 1, 4, role=Role.INPUT)},
            "second": {"weight": weight_spec(3, 4, 4), "bias": ParamSpec((4,), 12, 12, Role.BIAS)},
            "last": {"weight": weight_spec(4, 2, role=Role.READOUT)},
        }
    else:
        specs = initlab.networks.mlp((2, 4, 4, 2), jnp.tanh).specs
    # Traced and not run: what the draws are is the tables' business.
    params = jax.eval_shape(lambda key: initlab.initialize(key, specs, initializer), KEY)
    assert jax.tree.structure(params) == jax.tree.structure(specs)


@pytest.mark.parametrize("activation", [jnp.tanh, jax.nn.relu, jax.nn.gelu])
def test_critical_starts_at_the_critical_point(activation):
    point = theory.critical_point(activation)
    initializer = names.INITIALIZERS["critical"](activation, 4)
    weight = initializer(KEY, weight_spec(300, 300))
    bias = initializer(KEY, ParamSpec((9000,), 300, 300, Role.BIAS))
    np.testing.assert_allclose(300 * np.var(weight, dtype=float), point.sigma_w2, rtol=0.03)
    # gelu's lengths stay with biases alone.
    np.testing.assert_allclose(np.var(bias, dtype=float), point.sigma_b2, rtol=0.06, atol=1e-12)
    assert (activation is jax.nn.gelu) == (point.sigma_b2 > 0.1)


def test_every_network_has_a_name_that_makes_one():
    makers = {maker for maker in N.__all__ if maker != "adopt"}
    assert all(any(maker in name for name in names.NETWORKS) for maker in makers)
    for name, make in names.NETWORKS.items():
        for inputs in (9, 2):
            network = make(inputs, 6, 2, 3, jnp.tanh)
            params = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype), network.specs)
            x = jax.ShapeDtypeStruct((5, inputs), jnp.float32)
            assert jax.eval_shape(network.apply, params, x).shape == (5, 3), name
