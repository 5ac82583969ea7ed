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
    # These need the classes' shares, and a parametrization on a network.
    *("log_prior", "parametrized"),
    # Its scales are multipliers, which the networks by name have not.
    "u_mup",
    # No network by name has a router.
    "small_router",
    # Of whole trees, and what they return.
    *("Adapted", "adapted_params", "lora", "lora_scale", "mimetic", "olora", "pissa"),
    *("Recognition", "RecognizedWeight", "recognize"),
}
# Schemes that draw what other networks have not.
PARTS = {
    **dict.fromkeys(("deepnorm", "mup_transformer", "nanogpt_speedrun", "t_fixup"), "transformer"),
    **dict.fromkeys(("chrono", "forget_bias"), "lstm"),
    "mamba": "state_space",
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
        specs = names.NETWORKS[PARTS.get(name, "mlp")](2, 4, 2, 2, jnp.tanh).specs
    # Traced and not run: what the draws are is the tables' business.
    params = jax.eval_shape(lambda key: initlab.initialize(key, specs, initializer), KEY)
    assert jax.tree.structure(params) == jax.tree.structure(specs)


def test_branches_are_counted_by_their_ends():
    made = {name: make(4, 4, 3, 2, jnp.tanh) for name, make in names.NETWORKS.items()}
    counted = {name: names.count_branches(network, 3) for name, network in made.items()}
    assert {name for name, count in counted.items() if count == 6} == {
        "transformer",
        "post_norm_transformer",
        "llama_transformer",
    }
    assert set(counted.values()) == {3, 6}


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


def test_every_network_maker_is_used_by_a_name_and_no_two_names_make_the_same(monkeypatch):
    used = {}
    makers = set(N.__all__) - {"adopt", "with_multipliers"}

    def spy_on(maker):
        make = getattr(N, maker)

        def spy(*args, **settings):
            used.setdefault(name, []).append(maker)
            return make(*args, **settings)

        return spy

    for maker in makers:
        monkeypatch.setattr(N, maker, spy_on(maker))
    programs = {}
    for name, make in names.NETWORKS.items():
        for inputs in (9, 2):
            network = make(inputs, 6, 2, 3, jnp.tanh)
            params = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype), network.specs)
            x = jax.ShapeDtypeStruct((5, inputs), jnp.float32)
            program = jax.make_jaxpr(network.apply)(params, x)
            assert [aval.shape for aval in program.out_avals] == [(5, 3)], name
            programs[name, inputs] = str(program)
    # Each name calls one maker, once for either number of inputs.
    assert all(len(calls) == 2 and len(set(calls)) == 1 for calls in used.values())
    assert {maker for calls in used.values() for maker in calls} == makers
    assert used.keys() == names.NETWORKS.keys()
    # Other settings make another program: a setting that is not passed on shows.
    assert len(set(programs.values())) == len(programs)
