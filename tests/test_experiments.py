"""Every binary, run small as a person runs it; what it writes, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray
from forks import ROOT, run_module

FILES = {"figure.png", "figure.svg", "results.zarr", "run.json", "summary.json", "sweeps"}


# Tests leave nothing in the user's cache.
NO_CACHE = "--compilation_cache_dir="


# What these say is about bits: compiled as a person's.
ABOUT_BITS = {"random_initialization", "zero_initialization", "what_breaks_symmetry"}


def run(name, *flags):
    quickly = name not in ABOUT_BITS
    return run_module(f"experiments.{name}", NO_CACHE, *flags, quickly=quickly)


@pytest.fixture(scope="module")
def main_job(tmp_path_factory):
    """The one that starts as from a shell."""
    out = tmp_path_factory.mktemp("main") / "results"
    flags = ["--smoke", "--trained_fraction=0.4", "--out", str(out)]
    command = [sys.executable, "-m", "experiments.random_initialization", NO_CACHE, *flags]
    return out, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_main_job_tells_the_lecture_s_story(main_job):
    out, said = main_job
    assert said.returncode == 0, said.stderr
    assert {path.name for path in out.iterdir()} == FILES
    rows = {row["start"]: row for row in json.loads((out / "summary.json").read_text())["starts"]}
    assert list(rows) == ["zero", "0.01", "1000", "Glorot", "He"]
    assert rows["zero"]["distinct_start"] == rows["zero"]["distinct_end"] == [1, 1]
    for name in ("0.01", "1000", "Glorot", "He"):
        assert rows[name]["distinct_start"] == rows[name]["distinct_end"] == [4, 4]
    assert rows["0.01"]["saturation"] == 0
    assert rows["1000"]["saturation"] > 0.9
    assert rows["zero"]["gradient_norm"] < 1e-6
    with xarray.open_zarr(out / "results.zarr", consolidated=False) as results:
        assert results["loss"].dims == ("start", "seed", "step")
        assert results["learning_rate"] == 1.2
    assert "zero" in said.stdout
    assert "P(train)" in said.stdout


def test_a_run_is_written_down_so_that_it_can_be_run_again(main_job):
    out, _ = main_job
    record = json.loads((out / "run.json").read_text())
    assert record["experiment"] == "random_initialization"
    assert record["flags"]["seeds"] == 8
    assert record["flags"]["learning_rate"] == 1.2
    assert record["versions"]["jax"]
    assert record["devices"]["platform"] == "cpu"
    assert record["finished"] is True
    assert record["compile_seconds"] > 0
    assert record["run_seconds"] > 0


def test_figures_are_drawn_again_without_running(main_job):
    out, _ = main_job
    before = (out / "run.json").read_text(), (out / "figure.png").read_bytes()
    summary = (out / "summary.json").read_text()
    (out / "figure.png").unlink()
    said = run("random_initialization", "--figures_only", "--out", out)
    assert said.returncode == 0, said.stderr
    assert (out / "run.json").read_text() == before[0]
    assert (out / "summary.json").read_text() == summary
    assert f"under {0.4 * np.log(2):.4f}" in said.stdout
    assert (out / "figure.png").read_bytes() == before[1]


def test_another_experiment_s_folder_is_refused_and_left_alone(main_job):
    out, _ = main_job
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    said = run("saturation", "--smoke", "--out", out)
    assert said.returncode == 2
    assert "holds results of 'random_initialization', not of 'saturation'" in said.stderr
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_zero_initialization_finds_every_fact_to_hold(tmp_path):
    said = run("zero_initialization", "--smoke", "--out", tmp_path / "results")
    assert said.returncode == 0, said.stderr
    assert {path.name for path in (tmp_path / "results").iterdir()} == FILES | {"cells"}
    assert len(list((tmp_path / "results" / "cells").iterdir())) == 2
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["broken"] == 0
    assert len(summary["facts"]) == 2
    assert summary["wide_minus_one_unit"] < 1e-5


def test_saturation_grows_with_the_scale(tmp_path):
    said = run("saturation", "--smoke", "--out", tmp_path / "results")
    assert said.returncode == 0, said.stderr
    rows = json.loads((tmp_path / "results" / "summary.json").read_text())["rows"]
    for activation in ("tanh", "sigmoid"):
        shares = [row["saturation_hidden"] for row in rows if row["activation"] == activation]
        assert shares == sorted(shares)
        assert shares[-1] > 0.9
    outputs = [row["saturation_output"] for row in rows if row["activation"] == "relu"]
    assert outputs[0] < 0.01 < 0.9 < outputs[-1]


def test_what_breaks_symmetry_tells_the_truth_table(tmp_path):
    said = run("what_breaks_symmetry", "--smoke", "--out", tmp_path / "results")
    assert said.returncode == 0, said.stderr
    assert {path.name for path in (tmp_path / "results").iterdir()} == FILES - {"sweeps"}
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["unexplained"] == 0
    assert {name for name, row in summary["symmetric"].items() if row["happened"]} == {"dropout"}
    cells = {row["start"]: row["cells"] for row in summary["rows"]}
    assert len(cells) == 27
    # A relu unit whose incoming weights are zero has no slope: only decay moves anything.
    assert set(cells["0 0 0"].values()) == {"."}
    assert {name for name, code in cells["0 0 r"].items() if code != "."} == {"weight decay"}
    assert cells["0 0 r"]["weight decay"].startswith("/")
    assert cells["c c r"]["full batch"] == "1o 0/2"
    assert cells["c c 0"]["dropout"] == "1d>2o|d 0/2"
    assert summary["random"]["W2"]["not"] == ["relu 0 0 r"]
    assert "A start without a random piece is broken by dropout" in said.stdout


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("audit", ["--model=nowhere"], "--model must be package.module:factory, got 'nowhere'"),
        ("audit", ["--model=nowhere:net"], "--model 'nowhere:net' cannot be found"),
        ("audit", ["--model=math:pi"], "must be a function"),
        ("random_initialization", ["--activation=tahn"], "did you mean 'tanh'?"),
        ("random_initialization", ["--steps=25", "--every=10"], "steps must be a multiple"),
        ("random_initialization", ["--scale=0.1,-1"], "finite numbers of at least 0, got '-1'"),
        ("random_initialization", ["--scale=nan"], "finite numbers of at least 0, got 'nan'"),
        ("random_initialization", ["--scale=big"], "finite numbers of at least 0, got 'big'"),
        ("random_initialization", ["--seeds=0"], "seeds"),
        ("zero_initialization", ["--task=flowr"], "did you mean 'flower'?"),
        ("what_breaks_symmetry", ["--dropout=1"], "at least 0 and under 1"),
        ("framework_defaults", ["--size=64"], "two sizes or more that 4 divides, got [64]"),
        ("coordinate_check", ["--width_case=muP"], "did you mean 'muP SGD'?"),
        ("saturation", ["extra"], "unknown arguments: extra"),
        ("theory_tables", ["--sections=4"], "--sections must be of 5, 6, 7, 8, got [4]"),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(name, flags, message, tmp_path):
    said = run(name, *flags, "--out", tmp_path / "results")
    assert said.returncode != 0
    assert message in said.stderr + said.stdout
    assert not (tmp_path / "results").exists()


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    said = run("saturation", "--smoke", "--out", tmp_path)
    assert said.returncode == 2
    assert "holds other files" in said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
