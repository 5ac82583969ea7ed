"""Where a store lies: what is taken for a folder or a URL, and files that are written whole."""

import ast
import errno
from pathlib import Path

import pytest
from sweep_runs import assert_same_bits, small_sweep, traced_once, write

from initlab.sweeps import local_storage, lock, zarr_store
from initlab.sweeps.storage import ReadOnly, open_storage

pytestmark = pytest.mark.full_compile


@pytest.fixture(autouse=True, scope="module")
def traced():
    with traced_once():
        yield


@pytest.mark.parametrize(
    ("out", "name"),
    [
        ("runs.zarr", "{cwd}/runs.zarr"),
        ("~/runs", "{home}/runs"),
        (Path("~") / "runs", "{home}/runs"),
        ("./~/runs", "{cwd}/~/runs"),
        ("file:///a/my%20runs", "/a/my runs"),
        ("file://localhost/a", "/a"),
        ("a:b/runs", "{cwd}/a:b/runs"),
        ("memory://runs/a/", "memory://runs/a"),
    ],
)
def test_a_path_or_a_url_is_taken_as_meant(out, name):
    expected = name.format(cwd=Path.cwd(), home=Path.home())
    assert open_storage(out).name == expected


@pytest.mark.parametrize(
    ("out", "error", "said"),
    [
        ("", ValueError, "must be a folder's path or a URL, got ''"),
        ("a\0b", ValueError, r"must be a folder's path or a URL, got 'a\\x00b'"),
        ("a\nb", ValueError, "must be a folder's path or a URL"),
        (5, TypeError, "must be a folder's path or a URL, got 5"),
        (b"runs", TypeError, "must be a folder's path or a URL, got b'runs'"),
        ("https://host/runs", ValueError, r"begin with one of file://, s3://, gs://, memory://"),
        ("S4://bucket/runs", ValueError, "begin with one of"),
        ("hdfs://host/runs", ValueError, "begin with one of"),
        (Path("s3://bucket/runs"), ValueError, "a Path drops one of the slashes"),
        (Path("file:///runs"), ValueError, "a Path drops one of the slashes"),
        ("file://host/runs", ValueError, "must be file:///folder"),
        ("s3://", ValueError, "must be s3://bucket/prefix"),
        ("gs:///runs", ValueError, "must be gs://bucket/prefix"),
        ("s3://bucket/../other", ValueError, "must be s3://bucket/prefix"),
        ("s3://bucket//runs", ValueError, "must be s3://bucket/prefix"),
        ("s3://key:secret@bucket/runs", ValueError, "must be s3://bucket/prefix"),
        ("s3://bucket/runs?versionId=3", ValueError, "must be s3://bucket/prefix"),
        ("~nobody-of-this-name/runs", ValueError, "in a home folder that exists"),
    ],
)
def test_anything_else_is_refused_before_anything_is_traced(out, error, said):
    with pytest.raises(error, match=said):
        open_storage(out)
    with pytest.raises(error, match=said):
        write(out, run=None)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    storage = open_storage(tmp_path / "runs")
    storage.write("loss/c/0", b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_storage.os, "replace", fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*/runs/loss/c/0'"):
        storage.write("loss/c/0", b"new")
    assert sorted(storage.names()) == ["loss/c/0"]
    assert storage.read("loss/c/0") == b"old"
    assert storage.read("loss/c/0/1") is None


def test_a_lost_lock_is_made_anew_where_no_writer_lives(tmp_path):
    out = tmp_path / "runs"
    write(out)
    (out / "progress" / "lock").unlink()
    assert_same_bits(write(out), small_sweep())
    assert (out / "progress" / "lock").exists()
    with lock.take_lock(out / "progress" / "lock"):
        (out / "progress" / "lock").unlink()
        with pytest.raises(BlockingIOError, match="another sweep is writing here"):
            write(out)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_finished_store_opens_where_nobody_may_write(tmp_path, monkeypatch, code):
    out = tmp_path / "runs"
    write(out)

    # Permissions do not bind root, who may run the tests.
    def refuse(path, *_, **__):
        raise OSError(code, "refused", str(path))

    monkeypatch.setattr(local_storage, "take_lock", refuse)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    assert_same_bits(write(out), small_sweep())
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before
    with pytest.raises(OSError, match="refused"):
        write(tmp_path / "none")
    (out / "loss" / "c" / "0" / "0" / "0" / "0").unlink()
    with pytest.raises(OSError, match=r"refused; .*/runs/.* would have to be written"):
        write(out)


def test_what_may_only_be_read_is_not_written(tmp_path):
    storage = ReadOnly(open_storage(tmp_path), PermissionError(errno.EACCES, "refused", "lock"))
    for act in (lambda: storage.write("a", b""), lambda: storage.delete("a"), storage.take_lock):
        with pytest.raises(PermissionError, match="refused"):
            act()
    storage.clean()
    assert list(tmp_path.iterdir()) == []


def test_a_lost_record_makes_chunks_nobody_s(tmp_path):
    """Another sweep in the same folder does not take them for its own."""
    out = tmp_path / "runs"
    write(out, axes={"seed": range(60), "scale": [0.5, 0.0], "learning_rate": [0.1, 1.0]})
    (out / "progress" / "sweep.json").unlink()
    (out / "notes.txt").write_text("mine")
    assert_same_bits(write(out), small_sweep())
    assert (out / "notes.txt").read_text() == "mine"
    assert zarr_store.is_made(open_storage(out))


def test_only_a_store_s_functions_load_zarr_and_obstore():
    for file in Path(zarr_store.__file__).parent.glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [each.name for each in node.names] + [getattr(node, "module", None) or ""]
                assert not any(name.startswith(("zarr.", "obstore")) for name in names), file
                assert "zarr" not in names, file
