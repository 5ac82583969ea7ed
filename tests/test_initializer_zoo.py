"""Every initializer on the same networks: starts against closed forms, the ranking by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from forks import run_module

import initlab
from experiments.initializer_zoo import ranking
from experiments.initializer_zoo import starts as zoo_starts
from experiments.initializer_zoo.figure import draw_zoo
from initlab.initializers import by_role, constant, delta_orthogonal, he_normal, identity, zeros
from initlab.types import Task


@pytest.fixture(scope="module")
def network():
    return initlab.networks.mlp((4, 8, 8, 8, 3), jnp.tanh)


@pytest.fixture(scope="module")
def starts(network):
    schemes = {
        "identity": by_role(identity(), bias=constant(0.5)),
        "delta": by_role(delta_orthogonal()),
        "he": by_role(he_normal()),
        "zeros": by_role(zeros()),
    }
    return zoo_starts.draw_starts(network, schemes, 2)


def test_a_start_is_that_of_a_run_of_the_seed(network, starts):
    own = initlab.initialize(jax.random.key(1), network.specs, by_role(he_normal()))
    for ours, leaf in zip(jax.tree.leaves(starts.params), jax.tree.leaves(own), strict=True):
        np.testing.assert_array_equal(ours[2, 1], leaf)


def test_variances_are_those_of_hidden_weights_and_biases(starts):
    # Of the identity 1 in 8 weights is 1, and fan_in is 8.
    assert starts.sigma_w2[0] == 1
    assert starts.sigma_b2[0] == 0.25
    assert starts.sigma_w2[2] == pytest.approx(2, rel=0.5)
    assert starts.sigma_w2[3] == starts.sigma_b2[3] == 0


def test_a_scheme_without_meaning_for_a_shape_is_refused_with_its_reason(starts):
    assert set(starts.refused) == {"delta"}
    assert "requires a convolution's weights" in starts.refused["delta"]
    assert np.isnan(starts.sigma_w2[1])
    assert all(np.isnan(leaf[1]).all() for leaf in jax.tree.leaves(starts.params))


def test_the_first_batch_is_measured_as_by_hand(network, starts):
    x = np.random.default_rng(0).standard_normal((9, 4))
    task = Task(x, np.arange(9) % 3, initlab.objectives.softmax)
    seen = zoo_starts.look(network, task, starts.params)
    assert all(each.shape == (4, 2) for each in seen.values())
    layers = network.layers(jax.tree.map(lambda leaf: leaf[2, 0], starts.params), x)
    squares = [np.mean(np.square(layers[f"layer_{n}"].z)) for n in (1, 3)]
    assert seen["length_growth"][2, 0] == pytest.approx(squares[1] / squares[0], rel=1e-5)
    assert seen["distinct_share"][2].tolist() == [1, 1]
    # Zero weights: one distinct unit of eight, and no gradient but that of the last biases.
    assert seen["distinct_share"][3].tolist() == [1 / 8] * 2
    assert np.isnan(seen["gradient_growth"][3]).all()
    assert seen["saturation"][2].max() < 0.1
    assert (seen["dead_share"][2] == 0).all()


def test_a_row_is_at_the_rate_that_trains_most():
    loss = np.asarray(
        [
            [[2.0, 0.4, 0.6], [2.0, 3.0, np.nan], [2.0, 1.0, 0.1]],
            [[2.0, 1.0, 0.3], [2.0, 0.4, 0.2], [2.0, 1.0, 0.9]],
        ]
    )
    results = xarray.Dataset(
        {"loss": (("learning_rate", "seed", "step"), loss)},
        coords={"learning_rate": [0.1, 1.0], "step": [0, 10, 20]},
    )
    row = ranking.row(results, 0.5)
    assert row["learning_rate"] == 1.0
    assert row["trained"] == 2
    assert row["p_train"] == pytest.approx(2 / 3)
    assert row["steps"] == [10, 20, np.inf]
    assert row["loss"] == [0.2, 0.3, 0.9]


def ranked(name, trained, steps, loss=0.1):
    share = trained / 16
    interval = [max(0, share - 0.2), min(1, share + 0.2)]
    return {
        "initializer": name,
        "trained": trained,
        "p_train": share,
        "p_train_interval": interval,
        "steps": steps,
        "loss": [loss] * 3,
    }


def test_ties_reach_the_best_in_share_and_in_steps():
    rows = [
        ranked("never", 0, [np.inf] * 3),
        ranked("slow", 16, [90, 100, 110]),
        ranked("best", 16, [10, 20, 30]),
        ranked("some", 12, [10, 25, 40]),
        ranked("few", 4, [10, 15, 20]),
    ]
    found = ranking.rank(rows)
    assert [row["initializer"] for row in found] == ["best", "slow", "some", "few", "never"]
    assert [row["ties"] for row in found] == [True, False, True, False, False]
    assert not any(row["ties"] for row in ranking.rank(rows[:1]))


def test_every_scheme_has_a_line_and_what_does_not_apply_a_cross():
    row = ranked("he", 16, [1, 2, 3]) | {"chi1": 1.0, "length_growth": 0.5, "gradient_growth": 0.0}
    group = {"network": "mlp", "rows": [row], "does_not_apply": {"dirac": "requires a convolution"}}
    figure = draw_zoo([group], trained_under=1.0, title="title")
    panels = figure.axes
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["he", "dirac"]
    assert np.asarray(panels[1].lines[0].get_xdata()).tolist() == [0.5]
    crosses = [line for line in panels[4].lines if line.get_marker() == "x"]
    assert np.asarray(crosses[0].get_ydata()).tolist() == [1]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--initializer=he_norml", "did you mean 'he_normal'?"),
        ("--network=mpl", "did you mean 'mlp'?"),
        ("--steps=15", "steps must be a multiple of every"),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(flag, message, tmp_path):
    out = tmp_path / "results"
    said = run_module("experiments.initializer_zoo", "--smoke", flag, "--out", out)
    assert said.returncode != 0
    assert message in said.stderr + said.stdout
    assert not out.exists()
