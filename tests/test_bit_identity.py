"""Units that start identical stay bit-identical: a covering part of the table that

`python -m experiments.zero_initialization` checks whole, and the channels of convolutions.
"""

import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from experiments.zero_initialization import facts, promises
from initlab.compilation import compile_fast
from initlab.initializers import by_role, constant
from initlab.networks import dense

pytestmark = pytest.mark.full_compile

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
}
WIDTHS = (2, 3, 5, 7, 16, 37, 64, 65, 129, 257)
CONSTANTS = (0.01, 0.1, 0.5)
THOROUGH = pytest.mark.thorough


def task_of(examples):
    """The flower's first and last points, 400 in all at most."""
    flower = initlab.tasks.flower()
    rows = np.linspace(0, 399, examples).astype(int)
    return initlab.tasks.from_arrays(flower.x[rows], flower.y[rows])


@pytest.mark.parametrize(
    ("platform", "kind"), [("cpu", "cpu"), ("gpu", "NVIDIA H100"), ("tpu", "TPU v5e")]
)
def test_a_device_that_may_part_units_is_named_with_the_widths(platform, kind):
    device = types.SimpleNamespace(platform=platform, device_kind=kind)
    said = promises.not_promised(device, [2, 5, 37])
    if platform == "cpu":
        assert not said
    else:
        assert said.startswith(f"on {kind} ({platform}) ")
        assert "width 2, 5, 37;" in said


# Widths with one hidden layer, some with more, and every activation at an awkward width.
EVERY_RUN = {2, 7, 37, 257}
STEP_CASES = [
    pytest.param(
        "tanh",
        (width,) * depth,
        examples,
        marks=() if depth == 1 and width in EVERY_RUN else THOROUGH,
    )
    for depth, examples in ((1, 400), (2, 400), (3, 50), (4, 17))
    for width in (WIDTHS if depth == 1 else WIDTHS[1::depth])
] + [
    pytest.param(name, (65, 65), 400, marks=() if name == "relu" else THOROUGH)
    for name in ("sigmoid", "relu", "gelu")
]


@pytest.mark.parametrize(("name", "hidden", "examples"), STEP_CASES)
def test_a_step_keeps_random_tied_params_tied(name, hidden, examples):
    # Random tied params make every sum a sum of unlike terms: any change of order shows at once.
    network = initlab.networks.mlp((2, *hidden, 1), ACTIVATIONS[name])
    assert facts.step_holds(network, task_of(examples), 0.5, 8)


def asserting_run(network, init, task, steps):
    """Raises where the units are not identical before the first step and after each."""
    run = initlab.make_run(
        network,
        init,
        task,
        optimizer=lambda p: optax.sgd(0.5),
        steps=steps,
        every=steps,
        invariants=(initlab.symmetry.assert_units_identical,),
    )
    return chex.chexify(jax.jit(run), async_check=False)


@pytest.mark.parametrize(
    ("name", "hidden", "steps"),
    [
        ("tanh", (2,), 20000),
        pytest.param("sigmoid", (5,), 2000, marks=THOROUGH),
        ("relu", (16,), 2000),
        pytest.param("gelu", (7,), 2000, marks=THOROUGH),
        pytest.param("tanh", (37,), 2000, marks=THOROUGH),
        pytest.param("tanh", (65,), 2000, marks=THOROUGH),
        pytest.param("gelu", (129,), 2000, marks=THOROUGH),
        pytest.param("tanh", (3, 3), 2000, marks=THOROUGH),
        pytest.param("sigmoid", (64, 64), 500, marks=THOROUGH),
        pytest.param("relu", (37, 37, 37), 500, marks=THOROUGH),
        pytest.param("tanh", (16, 16, 16, 16), 2000, marks=THOROUGH),
        pytest.param("gelu", (257, 257), 50, marks=THOROUGH),
    ],
)
def test_units_stay_identical_through_training(name, hidden, steps):
    network = initlab.networks.mlp((2, *hidden, 1), ACTIVATIONS[name])
    few = task_of(32)
    run = asserting_run(network, lambda p: by_role(weight=constant(p["constant"])), few, steps)
    for value in CONSTANTS:
        run({"seed": 0, "constant": value})
    rates = np.geomspace(0.5, 0.01, 4).tolist()
    assert facts.together_holds(network, few, steps, CONSTANTS, rates)


@pytest.mark.parametrize(
    ("hidden", "steps"),
    [
        ((5,), 2000),
        pytest.param((65,), 100, marks=THOROUGH),
        pytest.param((37, 37), 100, marks=THOROUGH),
    ],
)
def test_64_runs_under_vmap_stay_identical_on_all_points(hidden, steps):
    network = initlab.networks.mlp((2, *hidden, 1), jnp.tanh)
    rates = np.geomspace(1.2, 0.01, 16).tolist()
    assert facts.together_holds(network, initlab.tasks.flower(), steps, (0, *CONSTANTS), rates)


def test_a_net_stands_still_from_zero_and_moves_from_other_constants():
    network = initlab.networks.mlp((2, 5, 1), jnp.tanh)
    held, moving = facts.alone_holds(network, initlab.tasks.flower(), 2000, (0, *CONSTANTS), 1.2)
    assert held == [True] * 4
    assert moving == [False, True, True, True]


