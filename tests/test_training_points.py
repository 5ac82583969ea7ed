"""Networks that are functions of a run's point: multipliers as axes, structure as it must be."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import networks, optimizers, probes, signals
from initlab.initializers import by_role, constant, he_normal, normal
from initlab.types import Role

PLAIN = networks.mlp((2, 4, 1), jnp.tanh)


def make(network, init=None, optimizer=lambda p: optax.sgd(0.5), **changes):
    described = {"steps": 2, "every": 1, "probes": [probes.loss]} | changes
    return initlab.make_run(
        network,
        lambda p: by_role(init or normal(0.5)),
        initlab.tasks.xor(points=8),
        optimizer=optimizer,
        **described,
    )


def test_a_multiplier_is_a_factor_on_params_that_a_sweep_may_go_over():
    """The reparametrization of Yang and Hu: m w with rate r is w with rate m^2 r."""
    patterns = {"layer_2/weight": 0, "layer_1/*": 1}

    def many(point):
        numbers = [point["alpha"], point["beta"]]
        return networks.with_multipliers(PLAIN, {p: numbers[n] for p, n in patterns.items()})

    axes = {"seed": [0], "alpha": [0.0, 0.5, 3.0], "beta": [2.0]}
    results = initlab.sweep(make(many), axes, progress=False).squeeze()

    start = initlab.initialize(jax.random.key(0), PLAIN.specs, by_role(normal(0.5)))
    for alpha, got in zip(axes["alpha"], np.asarray(results["loss"]), strict=True):
        factors = {"layer_1": {"weight": 2.0, "bias": 2.0}, "layer_2": {"weight": alpha, "bias": 1}}
        params = jax.tree.map(lambda leaf, m: leaf * np.float32(m), start, factors)
        plain = make(PLAIN, optimizer=lambda p, a=alpha: optimizers.by_path({
            "layer_1/*": optax.sgd(0.5 * 4), "*/weight": optax.sgd(0.5 * a**2),
            "*": optax.sgd(0.5),
        }), init=lambda key, spec, params=params: params[spec.path[:7]][spec.path[8:]])  # fmt: skip
        np.testing.assert_allclose(got, plain({"seed": 0}).values["loss"], rtol=2e-5)


def test_copies_stay_copies_under_multipliers_of_a_point():
    def network(point):
        leak = lambda z: jnp.where(z > 0, z, point["leak"] * z)  # noqa: E731
        return networks.with_multipliers(networks.mlp((2, 19, 1), leak), {"*": point["m"]})

    run = make(network, constant(0.3), steps=2, every=2)
    points = {"seed": np.zeros(3, int), "m": np.asarray([0.7, 1.3, -0.9]), "leak": np.full(3, 0.1)}
    history = jax.vmap(lambda point: run(point))({k: jnp.asarray(v) for k, v in points.items()})
    assert jax.vmap(initlab.symmetry.units_identical)(history.params).all()
    start = np.asarray(history.values["loss"][:, 0])
    assert np.unique(start).size == 3


@pytest.mark.quick
def test_a_network_of_a_point_has_the_same_structure_at_every_point():
    network = lambda p: networks.mlp((2, int(p["width"]), 1), jnp.tanh)  # noqa: E731
    with pytest.raises(TypeError, match=r"^network must .* no structure may depend on.*ure="):
        make(network)

    def by_count(point):
        return networks.mlp((2, 4 + len(point), 1), jnp.tanh)

    with pytest.raises(ValueError, match=r"network.point. must have the same parameters and"):
        make(by_count)({"seed": 0})
    with pytest.raises(TypeError, match=r"network.point. must be an initlab Network, got dict"):
        make(lambda p: {})
    with pytest.raises(TypeError, match="network must be an initlab Network, got 3"):
        make(3)
    scaled = make(lambda p: networks.with_multipliers(PLAIN, {"*": p["m"]}))
    with pytest.raises(ValueError, match="the run uses 'm', and its point has only"):
        scaled({"seed": 0})
    with pytest.raises(ValueError, match="the run does not use"):
        scaled({"seed": 0, "m": 1.0, "k": 1.0})


@pytest.mark.quick
def test_multipliers_that_do_not_fit():
    for patterns, message in (
        ({"layer_3/*": 1.0}, "no parameter matches 'layer_3/\\*'; the nearest paths are"),
        ({"*": np.nan}, "multipliers\\['\\*'\\] must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            networks.with_multipliers(PLAIN, patterns)
    twice = networks.with_multipliers(
        networks.with_multipliers(PLAIN, {"layer_1/*": 2.0}), {"*/weight": 3.0, "*": 1.0}
    )
    assert twice.multipliers == {
        "layer_1/bias": 2.0, "layer_1/weight": 6.0, "layer_2/bias": 1.0, "layer_2/weight": 3.0
    }  # fmt: skip


@pytest.mark.thorough
def test_theory_sees_what_a_weight_is_multiplied_by():
    """A residual branch that is scaled, and one whose last layer's draw is."""
    sizes, s = (2, 5, 1), 0.5
    scaled = networks.residual_mlp(sizes, 1, jnp.tanh, branch_scale=s)
    plain = networks.residual_mlp(sizes, 1, jnp.tanh)
    small = by_role(he_normal(), residual=initlab.initializers.scaled(he_normal(), s))

    def measured(network, init):
        run = signals.signal_run(network, lambda p: init, 2, length=1.0, correlation=0.5)
        return run({"seed": 0}).values

    got, want = measured(scaled, by_role(he_normal())), measured(plain, small)
    assert f"sigma_w2_{Role.RESIDUAL.value}" in got
    assert got.keys() == want.keys()
    for name in got:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-4, atol=1e-6)
