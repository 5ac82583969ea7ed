"""Every binary, run small as a user runs it: the files that it writes, and what it finds."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray
from forks import ROOT, run_module

FILES = {"figure.png", "figure.svg", "results.zarr", "run.json", "summary.json"}

# Tests leave nothing in the user's cache.
NO_CACHE = "--compilation_cache_dir="


class Finished(NamedTuple):
    """A smoke run: its folder, what it printed, and summary.json."""

    out: Any
    stdout: str
    summary: dict[str, Any]


class Smoke(NamedTuple):
    """How a binary is run small, and what must come of it.

    Attributes:
      check: asserts what this run must find.
      flags: beside --out.
      extra: what it writes beside FILES.
      status: its exit status.
      about_bits: compiled as a user's run is, since its findings are about rounding.
    """

    check: Callable[[Finished], None]
    flags: tuple[str, ...] = ("--smoke",)
    extra: frozenset[str] = frozenset()
    status: int = 0
    about_bits: bool = False


def run(name, *flags):
    about_bits = name in SMOKE_RUNS and SMOKE_RUNS[name].about_bits
    return run_module(f"experiments.{name}", NO_CACHE, *flags, full_compile=about_bits)


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


def check_zero_initialization(ran):
    assert len(list((ran.out / "cells").iterdir())) == 2
    assert ran.summary["broken"] == 0
    assert len(ran.summary["facts"]) == 2
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
    assert len(rows) == 2 * 2 * 1 * 1 * 2
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
    assert run("coordinate_check", "--figures_only", "--out", ran.out).returncode == 1


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
    assert ran.summary["grid"] == [8, 8]
    assert [row["network_sigma_w2"] for row in ran.summary["rows"]] == [1, 1, 3, 3]
    assert ran.summary["within"]["growth"] == 4
    assert "points in" in ran.stdout


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
    assert ("not installed" in ran.stdout) != has_torch


def check_audit(ran):
    assert ran.summary["verdict"] == "fail"
    assert "fail: vanishing_signal at 2" in ran.stdout
    again = run("audit", "--figures_only", "--out", ran.out)
    assert (again.returncode, again.stdout) == (1, ran.stdout)
    flags = ["--model=experiments.examples.flax_model:convnet", "--out", ran.out.parent / "sound"]
    sound = run("audit", *flags)
    assert sound.returncode == 0, sound.stderr
    assert sound.stdout.startswith("verdict: pass")


SWEEPS, CELLS = frozenset({"sweeps"}), frozenset({"cells"})
SMOKE_RUNS = {
    "audit": Smoke(check_audit, (), status=1),
    "calibration": Smoke(check_calibration, extra=CELLS),
    "coordinate_check": Smoke(check_coordinate_check, status=1),
    "course_tables": Smoke(check_course_tables),
    "depth_constants": Smoke(check_depth_constants, ("--smoke", "--depth=4,1"), SWEEPS),
    "framework_defaults": Smoke(check_framework_defaults, ("--smoke", "--size=64,32")),
    "initializer_zoo": Smoke(check_initializer_zoo, extra=SWEEPS),
    "phase_diagram": Smoke(check_phase_diagram, extra=SWEEPS),
    "random_initialization": Smoke(
        check_random_initialization,
        ("--smoke", "--trained_fraction=0.4"),
        SWEEPS,
        about_bits=True,
    ),
    "saturation": Smoke(check_saturation, extra=SWEEPS),
    "signal_propagation": Smoke(check_signal_propagation, extra=SWEEPS),
    "symmetry_escape": Smoke(check_symmetry_escape, about_bits=True),
    "theory_tables": Smoke(check_theory_tables),
    "throughput": Smoke(check_throughput),
    "what_breaks_symmetry": Smoke(check_what_breaks_symmetry, about_bits=True),
    "zero_initialization": Smoke(check_zero_initialization, extra=SWEEPS | CELLS, about_bits=True),
}


def test_every_binary_has_a_smoke_run():
    folder = ROOT / "experiments"
    binaries = {path.parent.name for path in folder.glob("*/__main__.py")}
    flat = {path.stem for path in folder.glob("*.py") if "harness.launch(" in path.read_text()}
    assert set(SMOKE_RUNS) == binaries | flat


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A binary's smoke run, by name; each runs once."""
    ran = {}

    def finish(name):
        if name in ran:
            return ran[name]
        smoke, out = SMOKE_RUNS[name], tmp_path_factory.mktemp(name) / "results"
        if name == "random_initialization":
            # The one that starts as from a shell.
            command = [sys.executable, "-m", f"experiments.{name}", NO_CACHE, *smoke.flags]
            said = subprocess.run(
                [*command, f"--out={out}"], cwd=ROOT, capture_output=True, text=True, check=False
            )
        else:
            said = run(name, *smoke.flags, "--out", out)
        assert said.returncode == smoke.status, said.stdout + said.stderr
        # chex warns at exit of assertions that nobody waited for; here each is waited for.
        assert "chexify" not in said.stderr
        assert {path.name for path in out.iterdir()} == FILES | smoke.extra
        ran[name] = Finished(out, said.stdout, json.loads((out / "summary.json").read_text()))
        return ran[name]

    return finish


@pytest.mark.parametrize("name", SMOKE_RUNS)
def test_a_smoke_run_finds_what_it_must(name, finished):
    SMOKE_RUNS[name].check(finished(name))


def test_a_run_is_written_down_so_that_it_can_be_run_again(finished):
    record = json.loads((finished("random_initialization").out / "run.json").read_text())
    assert record["experiment"] == "random_initialization"
    assert record["flags"]["seeds"] == 8
    assert record["flags"]["learning_rate"] == 1.2
    assert record["versions"]["jax"]
    assert record["devices"]["platform"] == "cpu"
    assert record["finished"] is True
    assert record["compile_seconds"] > 0
    assert record["run_seconds"] > 0


def test_figures_are_drawn_again_without_running(finished):
    out = finished("random_initialization").out
    before = (out / "run.json").read_text(), (out / "figure.png").read_bytes()
    summary = (out / "summary.json").read_text()
    (out / "figure.png").unlink()
    said = run("random_initialization", "--figures_only", "--out", out)
    assert said.returncode == 0, said.stderr
    assert said.stdout == finished("random_initialization").stdout
    assert (out / "run.json").read_text() == before[0]
    assert (out / "summary.json").read_text() == summary
    assert f"under {0.4 * np.log(2):.4f}" in said.stdout
    assert (out / "figure.png").read_bytes() == before[1]


def test_another_experiment_s_folder_is_refused_and_left_alone(finished):
    out = finished("random_initialization").out
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    said = run("saturation", "--smoke", "--out", out)
    assert said.returncode == 2
    assert "holds results of 'random_initialization', not of 'saturation'" in said.stderr
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