def test_the_units_that_stay_identical_do_move():
    # A run that does not train would keep any symmetry.
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
    history = run({"seed": 0, "constant": 0.5, "learning_rate": 0.5})
    weight = history.params["layer_1"]["weight"]
    assert float(jnp.max(jnp.abs(weight - 0.5))) > 0.1
    assert history.values["distinct_units"].tolist() == [[1, 1], [1, 1]]
    assert history.values["unit_spread"].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("leaf", ["weight", "bias"])
def test_a_planted_difference_of_one_bit_is_caught_in_training(leaf):
    network = initlab.networks.mlp((2, 5, 1), jnp.tanh)

    def planted(point):
        params = initlab.initialize(jax.random.key(0), network.specs, constant(0.5))
        value = params["layer_1"][leaf]
        last = (..., 4)
        params["layer_1"][leaf] = value.at[last].set(value[last] * (1 + point["bits"]))
        return params

    run = asserting_run(network, planted, initlab.tasks.flower(), 2)
    run({"seed": 0, "bits": 0.0})
    with pytest.raises(AssertionError, match="assert_trees_all_equal"):
        run({"seed": 0, "bits": float(np.finfo(np.float32).eps)})


@pytest.mark.parametrize("fan_out", [1, 3, 16, 17, 33])
def test_dense_and_its_gradients_match_numpy(fan_out):
    rng = np.random.default_rng(0)
    # A program for all numbers of inputs: seven would compile for longer.
    cases = [
        tuple(rng.normal(size=size) for size in ((n, 48), (n, fan_out), (fan_out,), (fan_out, 48)))
        for n in (1, 2, 15, 16, 17, 40, 130)
    ]

    def differentiate(h, weight, bias, cotangent):
        z, backward = jax.vjp(dense.dense, h, weight, bias)
        return z, *backward(cotangent)

    with jax.enable_x64(True):
        program = jax.jit(lambda cases: [differentiate(*case) for case in cases])
        # Numbers and not bits: they may be compiled fast.
        found = compile_fast(program.lower(cases))(cases)
    for (h, weight, bias, cotangent), each in zip(cases, found, strict=True):
        wanted = (
            weight.T @ h + bias[:, None],
            weight @ cotangent,
            h @ cotangent.T,
            cotangent.sum(axis=1),
        )
        for ours, numpy in zip(each, wanted, strict=True):
            np.testing.assert_allclose(ours, numpy, atol=1e-12)


@pytest.mark.parametrize("width", [*(pytest.param(n, marks=THOROUGH) for n in (5, 9, 13, 24)), 37])
def test_units_are_summed_alike_where_runs_share_their_inputs(width):
    # A product of all runs at once would be cut in blocks without regard for whose unit is where.
    rng = np.random.default_rng(0)
    cases = [
        tuple(
            rng.normal(size=size).astype(np.float32)
            for size in ((fan_in, 400), (runs, fan_in), (runs, 400))
        )
        for runs in (3, 16, 64)
        for fan_in in (2, 30)
    ]

    def of_each_run(x, column, row):
        weight = jnp.repeat(column[:, None], width, axis=1)
        z, backward = jax.vjp(lambda *both: dense.dense(x, *both), weight, weight[0])
        return z, *backward(jnp.repeat(row[None], width, axis=0))

    runs_of = jax.vmap(of_each_run, (None, 0, 0))
    for z, weight, bias in jax.jit(lambda cases: [runs_of(*case) for case in cases])(cases):
        for alike in (np.swapaxes(z, 1, 2), np.asarray(weight), np.asarray(bias)):
            np.testing.assert_array_equal(alike, np.broadcast_to(alike[..., :1], alike.shape))


@pytest.mark.parametrize("channels", [5, pytest.param(18, marks=THOROUGH)])
def test_channels_that_start_identical_stay_bit_identical(channels):
    network = initlab.networks.convnet((4, 4, 1), channels, 3, 1, jnp.tanh)
    x = np.random.default_rng(0).standard_normal((6, 16))
    task = initlab.tasks.from_arrays(x, np.arange(6) % 3)
    # One scalar for each position of the window: unlike terms, tied over channels.
    draws = iter(np.random.default_rng(1).standard_normal(100))
    tied = {}
    for layer, leaves in network.specs.items():
        tied[layer] = {}
        for name, spec in leaves.items():
            window = spec.shape[:2] if len(spec.shape) == 4 else ()
            values = [0.3 * next(draws) for _ in np.ndindex(*window)]
            entries = np.reshape(values, (*window, *[1] * (len(spec.shape) - len(window))))
            tied[layer][name] = jnp.asarray(np.broadcast_to(entries, spec.shape), jnp.float32)
    # The readout's columns are classes, whose gradients differ.
    groups = initlab.symmetry.find_groups(network.apply, tied, np.zeros((6, 16), np.float32))
    assert {group.size for group in groups} == {channels}
    run = initlab.make_run(
        network,
        lambda p: tied,
        task,
        optimizer=lambda p: optax.sgd(p["rate"]),
        steps=20,
        every=20,
    )
    points = {"seed": jnp.zeros(3, jnp.int32), "rate": jnp.asarray([0.1, 0.5, 1.0])}
    params = jax.jit(jax.vmap(run.function))(points).params
    for n in range(3):
        after = jax.tree.map(lambda leaf, n=n: leaf[n], params)
        assert initlab.symmetry.units_identical(after, groups)
        moved = after["block_1"]["weight"] - tied["block_1"]["weight"]
        # Units that move and stay identical have had identical gradients.
        assert float(jnp.max(jnp.abs(moved))) > 1e-3
