"""An interrupted sweep resumes: killed, damaged, out of disk, locked; the bits stay the same."""

import errno
import json
import os
import resource

import pytest
from sweep_runs import (
    AXES,
    assert_same_bits,
    make_small_run,
    record_chunks,
    small_sweep,
    traced_once,
    write,
    write_block_by_block,
)

import initlab
from initlab import probes
from initlab.sweeps import computation, lock, markers, resume, run_sweep, storage

pytestmark = pytest.mark.full_compile


@pytest.fixture(autouse=True, scope="module")
def traced():
    with traced_once():
        yield


@pytest.fixture
def small_chunks(monkeypatch):
    """Fifteen chunks of a block."""
    write_block_by_block(monkeypatch)


@pytest.fixture
def computed(monkeypatch):
    """Numbers of the chunks that are computed."""
    return record_chunks(monkeypatch)


def interrupt_after(monkeypatch, count, error=KeyboardInterrupt):
    """Raises once that many chunks are written."""
    real = computation.compute_chunks

    def interrupted(*arguments):
        for number, each in enumerate(real(*arguments)):
            if number == count:
                raise error
            yield each

    monkeypatch.setattr(resume, "compute_chunks", interrupted)
    return lambda: monkeypatch.setattr(resume, "compute_chunks", real)


@pytest.mark.usefixtures("small_chunks")
def test_ctrl_c_says_what_is_kept_and_the_same_call_goes_on(tmp_path, monkeypatch, computed):
    restore = interrupt_after(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt, match=r"64 of 240 runs are kept in .*/runs, and the"):
        write(tmp_path / "runs")
    restore()
    assert computed == [0, 1, 2, 3]
    # With other devices and another size of chunks: those of the store are kept.
    monkeypatch.setattr(run_sweep, "CHUNK_BLOCKS", 7)
    assert_same_bits(write(tmp_path / "runs"), small_sweep())
    assert computed == list(range(15))


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_without_its_marker_or_with_a_missing_file_is_computed_again(tmp_path, computed):
    out = tmp_path / "runs"
    write(out)
    computed.clear()
    (out / "progress" / "3.json").unlink()
    (out / "loss" / "c" / "3" / "0" / "0" / "0").write_bytes(b"half")
    (out / "distinct_units" / "c" / "7" / "0" / "0" / "0" / "0").unlink()
    # A killed writer's file goes; a person's stays, wherever it is and however it is called.
    (out / "progress" / "initlab-0123456789abcdef.partial").write_bytes(b"half")
    mine = [out / "thesis.partial", out / "progress" / "3.json.77.partial",
            out / "loss" / "c" / "9" / f"0.{'0' * 32}.partial"]  # fmt: skip
    for file in mine:
        file.write_bytes(b"mine")
    assert_same_bits(write(out), small_sweep())
    assert computed == [3, 7]
    assert set(out.rglob("*.partial")) == set(mine)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    "file",
    ["loss/c/3/0/0/0", "progress/3.json", "loss/zarr.json", "zarr.json", "seed/c/0",
     "progress/zarr.json"],
)  # fmt: skip
def test_a_damaged_file_is_named_and_removing_it_mends_the_store(tmp_path, file):
    out = tmp_path / "runs"
    write(out)
    damaged = out / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match=f"{damaged} is damaged.*; remove it, and the same call"):
        write(out)
    damaged.unlink()
    results = write(out)
    assert_same_bits(results, small_sweep())
    assert results.attrs["complete"]


def test_a_damaged_record_is_named(tmp_path):
    write(tmp_path / "runs")
    record = tmp_path / "runs" / "progress" / "sweep.json"
    record.write_text(record.read_text()[:100])
    with pytest.raises(ValueError, match=r"sweep.json is damaged .*restore it from a copy, or"):
        write(tmp_path / "runs")
    record.write_text(json.dumps({"chunk": [1]}))
    with pytest.raises(ValueError, match=r"sweep.json is damaged \(it lacks \['checksums',"):
        write(tmp_path / "runs")


def test_a_store_whose_making_was_interrupted_is_made_again(tmp_path, computed):
    write(tmp_path / "runs", axes=AXES | {"scale": [0.1, 0.2]})
    computed.clear()
    # As if killed before the record was written: another sweep may take the folder.
    (tmp_path / "runs" / "progress" / "sweep.json").unlink()
    assert_same_bits(write(tmp_path / "runs"), small_sweep())
    assert computed == [0]


def test_a_file_that_cannot_be_written_is_named_and_the_sweep_goes_on_once_it_can(tmp_path):
    run = make_small_run(steps=20, every=1, measured=(probes.weight_norm,))
    axes = AXES | {"seed": range(256)}
    reference = initlab.sweep(run, axes, block=64, progress=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(
            OSError, match=r"too large; finished chunks are kept.*weight_norm/c/0/0"
        ):
            write(tmp_path / "runs", run, axes, block=64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert markers.marked_numbers(storage.open_storage(tmp_path / "runs")) == set()
    results = write(tmp_path / "runs", run, axes, block=64)
    assert_same_bits(results, reference)


def test_a_full_disk_while_the_store_is_made_is_named_too(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    try:
        with pytest.raises(OSError, match=r"File too large: .*/runs/"):
            write(tmp_path / "runs")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_same_bits(write(tmp_path / "runs"), small_sweep())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file/runs"):
        write(tmp_path / "file" / "runs")


def test_a_folder_that_may_not_be_made_is_named(tmp_path, monkeypatch):
    def refuse(path, *mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # Permissions do not bind root, who may run the tests.
    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(PermissionError, match=str(tmp_path / "runs")):
        write(tmp_path / "runs")


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path):
    out = tmp_path / "runs"
    write(out)
    with (
        lock.take_lock(out / "progress" / "lock"),
        pytest.raises(OSError, match=rf"another sweep is writing here \(process {os.getpid()} on "),
    ):
        write(out)
    assert_same_bits(write(out), small_sweep())


def test_the_processes_of_one_sweep_hold_its_lock_together(tmp_path):
    path = tmp_path / "runs" / "progress" / "lock"
    path.parent.mkdir(parents=True)
    with lock.take_lock(path) as first:
        with pytest.raises(BlockingIOError, match=f"{tmp_path}/runs"):
            lock.take_lock(path, shared=True)
        first.share()
        with lock.take_lock(path, shared=True), pytest.raises(BlockingIOError):
            lock.take_lock(path)
    lock.take_lock(path).close()
