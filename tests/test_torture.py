"""The torture of sweeps: that a differing bit, a lost sweep and a late process are seen."""

import numpy as np
import pytest
import xarray
from matplotlib import pyplot
from matplotlib.patches import Rectangle

from experiments.torture import figure, kills, tables

pytestmark = pytest.mark.quick

WANTED = xarray.Dataset(
    {"loss": ("seed", np.array([1.0, np.nan], np.float32)), "name": ("seed", ["a", "b"])}
)
RESULTS = xarray.Dataset(
    {
        **{name: ("round", [0, 0]) for name in ("failed", "stuck", "differing_bytes")},
        "datasets": ("round", [1, 2]),
        "signal": ("kill", [0, 1, 2, 0]),
        "finished": ("kill", [0, 0.5, 1, 0]),
        "alone": ("kill", [np.nan, np.nan, np.nan, 4.5]),
        "processes": ("kill", [1, 1, 1, 2]),
    }
)


def count(found, monkeypatch):
    monkeypatch.setattr(kills, "_uninterrupted", lambda seeds: WANTED)
    return kills.differing_bytes(found, 1)


def test_bytes_that_differ_are_counted(monkeypatch):
    assert count(WANTED.copy(deep=True), monkeypatch) == 0
    flipped = WANTED.copy(deep=True)
    flipped["loss"].values.view(np.uint8)[[0, 5]] ^= 1
    assert count(flipped, monkeypatch) == 2
    # Another NaN is another bit pattern.
    negative = WANTED.assign(loss=-WANTED["loss"] * np.array([-1, 1], np.float32))
    assert count(negative, monkeypatch) == 1
    assert count(WANTED.drop_vars("loss"), monkeypatch) == 8
    assert count(WANTED.assign(loss=WANTED["loss"].astype(np.float64)), monkeypatch) == 16
    assert count(WANTED.assign(name=("seed", ["a", "c"])), monkeypatch) == 1


def test_the_verdict_fails_for_each_thing_that_went_wrong():
    summary = tables.summarize(RESULTS, {})
    assert (summary["kills"], summary["datasets"], summary["longest_alone"]) == (4, 3, 4.5)
    assert [row["kills"] for row in summary["rows"]] == [1, 1, 1, 1]
    assert [row["before_the_first_chunk"] for row in summary["rows"]] == [1, 0, 0, 1]
    assert [row["between_chunks"] for row in summary["rows"]] == [0, 1, 0, 0]
    assert [row["after_the_last_chunk"] for row in summary["rows"]] == [0, 0, 1, 0]
    assert tables.verdict(summary) == 0
    assert "4 kills; of 3 finished sweeps 0 bytes differ" in tables.show(summary, {})
    for name in ("failed", "stuck", "differing_bytes"):
        wrong = RESULTS.assign({name: ("round", [0, 1])})
        assert tables.verdict(tables.summarize(wrong, {})) == 1
    late = RESULTS.assign(alone=("kill", [np.nan, np.nan, np.nan, 21.0]))
    assert tables.verdict(tables.summarize(late, {})) == 1


def _bars(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_kills_are_drawn_for_each_count_of_processes():
    drawn = figure.draw_kills(RESULTS, kills.SIGNALS)
    assert [axes.get_title() for axes in drawn.axes] == ["one process", "one of 2 processes"]
    heights = [sum(bar.get_bbox().height for bar in _bars(axes)) for axes in drawn.axes]
    assert heights == [3, 1]
    pyplot.close(drawn)
