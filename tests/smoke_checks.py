"""What each binary's smoke run must find: `(Finished) -> None`, for the table of smoke runs."""

import importlib.util
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray
from forks import run_module

__all__ = [
    "NO_CACHE",
    "Finished",
    "check_audit",
    "check_calibration",
    "check_coordinate_check",
    "check_course_tables",
    "check_depth_constants",
    "check_framework_defaults",
    "check_initializer_zoo",
    "check_lab_results",
    "check_page",
    "check_phase_diagram",
    "check_published",
    "check_random_initialization",
    "check_saturation",
    "check_signal_propagation",
    "check_symmetry_escape",
    "check_theory_tables",
    "check_throughput",
    "check_torture",
    "check_trainability_map",
    "check_transfer",
    "check_what_breaks_symmetry",
    "check_zero_initialization",
]

# Tests leave nothing in the user's cache.
NO_CACHE = "--compilation_cache_dir="


class Finished(NamedTuple):
    """A smoke run: its folder, what it printed, and summary.json."""

    out: Any
    stdout: str
    summary: dict[str, Any]


def check_random_initialization(ran):
    rows = {row["start"]: row for row in ran.summary["starts"]}
    assert list(rows) == ["zero", "0.01", "1000", "Glorot", "He"]
    assert rows["zero"]["distinct_start"] == rows["zero"]["distinct_end"] == [1, 1]
    for name in ("0.01", "1000", "Glorot", "He"):
        assert rows[name]["distinct_start"] == rows[name]["distinct_end"] == [4, 4]
    assert rows["0.01"]["saturation"] == 0
    assert rows["1000"]["saturation"] > 0.9
    assert rows["zero"]["gradient_norm"] < 1e-6
    with xarray.open_zarr(ran.out / "results.zarr", consolidated=False) as results:
        assert results["loss"].dims == ("start", "seed", "step")
        assert results["learning_rate"] == 1.2
    assert "P(train)" in ran.stdout


def check_saturation(ran):
    rows = ran.summary["rows"]
    for activation in ("tanh", "sigmoid"):
        shares = [row["saturation_hidden"] for row in rows if row["activation"] == activation]
        assert shares == sorted(shares)
        assert shares[-1] > 0.9
    outputs = [row["saturation_output"] for row in rows if row["activation"] == "relu"]
    assert outputs[0] < 0.01 < 0.9 < outputs[-1]
    assert "4 hidden units, sigmoid output, 4 seeds" in ran.stdout


def check_torture(ran):
    rows = {(row["processes"], row["signal"]): row["kills"] for row in ran.summary["rows"]}
    kills = {(1, "SIGKILL"): 2, (1, "SIGTERM"): 2, (1, "SIGINT"): 1}
    assert rows == kills | {(2, "SIGTERM"): 1}
    # What is aimed at; between two chunks a kill falls by the clock alone.
    places = ("inside_a_write", "while_assembling")
    assert all(sum(row[place] for row in ran.summary["rows"]) for place in places)
    assert ran.summary["datasets"] >= 2
    wrong = ("differing_bytes", "failed", "refused", "stuck")
    assert [ran.summary[name] for name in wrong] == [0, 0, 0, 0]
    assert "6 kills" in ran.stdout


def check_zero_initialization(ran):
    assert len(list((ran.out / "cells").glob("*.npz"))) == 1
    assert ran.summary["broken"] == 0
    assert len(ran.summary["facts"]) == 1
    assert ran.summary["wide_minus_one_unit"] < 1e-5
    assert "4 runs under vmap" in ran.stdout


def check_what_breaks_symmetry(ran):
    summary = ran.summary
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
    assert "flower data, 4 hidden units, 2 seeds, 10 steps." in ran.stdout
    assert "A start without a random piece is broken by dropout" in ran.stdout


def check_symmetry_escape(ran):
    rows = ran.summary["rows"]
    assert len(rows) == 2 * 1 * 1 * 1 * 2
    (planted,) = [
        row
        for row in rows
        if (row["dtype"], row["arithmetic"], row["perturbation"]) == ("float64", "ordered", 1e-8)
    ]
    assert planted["first_difference"] == 0
    never = [row for row in rows if row["arithmetic"] == "ordered" and not row["perturbation"]]
    assert [row["first_difference"] for row in never] == [-1, -1]
    assert "Over all widths, 1 of 1 such runs escape" in ran.stdout


