"""Optimizers by path and by role: against NumPy's steps, inside runs and sweeps, refused inputs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import optimizers
from initlab.initializers import by_role, constant, normal

# Optax's Adam relies on the standard promotion.
pytestmark = pytest.mark.usefixtures("standard_promotion")

NETWORK = initlab.networks.mlp((2, 4, 4, 1), jnp.tanh)


@pytest.fixture
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


def one_step(descent, params, gradient):
    updates, _ = descent.update(gradient, descent.init(params), params)
    return jax.tree.map(lambda leaf, update: np.asarray(leaf + update), params, updates)


@pytest.mark.quick
def test_each_parameter_is_moved_by_the_first_pattern_that_it_matches():
    params = jax.tree.map(lambda spec: np.full(spec.shape, 2.0, np.float32), NETWORK.specs)
    gradient = jax.tree.map(np.ones_like, params)
    patterns = {
        "layer_1/bias": optimizers.frozen(),
        "layer_1/*": optax.sgd(0.5),
        "*/weight": optax.adamw(0.25, weight_decay=0.5),
        "**": optax.sgd(0.125),
    }
    moved = one_step(optimizers.by_path(patterns), params, gradient)
    # Adam's first step is the rate, and what decays is 0.25 * 0.5 of a weight of 2.
    wanted = {
        "layer_1": {"weight": 1.5, "bias": 2.0},
        "layer_2": {"weight": 2 - 0.25 - 0.25, "bias": 1.875},
        "layer_3": {"weight": 2 - 0.25 - 0.25, "bias": 1.875},
    }
    jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, 1e-5), moved, wanted)

    by_roles = optimizers.by_role(
        NETWORK.specs, optax.sgd(1.0), bias=optimizers.frozen(), readout=optax.sgd(0.5)
    )
    moved = one_step(by_roles, params, gradient)
    wanted = {
        name: {"weight": weight, "bias": 2.0}
        for name, weight in zip(moved, (1.0, 1.0, 1.5), strict=True)
    }
    jax.tree.map(
        np.testing.assert_array_equal,
        moved,
        jax.tree.map(lambda want, got: np.full_like(got, want), wanted, moved),
    )


def test_rates_of_parts_are_axes_of_a_sweep_and_copies_stay_copies():
    def descent(point):
        parts = {
            "layer_1/*": optax.adam(point["rate_1"]),
            "layer_2/*": optimizers.frozen(),
            "*": optax.sgd(point["rate"], momentum=0.9),
        }
        return optimizers.by_path(parts)

    def params_that_moved(network, params, batch):
        del network
        moved = jax.tree.map(lambda a, b: jnp.any(a != b), params, batch.start)
        same = initlab.symmetry.units_identical(params)
        flags = {name: jnp.any(jnp.stack(jax.tree.leaves(each))) for name, each in moved.items()}
        return {**flags, "same": same}

    run = initlab.make_run(
        NETWORK,
        lambda point: by_role(constant(0.5), bias=constant(0.25)),
        initlab.tasks.xor(points=8),
        optimizer=descent,
        steps=3,
        every=3,
        probes=[params_that_moved],
    )
    axes = {"seed": [0], "rate_1": [0.0, 0.1], "rate": [0.0, 0.1]}
    results = initlab.sweep(run, axes, progress=False).isel(seed=0, step=-1)
    rates = np.asarray([0.0, 0.1]) > 0
    np.testing.assert_array_equal(results["layer_1"], np.stack([rates, rates], 1))
    np.testing.assert_array_equal(results["layer_3"], np.stack([rates, rates], 0))
    assert not results["layer_2"].any()
    assert results["same"].all()


def test_parts_of_one_optimizer_are_that_optimizer():
    params = initlab.initialize(jax.random.key(0), NETWORK.specs, normal(0.5))
    plain = one_step(optax.adam(0.1), params, params)
    parts = optimizers.by_role(NETWORK.specs, optax.adam(0.1), bias=optax.adam(0.1))
    jax.tree.map(np.testing.assert_array_equal, plain, one_step(parts, params, params))


SGD = optax.sgd(0.1)
NO_OPTIMIZER: Any = 0.1


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optimizers.by_path({}), ValueError, "patterns must name at least one"),
        (lambda: optimizers.by_path({"*": NO_OPTIMIZER}), TypeError,
         r"patterns\['\*'\] must be an optax GradientTransformation, got 0.1: write optax.sgd"),
        (lambda: optimizers.by_path({"layer_1/*": SGD}), ValueError,
         r"no pattern matches 'layer_2/bias'; the nearest patterns are \['layer_1/\*'\]"),
        (lambda: optimizers.by_path({"layer_4/*": SGD, "*": SGD}), ValueError,
         r"no parameter matches 'layer_4/\*'; the nearest paths are \['layer_"),
        (lambda: optimizers.by_path({"*": SGD, "layer_1/*": SGD}), ValueError,
         r"pattern 'layer_1/\*' must come before '\*'"),
        (lambda: optimizers.by_role(NETWORK.specs, SGD, gate=SGD), ValueError,
         "gate must be the role of a parameter, got specs with the roles .*'readout'"),
        (lambda: optimizers.by_role(NETWORK, SGD), TypeError, "specs.* must be an initlab Param"),
        (lambda: optimizers.by_role({"w": NETWORK.specs["layer_1"]["weight"]}, SGD), ValueError,
         "params must have the tree of specs"),
        (lambda: optimizers.by_role(NETWORK.specs, NO_OPTIMIZER), TypeError, "weight must be an"),
    ],
)  # fmt: skip
def test_what_would_train_other_parameters_than_meant_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make().init(jax.tree.map(lambda spec: np.zeros(spec.shape), NETWORK.specs))
