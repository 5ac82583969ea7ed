"""A sweep's store in an object store: S3 on the loopback, and memory; the bits stay the same."""

import functools
import itertools
import json
import os
import socket
import sys
import threading
import time

import jax
import numpy as np
import pytest
import xarray
from forks import finish, start_module
from sweep_runs import (
    AXES,
    assert_same_bits,
    record_chunks,
    small_run,
    traced_once,
    write,
    write_block_by_block,
)
from thorough import IS_THOROUGH

import initlab
from initlab.sweeps import lease, markers, processes
from initlab.sweeps.object_storage import ObjectStorage
from initlab.sweeps.storage import open_storage

pytestmark = pytest.mark.full_compile

SMALL = AXES | {"seed": range(8)}
"""Two chunks of a block."""


NUMBERS = itertools.count()


@functools.cache
def reference():
    return initlab.sweep(small_run(), SMALL, block=16, progress=False)


@pytest.fixture(scope="module")
def running():
    # Each process that collects would import moto and boto3.
    from s3_server import Server

    server = Server()
    with traced_once(), pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        server.make_bucket("bucket")
        yield server
    server.stop()


@pytest.fixture(scope="module")
def google(tmp_path_factory):
    from gcs_server import GoogleServer

    server = GoogleServer()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(tmp_path_factory.mktemp("google")).items():
            patch.setenv(name, value)
        yield server
    server.stop()


@pytest.fixture
def server(running, monkeypatch):
    """The server with nothing wrong; locks of the dead are stale soon."""
    running.answer = lambda method, path: None
    monkeypatch.setattr(lease, "HEARTBEAT", 0.1)
    monkeypatch.setattr(lease, "EXPIRY", 0.3)
    yield running
    running.answer = lambda method, path: None


@pytest.fixture
def out(request):
    return f"s3://bucket/{request.node.originalname}-{next(NUMBERS)}"


@pytest.fixture(autouse=True)
def small_chunks(running, monkeypatch):
    write_block_by_block(monkeypatch)


@pytest.fixture
def computed(monkeypatch):
    """Numbers of the chunks that are computed."""
    return record_chunks(monkeypatch)


def refusing_puts(word, status):
    """An answer that refuses writes to what has a word in its name."""
    return lambda method, path: status if method == "PUT" and word in path else None


@pytest.mark.parametrize("scheme", ["s3", "gs", "memory"])
def test_a_store_of_objects_has_the_bits_of_a_sweep_in_memory(server, google, scheme, computed):
    out = f"{scheme}://bucket/same"
    assert_same_bits(write(out, axes=SMALL), reference())
    assert computed == [0, 1]
    again = write(out + "/", axes=SMALL)
    assert again.attrs["complete"]
    assert not again["loss"].variable._in_memory
    assert_same_bits(again, reference())
    assert computed == [0, 1]
    # Plain xarray reads it by Zarr's own store.
    with xarray.open_zarr(open_storage(out).zarr_store(), chunks=None) as plain:
        np.testing.assert_array_equal(plain["loss"], reference()["loss"])


def test_a_local_store_has_the_same_files(server, out, tmp_path):
    write(out, axes=SMALL)
    write(tmp_path / "runs", axes=SMALL)
    far, near = open_storage(out), open_storage(tmp_path / "runs")
    assert sorted(far.names()) == sorted(near.names())
    for name in near.names():
        if not name.startswith("progress/") and name != "zarr.json":
            assert far.read(name) == near.read(name), name


KILLED_AT = ["/loss/c/1/", *(("/progress/1.json", "/progress/sweep.json") if IS_THOROUGH else ())]