def check_theory_tables(ran):
    assert ran.summary["outside"] == 0
    assert {row["section"] for row in ran.summary["rows"]} == {6, 8}
    assert f"{len(ran.summary['rows'])} rows within, 0 out" in ran.stdout


def check_course_tables(ran):
    rows = ran.summary["rows"]
    assert {row["section"] for row in rows} == {1, 3}
    assert ran.summary["within"] == len(rows) == 3 + 17 + 1
    assert ran.summary["left_out"] == 9 + 4
    assert "13 rows that need more than 0 training steps are left out" in ran.stdout


def check_coordinate_check(ran):
    # Two seeds of two narrow networks prove nothing, and its verdict is that.
    assert ran.summary["wrong"] == ["muP SGD"]
    case = ran.summary["cases"]["muP SGD"]
    assert case["predicted_verdict"] == "pass"
    assert list(case["start"]) == ["layer_1", "layer_2", "layer_3"]
    assert ran.summary["cases"]["residual"]["verdict"] == "fail"
    assert "0 of 1 cases that theory knows have its verdict" in ran.stdout
    assert (
        run_module(
            "experiments.coordinate_check", NO_CACHE, "--figures_only", "--out", ran.out
        ).returncode
        == 1
    )


def check_calibration(ran):
    before, after = ran.summary["rows"]
    assert (before["refiner"], after["refiner"]) == ("none", "lsuv")
    assert before["verdict"] == "fail"
    assert "vanishing_signal" in before["failures"]
    assert "vanishing_signal" not in after["failures"]
    assert after["loss"][0] < before["loss"][0]
    assert "Networks that train" in ran.stdout


def check_framework_defaults(ran):
    rows = ran.summary["rows"]
    assert {row["framework"] for row in rows} == {"flax", "torch"}
    dense = next(row for row in rows if (row["framework"], row["layer"]) == ("flax", "dense"))
    assert (dense["fan"], dense["fan_in"]) == ("fan_in", 64)
    np.testing.assert_allclose(dense["chi1"]["relu"], 0.5, rtol=0.1)
    assert "fan_in" in ran.stdout


def check_initializer_zoo(ran):
    (group,) = ran.summary["networks"]
    he, nothing = group["rows"]
    assert (he["initializer"], nothing["initializer"]) == ("he_normal", "zeros")
    assert he["p_train"] == 1
    assert he["chi1"] > 1
    assert he["ties"]
    assert nothing["p_train"] == nothing["chi1"] == 0
    assert nothing["distinct_share"] == 1 / 16
    assert nothing["steps"] == [None] * 3
    assert "delta_orthogonal does not apply: delta_orthogonal requires" in ran.stdout


def check_lab_results(ran):
    (row,) = ran.summary["rows"]
    assert (row["depth"], row["small"], row["activation"]) == (3, 3, "tanh")
    assert row["escaped"] == row["seeds"] == 2
    assert abs(row["power"][0] + 1) < 0.15
    assert "T ~ eps^-(r-2)" in ran.stdout


def check_page(ran):
    assert ran.stdout == f"{ran.out}\n"
    text = ran.out.read_text()
    assert text.startswith("<!doctype html>")
    assert "<!-- page:" not in text.partition("<script>")[0]


def check_depth_constants(ran):
    (tanh,) = ran.summary["activations"]
    shallow, deep = tanh["rows"]
    assert shallow["constants"]["0.01"]["p_train"] == 1
    assert deep["constants"]["0.01"]["p_train"] == 0
    assert deep["best_constants"] == ["Glorot", "He", "critical"]
    assert tanh["stops"] == 4
    assert "0.01 stops working at 4 hidden layers" in ran.stdout
    assert "decades in the median" in ran.stdout
    for row in tanh["rows"]:
        # Without biases the length of small weights dies out, and chi1 is sigma_w2.
        wanted = 16**-0.5 * np.exp(-3 / row["depth"])
        assert row["edges"]["small"]["predicted"] == pytest.approx(wanted, rel=1e-3)
        # Sums of signs keep 2/pi of a correlation in each layer: 13 layers at any large scale.
        assert row["edges"]["large"]["predicted"] is None


