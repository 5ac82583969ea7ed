"""What every experiment gets from the harness: resuming, its folder's files, processes, the bar."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import xarray
from forks import ROOT, finish, run_module, start_module

from experiments.harness import output_folder
from initlab import exits
from initlab.sweeps import progress

# 4,096 runs of 400 steps: optimized they take seconds, and minutes as they compile fast.
pytestmark = pytest.mark.full_compile

BINARY = "experiments.saturation"
SIZES = ("--activation=tanh", "--scale=1", "--seeds=4096", "--steps=100", "--early=50")


def start_in_a_shell(*flags):
    command = [sys.executable, "-m", BINARY, *map(str, flags)]
    # A shell starts background jobs with SIGINT ignored, which they inherit.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """An experiment's folder after Ctrl-C, its flags, and what was said."""
    home = tmp_path_factory.mktemp("interrupted")
    out = home / "results"
    flags = ("--out", out, f"--compilation_cache_dir={home / 'cache'}", "--block=16", *SIZES)
    process = start_in_a_shell(*flags)
    while not list(out.glob("sweeps/runs.zarr/progress/[0-9]*.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    record = json.loads((out / "run.json").read_text())
    return out, flags, process.returncode, err, record


@pytest.mark.thorough
def test_ctrl_c_exits_130_says_how_to_go_on_and_the_same_command_does(interrupted):
    out, flags, status, err, record = interrupted
    assert status == exits.INTERRUPTED == 130
    assert "of 4096 runs are kept in" in err
    assert "the same call goes on from there" in err
    assert "Traceback" not in err
    assert record["experiment"] == "saturation"
    assert record["finished"] is False
    assert record["flags"]["seeds"] == 4096
    assert {path.name for path in out.iterdir()} == {"run.json", "sweeps"}
    assert any((out.parent / "cache").iterdir())
    kept = {
        path: path.stat().st_mtime_ns for path in out.glob("sweeps/runs.zarr/progress/[0-9]*.json")
    }
    assert 0 < len(kept) < 16
    # The same folder with other flags is refused, and left as it was.
    refused = run_module(BINARY, *flags, "--learning_rate=0.5")
    assert refused.returncode == 2
    assert "they differ in axes.learning_rate: there [1.2], here [0.5]" in refused.stderr
    assert json.loads((out / "run.json").read_text()) == record
    resumed = run_module(BINARY, *flags)
    assert resumed.returncode == 0, resumed.stderr
    assert "results, summary and figure are in" in resumed.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    record = json.loads((out / "run.json").read_text())
    assert record["finished"] is True
    with xarray.open_zarr(out / "sweeps" / "runs.zarr", chunks=None) as results:
        assert results.attrs["flags"]["seeds"] == 4096
        assert results.attrs["complete"]


def two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return "--num_processes=2", f"--coordinator_address=127.0.0.1:{port}"


def test_processes_with_other_flags_stop_together_and_write_nothing(tmp_path):
    common = (*two_processes(), "--smoke", "--out", tmp_path / "new", "--compilation_cache_dir=")
    rates = ("1.2", "0.3")
    started = [
        start_module(BINARY, *common, f"--process_id={number}", f"--learning_rate={rate}")
        for number, rate in enumerate(rates)
    ]
    for said in map(finish, started):
        assert said.returncode == 2
        assert said.stderr == (
            "saturation: all processes must have the same command; they differ in "
            "--learning_rate: process 0 has 1.2, process 1 has 0.3\n"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("had_results", [False, True])
def test_a_refusal_leaves_the_folder_as_it_was(tmp_path, had_results):
    out = tmp_path / "deep" / "results"
    if had_results:
        out.mkdir(parents=True)
        (out / "run.json").write_text('{"experiment": "mine"}')
        (out / "summary.json").write_text("{}")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    folders = set(tmp_path.rglob("*"))

    def refuse():
        with output_folder.claimed(out, {"experiment": "mine"}):
            assert json.loads((out / "run.json").read_text())["finished"] is False
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        refuse()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    assert set(tmp_path.rglob("*")) == folders


def test_a_folder_in_which_a_sweep_was_begun_stays_claimed(tmp_path):
    def fail():
        with output_folder.claimed(tmp_path, {"experiment": "mine"}):
            (tmp_path / "sweeps").mkdir()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert json.loads((tmp_path / "run.json").read_text())["experiment"] == "mine"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_quiet_where_there_is_no_terminal(monkeypatch):
    for stream, wanted in ((io.StringIO(), True), (Terminal(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.progress_bar(100, 0, 0, wanted=wanted) as bar:
            bar.update(50)
        assert stream.getvalue() == ""


def test_the_bar_counts_this_call_s_speed_and_log_lines_stand_above_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    above = progress.AboveTheBar()
    with progress.progress_bar(1000, 600, 3, wanted=True) as bar:
        time.sleep(0.2)
        bar.update(100)
        above.write("a line of the log\n")
        above.flush()
    said = terminal.getvalue()
    assert "700/1000" in said
    assert "chunks resumed=3" in said
    # Not 700 runs in a fifth of a second.
    assert float(re.findall(r"([\d.]+) runs/s", said)[-1]) <= 500
    # The bar is wiped, the line written whole, and the bar drawn again.
    before, after = said.split("a line of the log\n")
    assert before.endswith("\r")
    assert "700/1000" in after
    assert above.isatty()
