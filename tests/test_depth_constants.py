"""Which constant trains which depth: edges against closed forms, choices on hand-made cells."""

import math

import jax
import numpy as np
import pytest
import xarray
from forks import run_module

from experiments.depth_constants import edges as depth_edges
from experiments.depth_constants.figure import draw_depth_constants
from initlab import report


def test_scales_are_standard_deviations_of_square_weights():
    predicted = depth_edges.predicted_edges(jax.nn.relu, 50, [8])
    np.testing.assert_allclose(predicted["small"], (2 / 50) ** 0.5 * np.exp([-3 / 8]), rtol=1e-3)
    np.testing.assert_allclose(predicted["large"], (2 / 50) ** 0.5 * np.exp([3 / 8]), rtol=1e-3)
    stds = depth_edges.constants(jax.nn.relu, 50)
    assert stds == pytest.approx({"0.01": 0.01, "Glorot": 0.1414214, "He": 0.2, "critical": 0.2})


def test_an_activation_without_a_critical_scale_is_refused():
    with pytest.raises(ValueError, match="no scale of the weights is critical for softplus"):
        depth_edges.constants(jax.nn.softplus, 8)


SCALE = np.asarray([0.001, 0.01, 0.1, 1.0, 10.0])


@pytest.mark.parametrize(
    ("share", "small", "large"),
    [
        ([0, 0, 1, 0, 0], (10**-1.5, False), (10**-0.5, False)),
        ([0, 0.25, 1, 1, 1], (10 ** (-2 + 1 / 3), False), (10.0, True)),
        ([0.5, 1, 0.5, 0, 0], (0.001, True), (0.1, False)),
        # An island apart from the widest place is not its edge.
        ([0.75, 0, 1, 0.75, 0.25], (10**-1.5, False), (10**0.5, False)),
    ],
)
def test_an_edge_is_where_half_of_the_seeds_train(share, small, large):
    edges = report.measured_edges(SCALE, np.asarray(share))
    for side, wanted in (("small", small), ("large", large)):
        assert edges[side] == (pytest.approx(wanted[0]), wanted[1])


def test_where_no_scale_trains_half_there_is_no_edge():
    assert report.measured_edges(SCALE, np.asarray([0, 0.4, 0.4, 0, 0])) == {}


def test_a_scale_of_zero_has_no_place_on_a_logarithmic_axis():
    scale, share = np.asarray([0.0, *SCALE]), np.asarray([0, 0.75, 1, 0, 0, 0])
    assert report.measured_edges(scale, share)["small"] == (0.001, True)
    assert report.measured_edges(np.asarray([0.0]), np.asarray([1.0])) == {}


def test_distances_are_decades_and_bounds_are_counted():
    measured = {"small": (0.001, True), "large": (1.0, False)}
    sides = depth_edges.compare(measured, {"small": 0.01, "large": 10**0.25})
    assert sides["small"]["log10_distance"] == pytest.approx(-1)
    assert sides["large"]["log10_distance"] == pytest.approx(-0.25)
    # Neither edge was seen: the predicted one lies outside of the scales too.
    unseen = depth_edges.compare({"small": (0.001, True)}, {"small": 1e-4, "large": math.nan})
    assert [each["log10_distance"] for each in unseen.values()] == [None, None]
    far = depth_edges.distances([{"edges": sides}, {"edges": unseen}])
    assert far == {"median": pytest.approx(0.625), "largest": 1.0, "compared": 2, "at_least": 1}
    assert depth_edges.distances([{"edges": unseen}])["median"] is None


