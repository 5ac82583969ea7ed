"""Results as a page: what a reader sees in a browser are the dataset's own numbers."""

import json
import re

import numpy as np
import pytest
import xarray
from browsers import until, watched

from initlab.figures import explorer, explorer_page

SEEDS, SCALES, STEPS = 8, 3, 5


def results():
    stream = np.random.default_rng(0)
    loss = np.exp(stream.normal(size=(SEEDS, SCALES, STEPS)))
    loss[0, 0, -1] = np.nan
    return xarray.Dataset(
        {
            "loss": (("seed", "scale", "step"), loss),
            "trained": (("seed", "scale"), loss[..., -1] < 1),
            "</script><b>": (("layer",), np.arange(2.0)),
            "said": (("layer",), np.array(["words", "are left out"], object)),
        },
        {
            "seed": np.arange(10, 10 + SEEDS),
            "scale": [0.01, 1.0, 100.0],
            "step": np.arange(STEPS) * 10,
            "layer": ["<i>first", "second"],
        },
    )


def held(page):
    """The data of a page's text."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


@pytest.mark.quick
def test_a_page_holds_every_number():
    given = results()
    data = held(explorer_page(given, title="<b>runs</b>"))
    assert set(data["variables"]) == {"loss", "trained", "</script><b>"}
    stored = data["variables"]["loss"]
    values = np.asarray([np.nan if each is None else each for each in stored["values"]])
    sizes = [len(data["dimensions"][name]) for name in stored["dims"]]
    np.testing.assert_allclose(values.reshape(sizes), given["loss"].values, rtol=5e-4)
    assert data["dimensions"]["scale"] == [0.01, 1.0, 100.0]
    assert data["dimensions"]["layer"] == ["<i>first", "second"]
    assert data["note"] == ""


@pytest.mark.quick
def test_of_too_many_numbers_the_first_seeds_are_there(monkeypatch):
    monkeypatch.setattr(explorer, "MOST_NUMBERS", 60)
    data = held(explorer_page(results()[["loss"]], title="runs"))
    assert len(data["dimensions"]["seed"]) == 60 // (SCALES * STEPS)
    assert data["note"] == "the first 4 of 8 seeds"
    monkeypatch.setattr(explorer, "MOST_NUMBERS", SCALES * STEPS - 1)
    with pytest.raises(ValueError, match="at most 14 numbers for each seed, got 15"):
        explorer_page(results()[["loss"]], title="runs")


@pytest.mark.quick
def test_results_without_numbers_are_refused():
    with pytest.raises(ValueError, match="must have a variable of numbers"):
        explorer_page(results()[["said"]], title="runs")


@pytest.fixture(scope="module")
def tab(browser, tmp_path_factory):
    file = tmp_path_factory.mktemp("explorer") / "figure.html"
    file.write_text(explorer_page(results(), title="<b>runs</b>"), encoding="utf-8")
    page, wrong = watched(browser, viewport={"width": 1000, "height": 800})
    page.goto(file.as_uri())
    until(page, "document.getElementById('chart').data !== undefined")
    return page, wrong


def drawn(page, name):
    """The traces of a name, as plotly has them."""
    return [
        trace
        for trace in page.evaluate("document.getElementById('chart').data")
        if trace["name"] == name
    ]


def choose(page, label, value):
    page.get_by_label(label, exact=True).select_option(value)


def test_a_reader_chooses_what_is_drawn(tab):
    page, wrong = tab
    given = results()["loss"]
    assert page.title() == "<b>runs</b>"
    # At first the loss over steps, a line for each scale, as medians with their band.
    low, high, middle = drawn(page, "1")
    for trace, share in ((low, 0.05), (middle, 0.5), (high, 0.95)):
        wanted = given.sel(scale=1.0).quantile(share, "seed").values
        np.testing.assert_allclose(trace["y"], wanted, rtol=1e-3)
    assert middle["customdata"][0].endswith(f"], {SEEDS} seeds")
    assert drawn(page, "0.01")[2]["customdata"][-1].endswith(f"], {SEEDS - 1} seeds")
    # Some seeds, one by one.
    choose(page, "seeds as", "each")
    page.get_by_label("which seeds").fill("11, 13-14")
    traces = drawn(page, "100")
    assert len(traces) == 3
    wanted = given.sel(scale=100.0, seed=[11, 13, 14]).values
    np.testing.assert_allclose([trace["y"] for trace in traces], wanted, rtol=1e-3)
    assert "seed 13" in traces[1]["hovertemplate"]
    # Over scales, at a step of the slider.
    choose(page, "over", "scale")
    choose(page, "seeds as", "band")
    page.get_by_label("which seeds").fill("")
    page.get_by_label("step", exact=True).fill("2")
    wanted = given.isel(step=2).median("seed").values
    np.testing.assert_allclose(drawn(page, "loss")[2]["y"], wanted, rtol=1e-3)
    assert "step 20" in page.locator("#said").inner_text()
    # Names are text, whatever they hold.
    choose(page, "what", "</script><b>")
    (trace,) = page.evaluate("document.getElementById('chart').data")
    assert trace["y"] == [0, 1]
    assert trace["x"] == ["<i>first", "second"]
    choose(page, "what", "trained")
    choose(page, "what", "loss")
    assert page.locator("#chart i, #chart b, form b").count() == 0
    assert wrong == []
