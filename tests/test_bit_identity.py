"""Units that start identical stay bit-identical: a covering part of the table that

`python -m experiments.zero_initialization` checks whole.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from experiments import induction
from initlab.initializers import by_role, constant
from initlab.networks import dense

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
}
WIDTHS = (2, 3, 5, 7, 16, 37, 64, 65, 129, 257)
CONSTANTS = (0.01, 0.1, 0.5)


def task_of(examples):
    """The flower's first and last points, 400 in all at most."""
    flower = initlab.tasks.flower()
    rows = np.linspace(0, 399, examples).astype(int)
    return initlab.tasks.from_arrays(flower.x[rows], flower.y[rows])


# Every width with one hidden layer, some with more, and every activation at an awkward width.
STEP_CASES = [
    ("tanh", (width,) * depth, examples)
    for depth, examples in ((1, 400), (2, 400), (3, 50), (4, 17))
    for width in (WIDTHS if depth == 1 else WIDTHS[1::depth])
] + [(name, (65, 65), 400) for name in ("sigmoid", "relu", "gelu")]


@pytest.mark.parametrize(("name", "hidden", "examples"), STEP_CASES)
def test_a_step_keeps_random_tied_params_tied(name, hidden, examples):
    # Random tied params make every sum a sum of unlike terms: any change of order shows at once.
    network = initlab.networks.mlp((2, *hidden, 1), ACTIVATIONS[name])
    assert induction.step_holds(network, task_of(examples), 0.5, 8)


@pytest.mark.parametrize(
    ("name", "hidden", "steps"),
    [
        ("tanh", (2,), 20000),
        ("sigmoid", (5,), 20000),
        ("relu", (16,), 20000),
        ("gelu", (7,), 20000),
        ("tanh", (37,), 20000),
        ("tanh", (65,), 20000),
        ("gelu", (129,), 2000),
        ("tanh", (3, 3), 2000),
        ("sigmoid", (64, 64), 500),
        ("relu", (37, 37, 37), 500),
        ("tanh", (16, 16, 16, 16), 2000),
        ("gelu", (257, 257), 50),
    ],
)
def test_units_stay_identical_through_training(name, hidden, steps):
    network = initlab.networks.mlp((2, *hidden, 1), ACTIVATIONS[name])
    few = task_of(32)
    rates = np.geomspace(0.5, 0.01, 4).tolist()
    alone, _, together = induction.conclusion_holds(network, few, few, steps, CONSTANTS, rates)
    assert alone == [True] * len(CONSTANTS)
    assert together


@pytest.mark.parametrize(("hidden", "steps"), [((5,), 2000), ((65,), 100), ((37, 37), 100)])
def test_64_runs_under_vmap_stay_identical_on_all_points(hidden, steps):
    network = initlab.networks.mlp((2, *hidden, 1), jnp.tanh)
    task = initlab.tasks.flower()
    rates = np.geomspace(1.2, 0.01, 16).tolist()
    _, moving, together = induction.conclusion_holds(
        network, task, task, steps, (0, *CONSTANTS), rates
    )
    assert together
    assert moving == [False, True, True, True]


def test_the_units_that_stay_identical_do_move():
    # A run that stands still would keep any symmetry.
    network = initlab.networks.mlp((2, 5, 1), jnp.tanh)
    run = initlab.make_run(
        network,
        lambda p: by_role(weight=constant(p["constant"])),
        initlab.tasks.flower(),
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=200,
        every=200,
        probes=(initlab.probes.distinct_units, initlab.probes.unit_spread),
    )
    trace = run({"seed": 0, "constant": 0.5, "learning_rate": 0.5})
    weight = trace.params["layer_1"]["weight"]
    assert float(jnp.max(jnp.abs(weight - 0.5))) > 0.1
    assert trace.values["distinct_units"].tolist() == [[1, 1], [1, 1]]
    assert trace.values["unit_spread"].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("leaf", ["weight", "bias"])
def test_a_planted_difference_of_one_bit_is_caught_in_training(leaf):
    network = initlab.networks.mlp((2, 5, 1), jnp.tanh)

    def planted(point):
        params = initlab.initialize(jax.random.key(0), network.specs, constant(0.5))
        value = params["layer_1"][leaf]
        last = (..., 4)
        params["layer_1"][leaf] = value.at[last].set(value[last] * (1 + point["bits"]))
        return params

    def run_with(bits):
        run = initlab.make_run(
            network,
            planted,
            initlab.tasks.flower(),
            optimizer=lambda p: optax.sgd(0.5),
            steps=2,
            every=1,
            invariants=(initlab.symmetry.assert_units_identical,),
        )
        return chex.chexify(jax.jit(run), async_check=False)({"seed": 0, "bits": bits})

    run_with(0.0)
    with pytest.raises(AssertionError, match="assert_trees_all_equal"):
        run_with(float(np.finfo(np.float32).eps))


@pytest.mark.parametrize("fan_in", [1, 2, 15, 16, 17, 40, 130])
@pytest.mark.parametrize("fan_out", [1, 3, 16, 17, 33])
def test_dense_and_its_gradients_match_numpy(fan_in, fan_out):
    rng = np.random.default_rng(0)
    h, weight = rng.normal(size=(fan_in, 48)), rng.normal(size=(fan_in, fan_out))
    bias, cotangent = rng.normal(size=fan_out), rng.normal(size=(fan_out, 48))
    with jax.enable_x64(True):
        z, backward = jax.vjp(dense.dense, *map(jnp.asarray, (h, weight, bias)))
        gradients = backward(jnp.asarray(cotangent))
    np.testing.assert_allclose(z, weight.T @ h + bias[:, None], atol=1e-12)
    wanted = (weight @ cotangent, h @ cotangent.T, cotangent.sum(axis=1))
    for found, each in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(found, each, atol=1e-12)


@pytest.mark.parametrize("runs", [3, 16, 64])
@pytest.mark.parametrize("width", [5, 9, 13, 24, 37])
def test_units_are_summed_alike_where_runs_share_their_inputs(width, runs):
    # A product of all runs at once would be cut in blocks without regard for whose unit is where.
    rng = np.random.default_rng(0)

    @jax.jit
    @jax.vmap
    def of_each_run(column, row):
        weight = jnp.repeat(column[:, None], width, axis=1)
        z, backward = jax.vjp(lambda *both: dense.dense(x, *both), weight, weight[0])
        return z, *backward(jnp.repeat(row[None], width, axis=0))

    for fan_in in (2, 30):
        x = jnp.asarray(rng.normal(size=(fan_in, 400)), jnp.float32)
        columns, rows = (rng.normal(size=(runs, size)) for size in (fan_in, 400))
        z, weight, bias = of_each_run(jnp.float32(columns), jnp.float32(rows))
        for alike in (jnp.swapaxes(z, 1, 2), weight, bias):
            np.testing.assert_array_equal(alike, jnp.broadcast_to(alike[..., :1], alike.shape))
