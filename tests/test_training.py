"""Runs: against a loop written by hand, and the laws that a pure run keeps."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import strategies

import initlab
from initlab import probes
from initlab.initializers import by_role, normal, zeros

POINT = {"seed": 3, "scale": 0.5, "learning_rate": 0.7}


@functools.cache
def flower():
    return initlab.tasks.flower(points=40)


def make(network=None, **changes):
    described = {
        "network": network or initlab.networks.mlp((2, 4, 1), jnp.tanh),
        "init": lambda p: by_role(weight=normal(p["scale"])),
        "task": flower(),
        "optimizer": lambda p: optax.sgd(p["learning_rate"]),
        "steps": 30,
        "every": 10,
        "probes": (probes.loss,),
    }
    described |= changes
    return initlab.make_run(
        described.pop("network"), described.pop("init"), described.pop("task"), **described
    )


def numpy_descent(params, x, y, learning_rate, steps):
    """Gradient descent on the cross-entropy of a tanh layer, as the course does, in float64."""
    (w1, b1), (w2, b2) = [
        [np.asarray(params[name][leaf], np.float64) for leaf in ("weight", "bias")]
        for name in ("layer_1", "layer_2")
    ]
    losses = []
    for step in range(steps + 1):
        a1 = np.tanh(x @ w1 + b1)
        z2 = (a1 @ w2 + b2)[:, 0]
        losses.append(np.mean(np.logaddexp(0, z2) - y * z2))
        if step == steps:
            break
        dz2 = (1 / (1 + np.exp(-z2)) - y)[:, None] / len(y)
        dz1 = (dz2 @ w2.T) * (1 - a1**2)
        w2, b2 = w2 - learning_rate * a1.T @ dz2, b2 - learning_rate * dz2.sum(0)
        w1, b1 = w1 - learning_rate * x.T @ dz1, b1 - learning_rate * dz1.sum(0)
    return np.asarray(losses), w1


@pytest.mark.quick
def test_a_run_is_gradient_descent():
    task = flower()
    with jax.enable_x64(True):
        network = initlab.networks.mlp((2, 4, 1), jnp.tanh, dtype=jnp.float64)
        init = by_role(weight=normal(POINT["scale"]))
        start = initlab.initialize(jax.random.key(POINT["seed"]), network.specs, init)
        history = make(network)(POINT)
    losses, w1 = numpy_descent(start, task.x, task.y, POINT["learning_rate"], 30)
    assert history.step.tolist() == [0, 10, 20, 30]
    np.testing.assert_allclose(history.values["loss"], losses[::10], rtol=1e-12)
    np.testing.assert_allclose(history.params["layer_1"]["weight"], w1, atol=1e-12)
    assert history.first_nonfinite_step == -1


def test_snapshots_do_not_change_the_run():
    finely, coarsely = make(every=1)(POINT), make(every=30)(POINT)
    np.testing.assert_array_equal(finely.values["loss"][::30], coarsely.values["loss"])
    jax.tree.map(np.testing.assert_array_equal, finely.params, coarsely.params)


def test_a_run_is_jitted_and_vmapped_to_the_same_numbers():
    run = make()
    alone = run(POINT)
    jitted = jax.jit(run)(POINT)
    np.testing.assert_array_equal(alone.values["loss"], jitted.values["loss"])
    seeds = jnp.arange(5)
    stacked = {**{k: jnp.full((5,), v) for k, v in POINT.items()}, "seed": seeds}
    many = jax.vmap(run)(stacked)
    np.testing.assert_allclose(many.values["loss"][3], alone.values["loss"], rtol=1e-5)


@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(seed=strategies.integers(0, 2**31 - 1), scale=strategies.floats(0.01, 2.0))
def test_any_seed_and_scale_start_as_initialize_says(seed, scale):
    history = _cached_run()({"seed": seed, "scale": scale, "learning_rate": 0.0})
    network = initlab.networks.mlp((2, 4, 1), jnp.tanh)
    init = by_role(weight=normal(scale))
    start = initlab.initialize(jax.random.key(seed), network.specs, init)
    # Each side rounds twice, by half an ulp (2^-24): a compiled run may multiply by the scale
    # before it multiplies by the sqrt(2) of the normal draw.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=4 * 2**-24, atol=0),
        history.params,
        start,
    )


@functools.cache
def _cached_run():
    return make(steps=2, every=1)


def test_params_may_be_given_instead_of_an_initializer():
    network = initlab.networks.mlp((2, 4, 1), jnp.tanh)
    given = initlab.initialize(
        jax.random.key(3), network.specs, by_role(weight=normal(POINT["scale"]))
    )
    as_numpy = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), given)
    run = make(network, init=lambda p: as_numpy)
    np.testing.assert_array_equal(
        run({"seed": 0, "learning_rate": 0.7}).values["loss"], make(network)(POINT).values["loss"]
    )


def test_a_diverging_run_says_when_and_does_not_disturb_its_neighbours():
    task = initlab.tasks.from_arrays(np.asarray([[1.0], [2.0]]), np.asarray([1.0, -1.0]))
    network = initlab.networks.mlp((1, 1), jnp.tanh)
    run = make(network, task=task, steps=400, every=100)
    rates = jnp.asarray([0.01, 10.0, 0.01])
    points = {"seed": jnp.zeros(3, int), "scale": jnp.ones(3), "learning_rate": rates}
    history = jax.vmap(run)(points)
    first = np.asarray(history.first_nonfinite_step)
    assert first[0] == first[2] == -1
    assert 1 < first[1] < 400
    assert np.isnan(history.values["loss"][1, -1])
    np.testing.assert_array_equal(history.values["loss"][0], history.values["loss"][2])
    # The step it names is the first: one step before, everything was finite.
    until = make(network, task=task, steps=int(first[1]) - 1, every=1)
    point = {"seed": 0, "scale": 1.0, "learning_rate": 10.0}
    assert np.isfinite(until(point).params["layer_1"]["weight"]).all()


@pytest.mark.quick
def test_a_start_that_is_not_finite_diverged_at_step_0():
    network = initlab.networks.mlp((2, 1), jnp.tanh)
    bad = {"layer_1": {"weight": np.asarray([[np.nan], [0.0]]), "bias": np.zeros(1)}}
    run = make(network, init=lambda p: bad)
    assert run({"seed": 0, "learning_rate": 0.1}).first_nonfinite_step == 0


def test_minibatches_pass_over_every_example_once_in_an_epoch():
    # Least squares with one example at a time: the sum of targets seen is read off the bias.
    x, y = np.zeros((6, 1)), np.asarray([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    task = initlab.tasks.from_arrays(x, y)
    network = initlab.networks.mlp((1, 1), jnp.tanh)
    rate = 1e-4
    run = make(
        network,
        init=lambda p: zeros(),
        task=task,
        optimizer=lambda p: optax.sgd(rate),
        steps=6,
        every=2,
        batch_size=2,
    )
    seen = []
    for seed in range(8):
        history = run({"seed": seed})
        bias = history.params["layer_1"]["bias"].item()
        # Two epochs of three batches: every target was pulled at twice, whatever the order.
        np.testing.assert_allclose(bias, 2 * rate * np.sum(y), rtol=2e-3)
        seen.append(bias)
        np.testing.assert_array_equal(run({"seed": seed}).params["layer_1"]["bias"], bias)
    assert len(set(seen)) > 1


# optax's own bias correction mixes dtypes.
@jax.numpy_dtype_promotion("standard")
def test_momentum_and_adam_are_optax_s():
    network = initlab.networks.mlp((2, 4, 1), jnp.tanh)
    for make_optimizer in (lambda rate: optax.sgd(rate, 0.9), optax.adam):
        run = make(
            network, optimizer=lambda p, make_one=make_optimizer: make_one(p["learning_rate"])
        )
        params = initlab.initialize(
            jax.random.key(3), network.specs, by_role(weight=normal(POINT["scale"]))
        )
        optimizer = make_optimizer(POINT["learning_rate"])
        memory, loss = optimizer.init(params), initlab.make_loss(network, flower())
        for _ in range(30):
            updates, memory = optimizer.update(jax.grad(loss)(params), memory, params)
            params = optax.apply_updates(params, updates)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), run(POINT).params, params
        )


BAD_DESCRIPTIONS = {
    "steps not a multiple": ({"steps": 25}, ValueError, "multiple of every"),
    "no steps": ({"steps": 0}, ValueError, "steps must be at least 1"),
    "steps as text": ({"steps": "30"}, TypeError, "steps must be an integer"),
    "batch too large": ({"batch_size": 41}, ValueError, "batch_size must be at most 40"),
    "probe not a function": ({"probes": ("loss",)}, TypeError, r"probes\[0\]"),
    "task not a task": ({"task": (1, 2)}, TypeError, "task must be an initlab Task"),
}


@pytest.mark.parametrize("case", BAD_DESCRIPTIONS)
def test_a_bad_description_is_refused(case):
    changes, error, message = BAD_DESCRIPTIONS[case]
    with pytest.raises(error, match=message):
        make(**changes)


def test_a_network_that_does_not_fit_the_task_is_refused():
    with pytest.raises(ValueError, match="labels require 1 logits"):
        make(initlab.networks.mlp((2, 4, 2), jnp.tanh))
    with pytest.raises(ValueError, match="must have 3 columns"):
        make(initlab.networks.mlp((3, 1), jnp.tanh))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scale": -1.0}, ValueError, "std must be at least 0"),
        ({"scale": float("nan")}, ValueError, "must be finite"),
        ({"scale": "0.1"}, TypeError, "must be a number"),
        ({"seed": -1}, ValueError, "seed must be an integer"),
        ({"seed": 0.5}, ValueError, "seed must be an integer"),
        ({"depth": 3}, ValueError, r"does not use \['depth'\]"),
        ({"scale": None}, ValueError, "the run uses 'scale'"),
    ],
)
def test_a_bad_point_is_refused(changes, error, message):
    point = {key: value for key, value in (POINT | changes).items() if value is not None}
    with pytest.raises(error, match=message):
        make()(point)


def test_params_that_do_not_fit_are_refused_by_path():
    network = initlab.networks.mlp((2, 1), jnp.tanh)
    wrong = {"layer_1": {"weight": np.zeros((3, 1)), "bias": np.zeros(1)}}
    with pytest.raises(ValueError, match="layer_1/weight"):
        make(network, init=lambda p: wrong)({"seed": 0, "learning_rate": 0.1})
