"""Every binary, run small as a user runs it: the files that it writes, and what it finds."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import smoke_checks as checks
from docs_parts import part
from forks import ROOT, run_module
from smoke_checks import NO_CACHE, Finished

CONCLUSIONS = part("conclusions").CONCLUSIONS
FILES = {"figure.png", "figure.svg", "results.zarr", "run.json", "summary.json"}


class Smoke(NamedTuple):
    """How a binary is run small, and what must come of it.

    Attributes:
      check: asserts what this run must find.
      flags: beside --out.
      extra: what it writes beside FILES.
      file: where --out is a file, its name; nothing else is written then.
      status: its exit status.
      about_bits: compiled as a user's run is, since its findings are about rounding and no file
        marked `full_compile` has them.
    """

    check: Callable[[Finished], None]
    flags: tuple[str, ...] = ("--smoke",)
    extra: frozenset[str] = frozenset()
    file: str = ""
    status: int = 0
    about_bits: bool = False


def run(name, *flags):
    smoke = SMOKE_RUNS.get(name, Smoke(lambda ran: None))
    # What writes one file compiles nothing.
    flags = flags if smoke.file else (NO_CACHE, *flags)
    return run_module(f"experiments.{name}", *flags, full_compile=smoke.about_bits)


SWEEPS, CELLS = frozenset({"sweeps"}), frozenset({"cells"})
SMOKE_RUNS = {
    "audit": Smoke(checks.check_audit, (), status=1),
    "calibration": Smoke(checks.check_calibration, extra=CELLS),
    "coordinate_check": Smoke(checks.check_coordinate_check, status=1),
    "course_tables": Smoke(checks.check_course_tables),
    "depth_constants": Smoke(checks.check_depth_constants, ("--smoke", "--depth=4,1"), SWEEPS),
    "framework_defaults": Smoke(checks.check_framework_defaults, ("--smoke", "--size=64,32")),
    "initializer_zoo": Smoke(checks.check_initializer_zoo, extra=SWEEPS),
    "lab_results": Smoke(checks.check_lab_results, extra=CELLS),
    "page": Smoke(checks.check_page, (), file="page.html"),
    "phase_diagram": Smoke(checks.check_phase_diagram, extra=SWEEPS),
    "published": Smoke(
        checks.check_published,
        ("--smoke", "--reproduction=dying_relu,escape_times"),
        CELLS,
    ),
    "random_initialization": Smoke(
        checks.check_random_initialization,
        ("--smoke", "--trained_fraction=0.4"),
        SWEEPS,
        about_bits=True,
    ),
    "saturation": Smoke(checks.check_saturation, extra=SWEEPS),
    "signal_propagation": Smoke(checks.check_signal_propagation, extra=SWEEPS),
    "symmetry_escape": Smoke(checks.check_symmetry_escape),
    "theory_tables": Smoke(checks.check_theory_tables),
    "throughput": Smoke(checks.check_throughput),
    "torture": Smoke(checks.check_torture, extra=CELLS, about_bits=True),
    "trainability_map": Smoke(checks.check_trainability_map, extra=SWEEPS),
    "transfer": Smoke(checks.check_transfer, extra=SWEEPS),
    "what_breaks_symmetry": Smoke(checks.check_what_breaks_symmetry),
    "zero_initialization": Smoke(
        checks.check_zero_initialization, ("--smoke", "--depth=2"), SWEEPS | CELLS
    ),
}


def test_every_binary_has_a_smoke_run():
    folder = ROOT / "experiments"
    binaries = {path.parent.name for path in folder.glob("*/__main__.py")}
    flat = {path.stem for path in folder.glob("*.py") if "__main__" in path.read_text()}
    assert set(SMOKE_RUNS) == binaries | flat


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A binary's smoke run, by name; each runs once."""
    ran = {}

    def finish(name):
        if name in ran:
            return ran[name]
        smoke = SMOKE_RUNS[name]
        out = tmp_path_factory.mktemp(name) / (smoke.file or "results")
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
        if smoke.file:
            assert [path.name for path in out.parent.iterdir()] == [smoke.file]
            return Finished(out, said.stdout, {})
        assert {path.name for path in out.iterdir()} == FILES | smoke.extra
        ran[name] = Finished(out, said.stdout, json.loads((out / "summary.json").read_text()))
        return ran[name]

    return finish


@pytest.mark.parametrize("name", SMOKE_RUNS)
def test_a_smoke_run_finds_what_it_must(name, finished):
    ran = finished(name)
    SMOKE_RUNS[name].check(ran)
    # What the gallery says of it; the flags here change no conclusion.
    concluded = CONCLUSIONS.get(name)
    assert concluded is None or concluded.holds is None or concluded.holds(ran.summary)


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
