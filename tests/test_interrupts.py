"""Ctrl-C while a program still imports: one line, its exit status, no traceback."""

import signal
import subprocess
import sys

import pytest
from forks import ROOT

from experiments import interrupts
from initlab import exits

pytestmark = pytest.mark.quick


@pytest.fixture
def handler():
    """Puts back what answers Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_during_the_imports_is_one_line(handler):
    # -X importtime says on stderr what has been imported so far.
    command = [sys.executable, "-X", "importtime", "-m", "experiments.saturation"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.split("|")[-1].strip() == "experiments":
                process.send_signal(signal.SIGINT)
                break
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert said == ["saturation: interrupted; nothing was begun: the same call starts it\n"]
    assert process.returncode == exits.INTERRUPTED == interrupts.INTERRUPTED


def test_once_begun_it_raises_again_and_ignored_it_stays_ignored(handler):
    interrupts.begin()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    interrupts.end_in_one_line()
    assert signal.getsignal(signal.SIGINT) not in (signal.default_int_handler, signal.SIG_IGN)
    interrupts.begin()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts.end_in_one_line()
    interrupts.begin()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
