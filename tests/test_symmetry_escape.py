"""Escape from a symmetric start: the runs, the prediction, the table and the picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure

import initlab
from experiments.symmetry_escape import runs, tables
from experiments.symmetry_escape.figure import draw_escape
from initlab import symmetry
from initlab.compilation import compile_fast

pytestmark = pytest.mark.full_compile

STEPS, EVERY, RATE = 300, 50, 1.2


@pytest.fixture(scope="module")
def small():
    """A width of 4 in float64: growth, and runs with differences planted."""
    with jax.enable_x64(True):
        task = initlab.tasks.flower()
        task = initlab.tasks.from_arrays(task.x[::8], task.y[::8])
        network = initlab.networks.mlp((2, 4, 1), jnp.tanh, dtype=jnp.float64)
        growth = runs.growth_of(network, task, steps=STEPS)
        run = runs.escape_run(network, task, steps=STEPS, every=EVERY, order_one=0.1)
        planted = np.array([0.0, 1e-8, 1e-5])
        yield (
            jax.device_get(jax.jit(growth)(0.01, RATE)),
            planted,
            jax.device_get(jax.jit(jax.vmap(run, (None, 0, None)))(0.01, planted, RATE)),
        )


def test_planted_differences_escape_when_predicted(small):
    growth, planted, found = small
    assert found.escape[0] == found.first_difference[0] == -1
    assert found.spread[0].max() == 0
    for size, escaped in zip(planted[1:], found.escape[1:], strict=True):
        predicted = int(symmetry.escape_step(growth, size, 0.1))
        assert 0 < predicted < STEPS
        assert abs(escaped - predicted) <= 0.15 * predicted
    np.testing.assert_allclose(found.spread[1:, 0], planted[1:], rtol=1e-3)
    assert (found.first_difference[1:] == 0).all()


def test_the_plain_network_is_the_lab_s_but_for_the_order_of_sums():
    with jax.enable_x64(True):
        networks = [
            make((3, 5, 4, 2), jnp.tanh, dtype=jnp.float64) for make in runs.ARITHMETICS.values()
        ]
        rng = np.random.default_rng(0)
        params = initlab.initialize(
            jax.random.key(0), networks[0].specs, initlab.initializers.normal(1.0)
        )
        x = rng.standard_normal((7, 3))

        def signals(params, x):
            return [(network.apply(params, x), network.layers(params, x)) for network in networks]

        # Numbers and not bits: they may be compiled fast.
        one, other = compile_fast(jax.jit(signals).lower(params, x))(params, x)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), one, other)


def row(**changes):
    return {
        "dtype": "float64",
        "arithmetic": "ordered",
        "width": 2,
        "constant": 0.1,
        "perturbation": 1e-6,
        "first_difference": 0,
        "escape": 100,
        "predicted": 100,
        "loss_start": 0.7,
        "loss_end": 0.3,
    } | changes


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"escape": 115}, 0),
        ({"escape": 116}, 1),
        ({"escape": -1}, 1),
        ({"escape": -1, "predicted": -1}, 0),
        ({"escape": 200, "dtype": "float32"}, 0),
        ({"escape": 200, "perturbation": 1e-12}, 0),
        ({"escape": 200, "arithmetic": "plain"}, 0),
    ],
)
def test_the_verdict_is_held_to_planted_differences_in_float64(changes, code):
    summary = {"rows": [row(**changes)], "order_one": 0.1, "steps": 200}
    assert tables.verdict(summary) == code
    said = tables.show(summary, {})
    is_held = not changes.keys() & {"dtype", "perturbation", "arithmetic"}
    assert (f"{1 - code} of 1 such runs" in said) == is_held


@pytest.fixture(scope="module")
def results(small):
    """The small runs as `measure` names their axes."""
    growth, planted, found = small
    names = ("first_difference", "first_spread", "escape", "spread", "loss")
    dims = ("dtype", "arithmetic", "width", "constant", "perturbation", "step")
    arrays = {name: np.asarray(getattr(found, name), float)[(None,) * 4] for name in names}
    return xarray.Dataset(
        {
            **{name: (dims[: array.ndim], array) for name, array in arrays.items()},
            "log_growth": (
                ("width", "constant", "training_step"),
                np.asarray(growth.log_growth)[None, None],
            ),
        },
        coords={
            "dtype": ["float64"],
            "arithmetic": ["ordered"],
            "width": [4],
            "constant": [0.01],
            "perturbation": planted,
            "step": np.arange(0, STEPS + 1, EVERY),
            "training_step": np.arange(STEPS + 1),
        },
        attrs={"order_one": 0.1},
    )


def test_the_summary_predicts_each_difference_from_the_step_at_which_it_arose(results):
    # Rounding is made to part the units that nobody perturbed, at a step of its own.
    late = results.copy(deep=True)
    late["first_difference"][..., 0] = 100
    late["first_spread"][..., 0] = 1e-5
    with jax.enable_x64(True):
        summary = tables.summarize(late, {})
    assert [row["perturbation"] for row in summary["rows"]] == [0.0, 1e-8, 1e-5]
    log_growth = results["log_growth"].values[0, 0]
    for row, size, since in zip(summary["rows"], (1e-5, 1e-8, 1e-5), (100, 0, 0), strict=True):
        grown = size * np.exp(log_growth[since:] - log_growth[since])
        wanted = since + int(np.argmax(grown >= 0.1)) if grown.max() >= 0.1 else -1
        assert row["predicted"] == wanted
    assert tables.verdict(summary) == 0
    assert summary["steps"] == STEPS


def test_units_that_never_part_are_predicted_to_stay(results):
    with jax.enable_x64(True):
        rows = tables.summarize(results, {})["rows"]
    assert (rows[0]["first_difference"], rows[0]["escape"], rows[0]["predicted"]) == (-1, -1, -1)


def test_the_picture_has_a_column_for_each_constant(results):
    figure = draw_escape(results)
    assert isinstance(figure, Figure)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "all weights 0.01: 4 units, float64",
        "nothing planted: rounding alone\nnever apart: 1 of 1 ordered",
    ]
    *drawn, escape = figure.axes[0].lines
    assert set(np.asarray(escape.get_ydata()).tolist()) == {0.1}
    planted = [float(size) for size in results["perturbation"].values if size > 0]
    assert len(drawn) == 2 * len(planted) == 4
    for size, measured, predicted in zip(planted, drawn[::2], drawn[1::2], strict=True):
        spread = results["spread"].sel(perturbation=size).values.ravel()
        # A log axis has no place for 0.
        np.testing.assert_array_equal(measured.get_ydata(), np.where(spread > 0, spread, np.nan))
        steps = np.asarray(predicted.get_xdata())
        expected = size * np.exp(results["log_growth"].values[0, 0, steps])
        np.testing.assert_allclose(np.asarray(predicted.get_ydata()), expected, rtol=1e-6)
