"""Binaries about any model and about theory, run small as a person runs them."""

import json

import numpy as np
from forks import run_module

FILES = {"figure.png", "figure.svg", "results.zarr", "run.json", "summary.json"}


def run(name, *flags):
    # Nothing is left in the user's cache.
    return run_module(f"experiments.{name}", "--compilation_cache_dir=", *flags, quickly=True)


def test_theory_tables_agree_with_what_is_published(tmp_path):
    said = run("theory_tables", "--smoke", "--out", tmp_path / "results")
    assert said.returncode == 0, said.stdout + said.stderr
    assert {path.name for path in (tmp_path / "results").iterdir()} == FILES
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["outside"] == 0
    assert {row["section"] for row in summary["rows"]} == {6, 8}
    assert f"{len(summary['rows'])} rows within, 0 out" in said.stdout


def test_coordinate_check_tells_slopes_and_verdicts(tmp_path):
    said = run("coordinate_check", "--smoke", "--out", tmp_path / "results")
    # Two seeds of two narrow networks prove nothing, and it says so.
    assert said.returncode == 1, said.stderr
    assert {path.name for path in (tmp_path / "results").iterdir()} == FILES
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["wrong"] == ["muP SGD"]
    case = summary["cases"]["muP SGD"]
    assert case["predicted_verdict"] == "pass"
    assert list(case["start"]) == ["layer_1", "layer_2", "layer_3"]
    assert summary["cases"]["residual"]["verdict"] == "fail"
    assert "0 of 1 cases that theory knows have its verdict" in said.stdout
    assert run("coordinate_check", "--figures_only", "--out", tmp_path / "results").returncode == 1


def test_calibration_compares_starts_before_and_after(tmp_path):
    said = run("calibration", "--smoke", "--out", tmp_path / "results")
    assert said.returncode == 0, said.stderr
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    before, after = summary["rows"]
    assert (before["refiner"], after["refiner"]) == ("none", "lsuv")
    assert before["verdict"] == "fail"
    assert "vanishing_signal" in before["failures"]
    assert "vanishing_signal" not in after["failures"]
    assert after["loss"][0] < before["loss"][0]
    assert "Networks that train" in said.stdout


def test_framework_defaults_are_drawn(tmp_path):
    said = run("framework_defaults", "--smoke", "--size=64,32", "--out", tmp_path / "results")
    assert said.returncode == 0, said.stderr
    rows = json.loads((tmp_path / "results" / "summary.json").read_text())["rows"]
    assert {row["framework"] for row in rows} == {"flax", "torch"}
    dense = next(row for row in rows if (row["framework"], row["layer"]) == ("flax", "dense"))
    assert (dense["fan"], dense["fan_in"]) == ("fan_in", 64)
    np.testing.assert_allclose(dense["chi1"]["relu"], 0.5, rtol=0.1)
    assert "fan_in" in said.stdout


def test_an_audit_of_a_model_in_a_file_says_its_verdict(tmp_path):
    said = run("audit", "--out", tmp_path / "results")
    assert said.returncode == 1, said.stderr
    assert {path.name for path in (tmp_path / "results").iterdir()} == FILES
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["verdict"] == "fail"
    assert "fail: vanishing_signal at 2" in said.stdout
    again = run("audit", "--figures_only", "--out", tmp_path / "results")
    assert (again.returncode, again.stdout) == (1, said.stdout)
    flags = ["--model=experiments.examples.flax_model:convnet", "--out", tmp_path / "sound"]
    sound = run("audit", *flags)
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.startswith("verdict: pass")
