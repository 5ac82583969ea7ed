"""The torture of sweeps: that a differing bit, a lost sweep and a late process are seen."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray
from forks import ROOT
from matplotlib import pyplot
from matplotlib.patches import Rectangle

from experiments.torture import figure, kills, places, tables
from initlab.sweeps.local_storage import LocalStorage

pytestmark = pytest.mark.quick

WANTED = xarray.Dataset(
    {"loss": ("seed", np.array([1.0, np.nan], np.float32)), "name": ("seed", ["a", "b"])}
)
RESULTS = xarray.Dataset(
    {
        **{name: ("round", [0, 0]) for name in ("failed", "refused", "differing_bytes")},
        "datasets": ("round", [1, 2]),
        "signal": ("kill", [0, 1, 2, 0]),
        "finished": ("kill", [0, 0.5, 1, 0]),
        "place": ("kill", [0, 1, 3, 2]),
        "stuck": ("kill", [0, 0, 0, 0]),
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
    assert [row["before_its_first_chunk"] for row in summary["rows"]] == [1, 0, 0, 0]
    assert [row["between_chunks"] for row in summary["rows"]] == [0, 1, 0, 0]
    assert [row["inside_a_write"] for row in summary["rows"]] == [0, 0, 0, 1]
    assert [row["while_assembling"] for row in summary["rows"]] == [0, 0, 1, 0]
    assert tables.verdict(summary) == 0
    assert "4 kills; of 3 finished sweeps 0 bytes differ" in tables.show(summary, {})
    stuck = RESULTS.assign(stuck=("kill", [0, 0, 1, 0]))
    assert tables.verdict(tables.summarize(stuck, {})) == 1
    for name in ("failed", "refused", "differing_bytes"):
        wrong = RESULTS.assign({name: ("round", [0, 1])})
        assert tables.verdict(tables.summarize(wrong, {})) == 1
    late = RESULTS.assign(alone=("kill", [np.nan, np.nan, np.nan, 21.0]))
    assert tables.verdict(tables.summarize(late, {})) == 1


def test_a_store_shows_where_its_sweep_was_killed(tmp_path):
    out, files = tmp_path / "a.zarr", LocalStorage(tmp_path / "a.zarr")

    def write(*names, **content):
        for name in names:
            files.write(name, json.dumps(content).encode())
        return places.look(str(out), seeds=32)

    def place(before, after):
        return places.PLACES[places.find_place(before, after)]

    new = places.look(str(out), seeds=32)
    made = write("progress/sweep.json", checksums={"seed/c/0": 0})
    write("seed/c/0")
    write("zarr.json", attributes={})
    assert (new.is_made, made.is_made) == (False, True)
    assert place(new, places.look(str(out), seeds=32)) == "before its first chunk"
    half = write("loss/c/0")
    assert place(made, half) == "inside a write"
    # Left by an earlier call, it says nothing of a later one.
    assert place(half, half) == "before its first chunk"
    one = write("progress/0.json", checksums={"loss/c/0": 0})
    assert (one.finished, one.unmarked) == (0.5, frozenset())
    assert place(half, one) == "between chunks"
    assert place(half, write("progress/initlab-0.partial")) == "inside a write"
    both = write("progress/1.json", checksums={})
    assert place(one, both) == "while assembling"
    assert place(both, write("zarr.json", attributes={"complete": True})) == "after the end"


KILLED = """
import os, signal, sys
from experiments.torture.aim import Aim, arm
arm(Aim("/c/", 2, signal.SIGKILL))
for name in ("loss/c/0", "zarr.json", "loss/c/1", "loss/c/2"):
    open("partial", "w").close()
    os.replace("partial", name)
"""


def test_a_process_is_killed_at_the_write_that_was_chosen(tmp_path):
    (tmp_path / "loss" / "c").mkdir(parents=True)
    said = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert said.returncode == -signal.SIGKILL
    found = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert found == {"loss/c/0", "zarr.json", "partial"}


def _bars(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def test_kills_are_drawn_for_each_count_of_processes():
    drawn = figure.draw_kills(RESULTS, kills.SIGNALS)
    assert [axes.get_title() for axes in drawn.axes] == ["one process", "one of 2 processes"]
    heights = [sum(bar.get_bbox().height for bar in _bars(axes)) for axes in drawn.axes]
    assert heights == [3, 1]
    pyplot.close(drawn)