def check_signal_propagation(ran):
    rows = ran.summary["rows"]
    assert len({row["quantity"] for row in rows}) == len(rows) == 3
    assert [row["finite"]["within"] for row in rows] == [4, 4, 3]
    assert [row["law"] and row["law"]["within"] for row in rows] == [4, 4, None]
    with xarray.open_zarr(ran.out / "results.zarr", consolidated=False) as results:
        assert abs(float(results["sigma_w2_weight"].mean()) - 1) < 0.02


def check_phase_diagram(ran):
    assert ran.summary["grid"] == [4, 4]
    assert [row["network_sigma_w2"] for row in ran.summary["rows"]] == pytest.approx([1, 1, 3, 3])
    assert ran.summary["within"]["growth"] == 4
    assert "points in" in ran.stdout


def check_trainability_map(ran):
    (row,) = ran.summary["rows"]
    assert ran.summary["pixels"] == [16, 16]
    assert 0.2 < row["share"] < 0.6
    with xarray.open_zarr(ran.out / "results.zarr", consolidated=False) as results:
        assert results["p_train"].dims == ("zoom", "activation", "dtype", "y", "x")
        assert float(results["p_train"].isel(y=-1).mean()) < 0.2
        # tanh without biases is critical at sigma_w = 1.
        np.testing.assert_allclose(results["curve_x"], 0, atol=1e-6)
    assert "sigma_w x learning_rate" in ran.stdout


def check_transfer(ran):
    (row,) = ran.summary["rows"]
    assert (row["sizes"], row["claim"]) == ([4, 8], "stays")
    with xarray.open_zarr(ran.out / "results.zarr", consolidated=False) as results:
        assert results["loss"].sizes == {"case": 1, "size": 2, "learning_rate": 7, "seed": 2}
        assert np.isfinite(results["loss"]).all()
    assert "width 4 to 8" in ran.stdout


def check_published(ran):
    assert [row["quantity"] for row in ran.summary["rows"]] == ["N = 2, L = 10", "r = 2"]
    # Theirs are other settings: nothing is claimed of these.
    assert (ran.summary["agrees"], ran.summary["not comparable"]) == (0, 2)
    assert "arXiv:1903.06733" in ran.stdout


def check_throughput(ran):
    summary = ran.summary
    assert set(summary["ratio_to_plain_vmap"]) == set(summary["ratio_to_numpy"]) == {"2-2-1"}
    assert summary["ratio_to_plain_vmap"]["2-2-1"] > 0
    assert set(summary["runs"]["2-2-1"].values()) == {16, 1}
    assert set(summary["steps"]["2-2-1"].values()) == {3}
    for side in ("lab", "plain_vmap", "jit_loop"):
        assert summary["compile_seconds"]["2-2-1"][side] > 0
    assert 0 < summary["share_of_peak"]["2-2-1"]["lab"] < 1
    assert [(row["side"], row["runs"]) for row in summary["cost"]] == [
        ("lab", 100),
        ("plain_vmap", 100),
    ]
    for row in summary["cost"]:
        assert row["seconds"] >= row["compile_seconds"] + row["run_seconds"]
    has_torch = importlib.util.find_spec("torch") is not None
    assert ("not measured" in ran.stdout) != has_torch


def check_audit(ran):
    assert ran.summary["verdict"] == "fail"
    assert "fail: vanishing_signal at 2" in ran.stdout
    again = run_module("experiments.audit", NO_CACHE, "--figures_only", "--out", ran.out)
    assert (again.returncode, again.stdout) == (1, ran.stdout)
    flags = ["--model=experiments.examples.flax_model:convnet", "--out", ran.out.parent / "sound"]
    sound = run_module("experiments.audit", NO_CACHE, *flags)
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.startswith("verdict: pass")
