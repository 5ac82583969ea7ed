"""What every binary refuses: one line, status 2, nothing written; and its other statuses."""

import contextlib
import io
import json
import operator
import os
import re
import shutil
import sys
import time

import jax
import pytest
from absl import app
from command_lines import COMMAND_LINES, LINES, call, loaded, make_places, split, tree

from experiments.harness import progress, runtime
from initlab import exits
from initlab.command import main
from initlab.sweeps.progress import innermost, progress_bar


@pytest.fixture
def tmp(tmp_path, monkeypatch):
    """The folder of what the lines name, from which they are called."""
    make_places(tmp_path)
    monkeypatch.chdir(tmp_path)
    # The devices of this process are started already.
    monkeypatch.setattr(runtime, "start", lambda name: None)
    return tmp_path


def check(line, message, status, said, out=""):
    assert (status, out) == (exits.BAD_INPUT, ""), (line, said)
    assert said.count("\n") == 1, (line, said)
    assert said.endswith("\n")
    assert said.rstrip("\n").isprintable()
    assert message in said, (line, said)


@pytest.mark.parametrize("name", LINES)
def test_a_bad_command_line_is_refused_in_one_line_and_nothing_is_written(name, tmp):
    before = tree(tmp)
    with loaded(name) as (experiment, own):
        for line, message in LINES[name]:
            given = split(line, tmp)
            check(line, message, *call(experiment, own, given))
            assert tree(tmp) == before, line
    jax.config.update("jax_enable_x64", False)


def test_the_command_refuses_in_one_line_too(tmp):
    before = tree(tmp)
    for line, message in COMMAND_LINES:
        said, out = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(out):
            status = main(["initlab", *split(line, tmp)])
        check(line, message, status, said.getvalue(), out.getvalue())
        assert tree(tmp) == before, line


def test_there_are_enough_of_them():
    assert sum(map(len, LINES.values())) + len(COMMAND_LINES) >= 130


@pytest.fixture
def toy(tmp):
    """The toy experiment, with what is replaced of it: the status of a call and what it says."""
    with loaded("tests.toy_experiment") as (experiment, own):

        def run(*given, **replaced):
            arguments = [*given, f"--out={tmp / 'toy'}"]
            with contextlib.redirect_stdout(io.StringIO()):
                return call(experiment._replace(**replaced), own, arguments)

        yield run


def test_statuses_are_told_apart(toy, tmp):
    assert toy("--size=2") == (exits.PASSED, "")
    assert toy("--size=2", verdict=lambda summary: exits.FAILED) == (exits.FAILED, "")
    # A fault behind the measurement: that of the lab, whose results are kept.
    status, said = toy("--size=2", draw=operator.getitem)
    assert status == exits.INTERNAL_ERROR
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("toy: internal error, ")
    assert (tmp / "toy" / "results.zarr").is_dir()
    app.define_help_flags()
    assert toy("--help") == (exits.PASSED, "")


def test_an_experiment_whose_reader_has_gone_ends_without_a_word(tmp):
    reading, writing = os.pipe()
    os.close(reading)
    given = ["--size=2", f"--out={tmp / 'toy'}"]
    with (
        loaded("tests.toy_experiment") as (experiment, own),
        open(writing, "w") as unread,
        contextlib.redirect_stdout(unread),
    ):
        assert call(experiment, own, given) == (exits.UNREAD, "")
    assert (tmp / "toy" / "summary.json").is_file()


def test_an_interruption_says_what_is_kept(toy, tmp):
    status, said = toy("--size=2", "--scale=1,2,130")
    assert status == exits.INTERRUPTED
    assert said.splitlines()[-1] == (
        f"toy: interrupted: 2 of 3 cells are kept in {tmp / 'toy' / 'cells'}; the same call goes "
        "on from there"
    )

    def interrupted(*_):
        raise KeyboardInterrupt

    # Where nothing of the kind is kept.
    shutil.rmtree(tmp / "toy")
    status, said = toy(measure=interrupted)
    assert (status, said) == (
        exits.INTERRUPTED,
        "toy: interrupted; nothing was kept: the same call starts again\n",
    )
    # After all was computed.
    status, said = toy(draw=interrupted)
    assert said.splitlines()[-1].endswith(
        f"is kept in {tmp / 'toy'}: the same call goes on from there"
    )
    assert json.loads((tmp / "toy" / "run.json").read_text())["finished"] is True


def test_long_work_logs_a_line_a_minute_where_there_is_no_terminal(caplog):
    with (
        caplog.at_level("INFO", logger="absl"),
        progress.saying_how_it_goes("toy", every=0.02),
        contextlib.suppress(StopIteration),
    ):
        nets = progress.track(["a", "b", "c"], "nets")
        assert (next(nets), next(nets)) == ("a", "b")
        time.sleep(0.1)
        while True:
            next(nets)
    assert re.match(r"toy: 0\.0 min, 1 of 3 nets", caplog.messages[0])
    assert innermost() is None


def test_a_terminal_without_a_bar_is_told_too(caplog, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with (
        caplog.at_level("INFO", logger="absl"),
        progress.saying_how_it_goes("toy", every=0.02),
    ):
        time.sleep(0.1)
        before = len(caplog.messages)
        with progress_bar(3, unit="nets"):
            time.sleep(0.1)
            shown = len(caplog.messages)
    assert before >= 2
    assert set(caplog.messages) == {"toy: 0.0 min, at work"}
    # One line may have been on its way when the bar began.
    assert shown <= before + 1
