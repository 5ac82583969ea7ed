"""What refiners did: the table and the picture are those of each refiner's best rate."""

import numpy as np
import pytest
import xarray

from experiments.calibration import tables
from experiments.calibration.figure import draw_calibration
from initlab import report

SETTINGS = {"examples": 16, "width": 8, "steps": 50, "learning_rate": ["0.1", "1e0"]}


@pytest.fixture(scope="module")
def results():
    nan, inf = np.nan, np.inf
    final = [
        # Two rates of four seeds: one trains none but has the least median; none trains at all.
        [
            [[0.6, 0.6, 0.6, 0.6], [0.1, 0.1, inf, nan]],
            [[2.0, 2.0, 2.0, 2.0], [inf, 3.0, 3.0, nan]],
        ],
        [
            [[0.2, 0.2, 0.2, 0.2], [0.4, 0.4, 0.4, 0.4]],
            [[0.3, 0.3, 9.0, 9.0], [0.3, 0.3, 0.3, 9.0]],
        ],
    ]
    pairs = ("model", "refiner")
    return xarray.Dataset(
        {
            "loss": ((*pairs, "learning_rate", "seed"), np.asarray(final)),
            "verdict": (pairs, np.full((2, 2), "fail", dtype=object)),
            "failures": (pairs, np.full((2, 2), "vanishing_signal", dtype=object)),
        },
        coords={
            "model": np.asarray(["deep", "deeper"], dtype=object),
            "refiner": np.asarray(["none", "lsuv"], dtype=object),
            "learning_rate": [0.1, 1.0],
        },
        attrs={"trained_under": 0.5},
    )


def test_each_refiner_is_shown_at_the_rate_that_trains_most_seeds(results):
    summary = tables.summarize(results, {})
    assert [row["learning_rate"] for row in summary["rows"]] == [1.0, 0.1, 0.1, 1.0]
    assert [row["p_train"] for row in summary["rows"]] == [0.5, 0, 1, 0.75]
    assert summary["rows"][0]["loss"] == [0.1, 0.1, np.inf]
    # Of four seeds only four lie above one half with their interval.
    assert report.wilson_interval(3, 4)[0] < 0.5 < report.wilson_interval(4, 4)[0]
    assert summary["trains"] == {"none": 1, "lsuv": 0}
    assert "none 1 of 2, lsuv 0 of 2" in tables.show(summary, SETTINGS)


def test_the_table_says_how_the_networks_were_trained(results):
    text = tables.show(tables.summarize(results, {}), SETTINGS)
    assert text.startswith(
        "16 digits, 8 units, 4 seeds, 50 steps of gradient descent at the best of the rates 0.1, "
        "1e0.\nA run trained if its loss ended under 0.5000.\n"
    )


def test_the_picture_shows_the_seeds_that_the_table_counts(results):
    figure = draw_calibration(tables.at_best_rates(results))
    none, lsuv = (np.asarray(line.get_xdata()) for line in figure.axes[0].lines[:2])
    edge = max(none)
    np.testing.assert_array_equal(none, [0.1, 0.1, edge, edge])
    np.testing.assert_array_equal(lsuv, [2.0, 2.0, 2.0, 2.0])
    assert edge > 9
