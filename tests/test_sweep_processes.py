"""Several local processes on one sweep, meeting through jax.distributed."""

import re
import time

import jax
import pytest
from forks import run_module
from sweep_runs import AXES, assert_same_bits, small_run, small_sweep

import initlab
from initlab.sweeps import processes

pytestmark = pytest.mark.full_compile


def work(tmp_path, *flags):
    return run_module("sweep_worker", tmp_path / "runs", tmp_path / "cache", *flags)


def test_two_processes_give_the_bits_of_one(tmp_path):
    said = work(tmp_path, "--processes=2", "--devices=2")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("complete: True") == 2
    assert said.stdout.count("'count': 4, 'processes': 2") == 2
    results = initlab.sweep(small_run(), AXES, block=16, out=tmp_path / "runs", progress=False)
    assert_same_bits(results, small_sweep())


def test_one_of_two_processes_is_killed_and_one_alone_finishes(tmp_path):
    said = work(tmp_path, "--processes=2", "--kill_one", "--seeds=400")
    assert said.returncode == 0, said.stderr
    (listed,) = re.findall(r"before the resume: \[(.*)\]", said.stdout)
    finished = {int(number) for number in listed.split(", ")}
    # The survivor computed its whole share, and nothing of the other's.
    assert set(range(0, 100, 2)) <= finished
    assert len(finished) < 100
    axes = AXES | {"seed": range(400)}
    results = initlab.sweep(small_run(), axes, block=16, out=tmp_path / "runs", progress=False)
    assert_same_bits(results, initlab.sweep(small_run(), axes, block=16, progress=False))


def test_where_the_first_process_refuses_all_do_and_none_waits(tmp_path):
    other = AXES | {"scale": [0.0, 0.25]}
    initlab.sweep(small_run(), other, block=16, out=tmp_path / "runs", progress=False)
    began = time.monotonic()
    said = work(tmp_path, "--processes=2")
    assert said.returncode == 2
    assert "process 0 refuses:" in said.stderr
    assert "process 1 refuses: process 0 raised:" in said.stderr
    assert said.stderr.count("scale: there [0.0, 0.25], here [0.0, 0.5]") == 2
    assert time.monotonic() - began < 120


def test_several_processes_want_a_folder(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="several processes requires out"):
        initlab.sweep(small_run(), AXES, progress=False)


def test_one_process_decides_alone():
    def refuse():
        raise OSError("no")

    processes.first_decides(lambda: None)
    with pytest.raises(OSError, match="no"):
        processes.first_decides(refuse)
    assert processes.count_failures(True) == 1
    assert processes.count_failures(False) == 0