@pytest.mark.parametrize("word", KILLED_AT)
def test_a_killed_writer_s_store_goes_on_once_its_lock_is_stale(server, out, computed, word):
    dead = threading.Event()

    def answer(method, path):
        if method == "PUT" and word in path:
            child.kill()
            dead.set()
            return 503
        return None

    server.answer = answer
    child, said = start_module("s3_worker", out, len(SMALL["seed"]), full_compile=True)
    is_dead = dead.wait(20)
    child.kill()
    ended = finish((child, said))
    assert is_dead, ended.stderr
    server.answer = lambda method, path: None
    kept = markers.marked_numbers(open_storage(out))
    assert kept == (set() if "sweep" in word else {0})
    began = time.monotonic()
    assert_same_bits(write(out, axes=SMALL), reference())
    assert time.monotonic() - began > lease.EXPIRY
    assert computed == sorted({0, 1} - kept)


def shared(out, folder, *more):
    """What two processes of an experiment say that share a bucket and have folders of their own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = (
        f"--sweeps={out}", f"--coordinator_address={address}", "--num_processes=2",
        "--compilation_cache_dir=", "--block=16", *more,
    )  # fmt: skip
    started = [
        start_module("shared_experiment", *common, f"--out={folder / str(n)}", f"--process_id={n}")
        for n in range(2)
    ]
    return [finish(each) for each in started]


# Each part is in every run: two processes share a folder, and writers share a bucket.
@pytest.mark.thorough
def test_two_processes_of_an_experiment_share_a_bucket_and_no_folder(server, out, tmp_path):
    written = []
    server.answer = lambda method, path: written.append(path) if method == "PUT" else None
    first, second = shared(out, tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    # Each chunk was written once, by one of them.
    chunks = [path for path in written if "/loss/c/" in path]
    assert len(chunks) == len(set(chunks)) > 1
    results = xarray.open_zarr(open_storage(f"{out}/runs.zarr").zarr_store(), chunks=None)
    assert results.attrs["complete"]
    assert results.attrs["flags"]["sweeps"] == out
    # So was each cell.
    cells = [path for path in written if "/cells/" in path]
    assert len(cells) == len(set(cells)) == 2
    # The first alone writes files, and says so.
    assert "results, summary and figure are in" in first.stdout
    # What the processes' runtime says of itself aside.
    assert [line for line in second.stdout.splitlines() if not line.startswith("[Gloo]")] == []
    record = json.loads((tmp_path / "0" / "run.json").read_text())
    assert (record["devices"]["processes"], record["finished"]) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} == {"0"}
    assert not {"sweeps", "cells"} & {path.name for path in (tmp_path / "0").iterdir()}
    # The first draws them again, and the second does nothing.
    (tmp_path / "0" / "summary.json").unlink()
    assert [each.returncode for each in shared(out, tmp_path, "--figures_only")] == [0, 0]
    assert (tmp_path / "0" / "summary.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"0"}


def test_a_second_writer_is_refused_while_the_first_lives(server, out):
    with (
        open_storage(out).take_lock(),
        pytest.raises(BlockingIOError, match=rf"writing here \(process {os.getpid()} on .*{out}"),
    ):
        write(out, axes=SMALL)
    # Released, it is taken at once.
    began = time.monotonic()
    assert_same_bits(write(out, axes=SMALL), reference())
    assert time.monotonic() - began < 20


def test_google_s_generations_keep_two_writers_apart(server, google):
    storage = open_storage("gs://bucket/lock")
    with storage.take_lock() as held:
        assert isinstance(held, lease.Lease)
        held._renew()
        with pytest.raises(BlockingIOError, match="gs://bucket/lock"):
            open_storage("gs://bucket/lock").take_lock()
        held.check()
    assert list(storage.names("progress")) == ["progress/lock"]
    storage.delete("progress/lock")
    assert storage.read("progress/lock") is None


def test_a_writer_that_was_away_does_not_write_once_its_lock_is_taken(server, out):
    away = open_storage(out).take_lock()
    assert isinstance(away, lease.Lease)
    away._stop.set()
    with open_storage(out).take_lock():
        away._renew()
        with pytest.raises(OSError, match=r"the lock was taken over \(process .*progress/lock"):
            away.check()
    # It does not release what is another's, and holds again what nobody took.
    away.close()
    with open_storage(out).take_lock() as held:
        assert isinstance(held, lease.Lease)
        held._stop.set()
        held._renewed -= 100
        held.check()


def test_lost_slow_and_refused_answers_change_no_bit(server, out, computed):
    requests = []

    def answer(method, path):
        requests.append(path)
        if method == "PUT" and len(requests) % 7 == 0:
            return "lost" if "lock" in path else 503
        time.sleep(0.005)
        return None

    server.answer = answer
    assert_same_bits(write(out, axes=SMALL), reference())
    assert computed == [0, 1]


def test_a_lock_is_held_whose_answer_was_lost(server, out):
    lost = []

    def answer(method, path):
        if method == "PUT" and not lost:
            lost.append(path)
            return "lost"
        return None

    server.answer = answer
    with open_storage(out).take_lock() as held:
        assert isinstance(held, lease.Lease)
        assert len(lost) == 1
        lost.clear()
        held._renew()
        held.check()
        assert len(lost) == 1


def test_a_service_that_ignores_conditions_is_refused(server, out, monkeypatch):
    def unconditional(storage, name, content, version):
        storage.write(name, content)
        return {"e_tag": "any"}

    monkeypatch.setattr(ObjectStorage, "write_if", unconditional)
    with pytest.raises(OSError, match="ignores the conditions of writes"):
        open_storage(out).take_lock()


def test_a_token_that_fails_is_named_and_the_same_call_goes_on(server, out, computed):
    server.answer = refusing_puts("/loss/c/1", 403)
    with pytest.raises(PermissionError, match=rf"finished chunks are kept.*{out}/loss/c/1/0/0/0"):
        write(out, axes=SMALL)
    assert markers.marked_numbers(open_storage(out)) == {0}
    server.answer = lambda method, path: None
    assert_same_bits(write(out, axes=SMALL), reference())
    assert computed == [0, 1, 1]


def test_a_token_that_only_reads_opens_a_finished_store_and_makes_none(server, out):
    write(out, axes=SMALL)
    server.answer = refusing_puts("", 403)
    assert_same_bits(write(out, axes=SMALL), reference())
    with pytest.raises(PermissionError, match="s3://bucket/none/progress/lock"):
        write("s3://bucket/none", axes=SMALL)
    server.answer = lambda method, path: None
    open_storage(out).delete("progress/1.json")
    server.answer = refusing_puts("", 403)
    with pytest.raises(PermissionError, match=r"1.* would have to be written"):
        write(out, axes=SMALL)


def test_a_damaged_object_another_sweep_and_other_objects_are_refused(server, out):
    storage = open_storage(out)
    storage.write("thesis.txt", b"mine")
    with pytest.raises(ValueError, match=f"empty or a sweep's folder; {out} holds other files"):
        write(out, axes=SMALL)
    storage.delete("thesis.txt")
    write(out, axes=SMALL)
    with pytest.raises(ValueError, match=r"holds another sweep(?s:.*)scale: there \[0.0, 0.5\]"):
        write(out, axes=SMALL | {"scale": [0.0, 0.25]})
    content = storage.read("loss/c/0/0/0/0") or b""
    storage.write("loss/c/0/0/0/0", content[:-1])
    with pytest.raises(ValueError, match=f"{out}/loss/c/0/0/0/0 is damaged.*; remove it, and"):
        write(out, axes=SMALL)
    storage.delete("loss/c/0/0/0/0")
    assert_same_bits(write(out, axes=SMALL), reference())


def test_a_bucket_that_is_not_there_is_named(server):
    with pytest.raises(FileNotFoundError, match="s3://nobody/runs"):
        write("s3://nobody/runs", axes=SMALL)


def test_without_obstore_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ImportError, match=r'requires obstore: pip install "initlab\[cloud\]"'):
        write("s3://bucket/runs", axes=SMALL)


def test_several_processes_do_not_share_a_memory(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="what all processes share, got memory://x"):
        processes.check_storage(open_storage("memory://x"))
