"""Several local processes on one sweep, meeting through jax.distributed."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading

import jax
import pytest
from command_lines import loaded
from forks import ROOT, run_module
from sweep_runs import AXES, assert_same_bits, small_run, small_sweep

import initlab
from experiments.harness import launching, runtime
from initlab.sweeps import differences, processes

pytestmark = pytest.mark.full_compile


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The folder of compiled programs: all tests compute with the same one."""
    return tmp_path_factory.mktemp("cache")


def work(tmp_path, cache, *flags):
    return run_module("sweep_worker", tmp_path / "runs", cache, "--devices=2", *flags)


def work_under_mpirun(tmp_path, cache, *flags):
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2"]
    worker = [sys.executable, ROOT / "tests" / "sweep_worker.py"]
    return subprocess.run(
        [*command, *worker, tmp_path / "runs", cache, "--devices=2", *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def in_processes(monkeypatch):
    """What each of several processes returns or raises; here they are threads."""
    here = threading.local()

    def run(*acts):
        barrier, said, ended = threading.Barrier(len(acts)), {}, {}

        def gather(text):
            said[here.number] = text
            barrier.wait(10)
            texts = [said[number] for number in range(len(acts))]
            barrier.wait(10)
            return texts

        def become(number):
            here.number = number
            try:
                ended[number] = acts[number]()
            except (OSError, TypeError, ValueError) as error:
                ended[number] = error

        monkeypatch.setattr(processes, "gather", gather)
        monkeypatch.setattr(jax, "process_count", lambda: len(acts))
        monkeypatch.setattr(jax, "process_index", lambda: here.number)
        threads = [threading.Thread(target=become, args=[number]) for number in range(len(acts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [ended[number] for number in range(len(acts))]

    return run


@pytest.mark.parametrize(
    "told", ["by flags", pytest.param("by Open MPI", marks=pytest.mark.thorough)]
)
def test_two_processes_give_the_bits_of_one(told, tmp_path, cache):
    if told == "by flags":
        said = work(tmp_path, cache, "--processes=2")
    elif shutil.which("mpirun"):
        said = work_under_mpirun(tmp_path, cache, "--found")
    else:
        pytest.skip("no mpirun: `apt-get install openmpi-bin`")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("complete: True") == 2
    assert said.stdout.count("'count': 4, 'processes': 2") == 2
    results = initlab.sweep(small_run(), AXES, block=16, out=tmp_path / "runs", progress=False)
    assert_same_bits(results, small_sweep())


# In every run the small torture kills one of two processes.
@pytest.mark.thorough
def test_when_one_process_is_killed_the_other_stops_and_one_alone_finishes(tmp_path, cache):
    said = work(tmp_path, cache, "--processes=2", "--kill_one", "--seeds=200")
    assert said.returncode == 0, said.stderr
    (seconds,) = re.findall(r"the other stopped after (.*) s", said.stdout)
    # When it has heard nothing of the dead one for 2 s, or sooner where it waits for it.
    assert float(seconds) < 20
    # In place of a stack trace, one line.
    assert len(re.findall(r"another process( of this run)? has ended", said.stderr)) == 1
    assert "***" not in said.stderr
    (listed,) = re.findall(r"before the resume: \[(.*)\]", said.stdout)
    assert 4 <= len(listed.split(", ")) < 25
    axes = AXES | {"seed": range(200)}
    results = initlab.sweep(small_run(), axes, block=16, out=tmp_path / "runs", progress=False)
    assert_same_bits(results, initlab.sweep(small_run(), axes, block=16, progress=False))


def test_processes_with_other_axes_refuse_together_and_write_nothing(tmp_path, cache):
    said = work(tmp_path, cache, "--processes=2", "--differ")
    assert said.returncode == 2
    assert said.stderr.count("refuses: all processes must have one sweep; they differ in") == 2
    line = "  axes.learning_rate: process 0 has [0.1, 1.0], process 1 has [0.1, 2.0]"
    assert said.stderr.count(line) == 2
    assert list(tmp_path.iterdir()) == []


def test_several_processes_want_a_folder(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="several processes requires out"):
        initlab.sweep(small_run(), AXES, progress=False)


def test_the_first_process_decides_for_all(in_processes):
    def refuse():
        raise OSError("no")

    assert in_processes(*[lambda: processes.first_decides(lambda: None)] * 3) == [None] * 3
    own, *others = in_processes(*[lambda: processes.first_decides(refuse)] * 3)
    assert isinstance(own, OSError)
    assert [str(each) for each in (own, *others)] == ["no"] + ["process 0 raised: no"] * 2
    (alone,) = in_processes(lambda: processes.first_decides(refuse))
    assert str(alone) == "no"


def test_processes_agree_or_all_hear_what_differs(in_processes):
    def say(**values):
        return lambda: processes.agree(lambda: values, "one sweep")

    same = {"axes": {"seed": [0, 1]}, "scale": 0.5}
    assert in_processes(say(**same), say(**same), say(**same)) == [same] * 3
    ended = in_processes(say(scale=1), say(scale=1), say(scale=2, seed=0))
    assert {str(each) for each in ended} == {
        "all processes must have one sweep; they differ in\n"
        "  scale: process 0 has 1, process 2 has 2\n  seed: process 0 has nothing, process 2 has 0"
    }
    ended = in_processes(say(a=1, b=2), say(b=2, a=1))
    assert all("order: process 0 has a where process 1 has b" in str(each) for each in ended)


def test_what_one_process_raises_all_hear(in_processes):
    def fail():
        raise TypeError("scale must be a number")

    def agree(describe):
        return lambda: processes.agree(describe, "one sweep")

    first, second = in_processes(agree(dict), agree(fail))
    assert (type(first), str(first)) == (ValueError, "process 1 raised: scale must be a number")
    assert (type(second), str(second)) == (TypeError, "scale must be a number")


def test_a_folder_that_is_not_shared_is_found_and_left_alone(in_processes, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "SHARED_WITHIN", 0.2)
    for name in ("one/made", "other/made", "one/link"):
        (tmp_path / name).mkdir(parents=True)

    def share(name):
        return lambda: processes.check_shared(tmp_path / name)

    before = set(tmp_path.rglob("*"))
    for shared in ("one/made", "one/new", "one/new/deeper", "one/../one/made"):
        assert in_processes(share("one/" + shared[4:]), share(shared)) == [None, None]
    for there, here in (
        ("one/made", "other/made"),
        ("one/new", "other/new"),
        ("one/new", "one/newer"),
        ("new/deep", "newer/deep"),
        ("one/made", "new"),
    ):
        ended = in_processes(share(there), share(there), share(here))
        assert [type(each) for each in ended] == [ValueError] * 3, (there, here)
        assert "out must be a folder that all processes share, got " in str(ended[0])
        assert f"{tmp_path / there}, where process 2 on " in str(ended[0])
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("flag", ["--out", "--sweeps"])
def test_a_place_that_is_not_shared_is_found_before_an_experiment_computes(
    in_processes, tmp_path, monkeypatch, capsys, flag
):
    monkeypatch.setattr(processes, "_appears", lambda file: False)
    monkeypatch.setattr(runtime, "start", lambda name: None)
    with loaded("tests.toy_experiment") as (experiment, own):
        experiment = experiment._replace(measure=lambda: pytest.fail("it computes"))
        given = [f"--out={tmp_path / 'out'}", f"{flag}={tmp_path / 'kept'}"]
        line = launching.parse_flags("toy", ["toy", *given])
        assert in_processes(*[lambda: launching.run(experiment, own, line)] * 2) == [2, 2]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    for each in said:
        assert each.startswith(f"toy: {flag} ")
        assert f"must be a folder that all processes share, got {tmp_path / 'kept'}" in each
    assert list(tmp_path.iterdir()) == []


def test_figures_are_the_first_process_s_alone(in_processes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processes, "_appears", lambda file: False)
    monkeypatch.setattr(runtime, "start", lambda name: None)
    with loaded("tests.toy_experiment") as (experiment, own):
        line = launching.parse_flags("toy", ["toy", "--figures_only", f"--out={tmp_path / 'out'}"])
        assert in_processes(*[lambda: launching.run(experiment, own, line)] * 2) == [2, 0]
    (said,) = capsys.readouterr().err.splitlines()
    assert said == f"toy: --figures_only requires results in {tmp_path / 'out'}, and there are none"


def test_a_lost_process_is_said_in_the_place_of_the_runtime_s_error(monkeypatch):
    def lose(row):
        raise ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer")

    from jax.experimental import multihost_utils

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "process_allgather", lose)
    with pytest.raises(ConnectionAbortedError, match="another process has ended; the same call"):
        processes.gather("")


def test_devices_of_another_number_or_kind_are_refused(monkeypatch):
    class Device:
        def __init__(self, process, kind):
            self.process_index, self.platform, self.device_kind = process, "gpu", kind

    devices = [Device(0, "H100"), Device(1, "H100"), Device(1, "A100")]
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "devices", lambda: devices)
    with pytest.raises(ValueError, match="devices: process 0 has 1, process 1 has 2"):
        processes.gather("")
    devices[1:] = [Device(1, "A100")]
    with pytest.raises(ValueError, match='device_kind: process 0 has "H100", process 1 has "A100"'):
        processes.gather("")


def test_one_process_hears_itself():
    assert processes.gather("text") == ["text"]
    assert processes.agree(lambda: {"a": 1}, "one sweep") == {"a": 1}
    assert differences.differences({}, {}, "there", "here") == []
    assert (
        json.dumps(dict(differences.fields("", {"a": {"b": 1}, "c": {}}))) == '{"a.b": 1, "c": {}}'
    )
