"""Transfer of learning rates: fits of known curves, verdicts, networks at their base, the text."""

import jax
import numpy as np
import pytest
import xarray
from thorough import rows

from experiments.transfer import tables, text
from experiments.transfer.cases import CASES, make_transfer_run
from experiments.transfer.figure import draw_transfer
from experiments.transfer.optimum import best_rates, movement

# Optax's Adam relies on the standard promotion.
pytestmark = pytest.mark.usefixtures("standard_promotion")

RATES = 2.0 ** np.arange(-6, 7)


@pytest.fixture
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"):
        yield


def curves(tops):
    """Losses [N, R, S] of parabolas in log rate, whose best rates are 2^tops [N, S]."""
    x = np.log2(RATES)[None, :, None]
    return np.exp(0.1 * (x - np.asarray(tops)[:, None]) ** 2)


@pytest.mark.quick
def test_a_parabola_s_vertex_is_the_best_rate():
    tops = np.array([[-2.3, 0.1], [1.4, 4.9]])
    loss = curves(tops)
    # A rate beyond which all diverge.
    loss[:, -1] = np.nan
    np.testing.assert_allclose(np.log2(best_rates(RATES, loss[0])), tops[0], atol=1e-9)
    found = movement([32, 128], RATES, loss)
    np.testing.assert_allclose(found.slope.value, np.mean((tops[1] - tops[0]) / 2), rtol=1e-9)
    assert found.at_end == 0


@pytest.mark.quick
def test_a_smallest_loss_at_an_end_is_no_best_rate():
    tops = np.array([[0.0, 0.2, -9.0], [1.0, 1.2, 1.0]])
    found = movement([1, 2], RATES, curves(tops))
    assert np.isnan(found.rates[0, 2])
    assert found.at_end == 1 / 6
    np.testing.assert_allclose(found.slope, [1, 1, 1], rtol=1e-9)
    assert np.isnan(movement([1, 2], RATES, curves(tops[:, [0, 2]])).slope).all()
    # All that diverged, and a fit that opens downwards, whose smallest loss counts.
    assert np.isnan(best_rates(RATES, np.full(13, np.inf)))
    odd = np.where(np.arange(13) == 6, 1.0, 2.0)
    odd[[4, 8]] = 1.01
    assert best_rates(RATES, odd) == 1.0


@pytest.mark.quick
@pytest.mark.parametrize(
    ("claim", "low", "high", "verdict"),
    [
        ("moves", -1.1, -0.8, "confirmed"),
        ("moves", -0.1, 0.1, "refuted"),
        ("moves", -0.3, 0.1, "undecided"),
        ("stays", -0.1, 0.15, "confirmed"),
        ("stays", 0.2, 0.3, "refuted"),
        ("stays", np.nan, np.nan, "undecided"),
    ],
)
def test_an_interval_confirms_refutes_or_leaves_open(claim, low, high, verdict):
    assert tables.judge(claim, low, high, 0.15) == verdict


def dataset():
    """Two cases of different sizes and numbers of seeds, as stored: NaN is what a case has not."""
    loss = np.full((2, 3, 13, 3), np.nan)
    loss[0, [0, 1], :, :2] = curves([[0.0, 0.1], [-1.0, -0.9]])
    loss[1, [1, 2]] = curves([[0.5, 0.4, 0.3], [0.5, 0.4, 0.3]])
    coords = {
        "case": np.array(["standard Adam", "CompleteP 1"], object),
        "size": [4, 8, 16],
        "learning_rate": RATES,
    }
    return xarray.Dataset({"loss": (("case", "size", "learning_rate", "seed"), loss)}, coords)


def test_each_case_has_its_own_sizes_and_seeds_in_table_and_picture():
    summary = tables.summarize(dataset(), {"tolerance": 0.15})
    first, second = summary["rows"]
    assert (first["sizes"], second["sizes"]) == ([4, 8], [8, 16])
    assert (first["seeds"], second["seeds"]) == (2, 3)
    np.testing.assert_allclose(first["slope"][0], -1, rtol=1e-9)
    assert (first["verdict"], second["verdict"]) == ("confirmed", "confirmed")
    assert "CompleteP 1" in tables.show(summary, {"steps": 3})
    by_case = {row["case"]: row for row in summary["rows"]}
    figure = draw_transfer(dataset(), tables.movements(dataset()), by_case)
    drawn = np.asarray(figure.axes[0].lines[0].get_ydata())
    np.testing.assert_allclose(drawn, np.median(curves([[0.0, 0.1]])[0], axis=1))


@pytest.mark.thorough
def test_cases_of_one_axis_are_one_network_at_the_base():
    """Where sizes are the base's, standard and maximal update take the same steps."""
    losses = [
        make_transfer_run(CASES[name]._replace(rate=0.01), 4, 4, 2, 32)(
            {"learning_rate": 1.0, "seed": 3}
        ).values["loss"]
        for name in ("standard Adam", "muP Adam")
    ]
    assert losses[0][1] != losses[0][0]
    np.testing.assert_array_equal(losses[0], losses[1])


def test_the_text_is_the_same_each_time():
    task = text.next_characters()
    assert task.x.shape == (1024, text.LENGTH)
    assert 0 <= task.x.min() <= task.x.max() < text.CHARACTERS
    # What follows a place is what the next place begins with, where they meet.
    words = text.read()
    assert "".join(map(chr, task.x[0])) == words[: text.LENGTH]
    assert chr(task.y[0]) == words[text.LENGTH]


@pytest.mark.parametrize("name", rows(CASES, {"Muon without its factor", "decoder muP Adam"}))
def test_every_case_has_runs_of_its_sizes(name):
    case = CASES[name]
    sizes = (8, 16) if case.task == "text" else (2, 4)
    run = make_transfer_run(case, sizes[1], sizes[0], 1, 4)
    shapes = jax.eval_shape(run.function, {"learning_rate": 0.5, "seed": 0})
    assert shapes.values["loss"].shape == (2,)
