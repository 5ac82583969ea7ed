"""One of several processes: what identifies it, and JAX's fatal errors in one line."""

import socket

import jax
import pytest
from absl import flags

from experiments.harness import cluster
from experiments.harness.native_errors import LOST, NEVER_MET, shorten

pytestmark = pytest.mark.quick

# As JAX 0.10.2 wrote it when another process was killed.
FATAL = """E1127 03:09:41.016551    5383 coordination_service.cc:1549] [26264] Use error polling to
1
The tasks have crashed. Check the task logs for an earlier error.
F1127 03:09:41.017207    5400 client.h:80] Terminating process because the JAX distributed service \
detected fatal errors. This most likely indicates that another task died

RPC: /xla.coordination.CoordinationService/PollForError
*** Check failure stack trace: ***
    @     0x7f5d65c40634  absl::lts_20260107::log_internal::LogMessage::SendToLog()
"""


@pytest.fixture
def given():
    """The flags of several processes, parsed from a command line."""
    values = flags.FlagValues()
    for name in ("coordinator_address", "num_processes", "process_id"):
        kind = flags.DEFINE_string if name == "coordinator_address" else flags.DEFINE_integer
        kind(name, None, name, flag_values=values)
    flags.register_validator("coordinator_address", cluster._check_address, flag_values=values)
    flags.register_multi_flags_validator(
        cluster.TOGETHER, cluster._check_identity, flag_values=values
    )
    return lambda *line: values(["program", *line])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--coordinator_address=host --num_processes=2 --process_id=0", "HOST:PORT .* got 'host'"),
        ("--coordinator_address=host: --num_processes=2 --process_id=0", "HOST:PORT"),
        ("--coordinator_address=:1234 --num_processes=2 --process_id=0", "HOST:PORT"),
        ("--coordinator_address=host:0 --num_processes=2 --process_id=0", "from 1 to 65535"),
        ("--coordinator_address=host:65536 --num_processes=2 --process_id=0", "from 1 to 65535"),
        ("--coordinator_address=host:http --num_processes=2 --process_id=0", "HOST:PORT"),
        ("--coordinator_address=host:1 --num_processes=2 --process_id=2", "from 0 to 1 .* got 2"),
        ("--coordinator_address=host:1 --num_processes=1 --process_id=5", "from 0 to 0 .* got 5"),
        ("--coordinator_address=host:1 --num_processes=2", "require each other; --process_id must"),
        ("--num_processes=2", "--coordinator_address and --process_id must be given too"),
    ],
)
def test_what_identifies_no_process_is_refused(given, line, message):
    with pytest.raises(flags.IllegalFlagValueError, match=message):
        given(*line.split())


def test_what_identifies_a_process_is_taken(given):
    given()
    given("--coordinator_address=host:1234", "--num_processes=2", "--process_id=1")
    given("--coordinator_address=[::1]:1234", "--num_processes=1", "--process_id=0")


def test_a_coordinator_that_cannot_be_is_refused():
    with pytest.raises(OSError, match=r"--coordinator_address nowhere\.invalid:1: no such host"):
        cluster._check_coordinator("nowhere.invalid:1", is_first=False)
    with socket.create_server(("", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match="the port cannot be had"):
            cluster._check_coordinator(address, is_first=True)
        cluster._check_coordinator(address, is_first=False)


def test_the_fatal_error_of_a_lost_process_is_one_line():
    before = ["a library's warning\n", "E1127 of another library\n"]
    lines = FATAL.splitlines(keepends=True)
    assert list(shorten([*before, *lines], "lab")) == [*before, f"lab: {LOST}\n"]
    unmet = [line.replace("PollForError", "RegisterTask") for line in lines]
    assert list(shorten(unmet, "lab")) == [f"lab: {NEVER_MET}\n"]


def test_what_is_not_fatal_is_shown_as_it_is():
    # Held back from its first line on, and shown when the program has ended.
    lines = FATAL.splitlines(keepends=True)[:3]
    assert "".join(shorten(["first\n", *lines], "lab")) == "first\n" + "".join(lines)
    assert "".join(shorten([], "lab")) == ""


def test_one_process_alone_compares_nothing_and_leaves_as_any_other():
    assert not jax.distributed.is_initialized()
    cluster.compare("saturation")
    assert [cluster.leave(status) for status in (0, 1, 2, 130)] == [0, 1, 2, 130]