def test_a_cell_takes_the_rate_that_trains_most_and_then_the_least_loss():
    inf = np.inf
    final = np.asarray(
        [
            # Three seeds at each of three rates.
            [[0.1, 0.9, 0.9], [0.3, 0.3, 0.3], [0.2, 0.2, 0.2]],
            [[np.nan, inf, inf], [2.0, 3.0, 3.0], [2.0, 1.5, 1.5]],
            [[inf, inf, inf], [inf, inf, inf], [np.nan, inf, inf]],
            # One trains and two diverge, so that the median is infinite.
            [[2.0, 2.0, 2.0], [0.1, inf, np.nan], [inf, inf, 0.2]],
        ]
    )
    results = xarray.Dataset(
        {"loss": (("scale", "learning_rate", "seed", "step"), final[..., None])},
        coords={"learning_rate": [1.0, 2.0, 3.0], "scale": [1.0, 2.0, 3.0, 4.0]},
    )
    cells = report.best_rates(results, 1.0, 0.5)
    assert cells["learning_rate"].values[[0, 1, 3]].tolist() == [3.0, 3.0, 2.0]
    assert cells["trained"].values.tolist() == [3, 0, 0, 1]
    assert cells["p_train"].values.tolist() == [1, 0, 0, 1 / 3]
    assert cells["loss"].values.tolist() == [0.2, 1.5, inf, inf]


def test_the_best_constant_and_where_one_stops():
    shares = {"0.01": (0, 16), "Glorot": (9, 16), "He": (16, 16), "critical": (15, 16)}
    assert report.tied_best(shares) == ["He", "critical"]
    assert report.tied_best({"0.01": (0, 16), "He": (3, 16)}) == ["He"]
    assert report.tied_best(dict.fromkeys(shares, (0, 16))) == []
    # What fails at a depth and works at a deeper one has not stopped there.
    assert depth_edges.stops_at([1, 2, 4, 8], [1, 0.4, 0.5, 0]) == 8
    assert depth_edges.stops_at([1, 2], [1, 1]) is None
    assert depth_edges.stops_at([1, 2], [0, 0]) == 1


def test_a_map_has_its_cells_its_constants_and_its_edges():
    share = np.asarray([[[0.0, 1.0, 0.5], [0.0, 0.25, 0.0]]])
    dims = ("activation", "depth", "scale")
    cells = xarray.Dataset(
        {"p_train": (dims, share), "loss": (dims, np.where(share > 0, 1 - share, np.inf))},
        coords={"activation": ["tanh"], "depth": [1, 4], "scale": [0.01, 0.1, 1.0]},
    )
    edges = {
        "depth": np.asarray([1.0, 4.0]),
        "predicted": {"small": np.asarray([0.02, 0.05]), "large": np.asarray([np.nan, 0.7])},
        "measured": {"small": [(1, 0.03)], "large": []},
    }
    figure = draw_depth_constants(
        cells,
        constants={"tanh": {"0.01": 0.01, "Glorot": 0.1, "critical": 0.1}},
        edges={"tanh": edges},
        trained_under=1.0,
        title="title",
    )
    left, right = figure.axes[:2]
    np.testing.assert_array_equal(left.collections[0].get_array(), share[0].T)
    assert np.isfinite(np.asarray(right.collections[0].get_array())).all()
    np.testing.assert_allclose(left.get_ylim(), [10**-2.5, 10**0.5])
    curves = [np.asarray(line.get_ydata()) for line in left.lines]
    np.testing.assert_array_equal(curves[0], [0.02, 0.05])
    np.testing.assert_array_equal(curves[2], [0.03])
    assert [text.get_text() for text in left.texts] == ["0.01", "Glorot = critical"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        # Beside the function's own refusal, above.
        pytest.param(
            "--activation=softplus",
            "no scale of the weights is critical for softplus",
            marks=pytest.mark.thorough,
        ),
        ("--examples=5000", "count must be at most 1437, the task's size, got 5000"),
        ("--task=digit", "did you mean 'digits'?"),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(flag, message, tmp_path):
    out = tmp_path / "results"
    said = run_module("experiments.depth_constants", flag, "--out", out)
    assert said.returncode != 0
    assert message in said.stderr + said.stdout
    assert not out.exists()


def test_scales_that_are_one_number_to_a_run_are_one_and_keep_the_flags_digits():
    assert depth_edges.distinct_scales([1.0, 0.1, 0.25 + 1e-12, 0.25, np.nextafter(0.1, 1)]) == [
        0.1,
        0.25 + 1e-12,
        1.0,
    ]
