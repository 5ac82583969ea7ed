"""Cells of a long table: stored to the last bit, found once, found again when code changes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.harness import checkpoints
from initlab.sweeps import provenance
from initlab.sweeps.storage import open_storage

TABLE = [{"model": "deep", "depth": depth} for depth in (1, 2, 3)]
VALUES = {
    "loss": np.asarray([[1 / 3, np.nan], [np.inf, -0.0]]),
    "steps": np.asarray(20000),
    "held": np.asarray([True, False]),
    "verdict": np.asarray("fail"),
}


class Finder:
    """Gives every cell values of its own, counts the calls, and may be stopped at one."""

    def __init__(self, stop=None, name="Finder"):
        # A function's, which its cells hold.
        self.__qualname__ = name
        self.stop = stop
        self.calls = []

    def __call__(self, cell):
        if cell == self.stop:
            raise KeyboardInterrupt
        self.calls.append(cell["depth"])
        return VALUES | {"loss": VALUES["loss"] * cell["depth"]}


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys() == VALUES.keys()
        for name, value in one.items():
            assert value.dtype == other[name].dtype
            assert value.tobytes() == other[name].tobytes()


def test_an_interrupted_table_goes_on_and_is_the_uninterrupted_one(tmp_path):
    whole = checkpoints.fill(tmp_path / "whole", TABLE, Finder())
    with pytest.raises(KeyboardInterrupt, match=r"2 of 3 cells are kept in .*parts"):
        checkpoints.fill(tmp_path / "parts", TABLE, Finder(stop=TABLE[2]))
    rest = Finder()
    assert_same(checkpoints.fill(tmp_path / "parts", TABLE, rest), whole)
    assert rest.calls == [3]
    again = Finder()
    assert_same(checkpoints.fill(tmp_path / "parts", TABLE, again), whole)
    assert again.calls == []
    assert not list(tmp_path.rglob("*.partial"))


def test_cells_lie_in_an_object_store_too(tmp_path):
    home = "memory://cells-of-a-table"
    with pytest.raises(KeyboardInterrupt, match=f"2 of 3 cells are kept in {home}; the same call"):
        checkpoints.fill(home, TABLE, Finder(stop=TABLE[2]))
    rest = Finder()
    found = checkpoints.fill(home, TABLE, rest)
    assert rest.calls == [3]
    assert_same(found, checkpoints.fill(tmp_path, TABLE, Finder()))
    name, other, *_ = sorted(open_storage(home).names())
    open_storage(home).write(name, open_storage(home).read(other) or b"")
    with pytest.raises(ValueError, match=f"{home}/{name} holds another cell.*; remove it, and"):
        checkpoints.fill(home, TABLE, rest)


def test_tables_of_two_experiments_with_one_home_and_equal_cells_are_two(tmp_path):
    one, other = Finder(), Finder(name="another")
    checkpoints.fill(tmp_path, TABLE, one)
    checkpoints.fill(tmp_path, TABLE, other)
    assert one.calls == other.calls == [1, 2, 3]


def test_what_a_killed_process_was_writing_does_not_count(tmp_path):
    checkpoints.fill(tmp_path, TABLE[:1], Finder())
    (file,) = tmp_path.glob("*.npz")
    file.rename(file.with_suffix(".partial"))
    finder = Finder()
    checkpoints.fill(tmp_path, TABLE[:1], finder)
    assert finder.calls == [1]


def test_only_new_cells_are_found_and_each_is_in_its_place(tmp_path):
    checkpoints.fill(tmp_path, TABLE[:2], Finder())
    finder = Finder()
    found = checkpoints.fill(tmp_path, [TABLE[2], TABLE[1], {**TABLE[0], "steps": 5}], finder)
    assert finder.calls == [3, 1]
    assert [each["loss"][0, 0] for each in found] == [1.0, 2 / 3, 1 / 3]


@pytest.mark.parametrize("part", ["versions", "device"])
def test_another_package_or_device_makes_all_cells_new(tmp_path, monkeypatch, part):
    checkpoints.fill(tmp_path, TABLE, Finder())
    monkeypatch.setattr(provenance, part, lambda: {"jax": "another"})
    finder = Finder()
    checkpoints.fill(tmp_path, TABLE, finder)
    assert finder.calls == [1, 2, 3]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The packages' folders, copied: what is found depends on the copies."""
    folders = {}
    for package in (checkpoints.initlab, checkpoints.experiments):
        folder = tmp_path / "code" / package.__name__
        shutil.copytree(Path(str(package.__file__)).parent, folder)
        monkeypatch.setattr(package, "__file__", str(folder / "__init__.py"))
        folders[package.__name__] = folder
    return folders


def append_a_line(path):
    with path.open("a") as file:
        file.write("# a line\n")


def test_a_changed_line_of_code_makes_all_cells_new(tmp_path, copied):
    finder = Finder()
    checkpoints.fill(tmp_path / "kept", TABLE[:1], finder)
    checkpoints.fill(tmp_path / "kept", TABLE[:1], finder)
    assert finder.calls == [1]
    append_a_line(copied["initlab"] / "symmetry" / "arrays.py")
    checkpoints.fill(tmp_path / "kept", TABLE[:1], finder)
    assert finder.calls == [1, 1]


def test_cells_depend_on_the_code_in_every_folder(copied):
    seen = [checkpoints._code()]
    for folder in copied.values():
        for inner in sorted({path.parent for path in folder.rglob("*.py")}):
            append_a_line(sorted(inner.glob("*.py"))[-1])
            seen.append(checkpoints._code())
    # initlab's rooms and every experiment's folder, each with a digest of its own.
    assert len(set(seen)) == len(seen) > 20


def test_a_cell_is_logged_in_one_short_line(tmp_path, monkeypatch):
    lines = []
    log = checkpoints.logging
    monkeypatch.setattr(log, "info", lambda text, *values: lines.append(text % values))
    long = {"model": "deep", "depth": 1, "rates": list(range(1000))}
    checkpoints.fill(tmp_path, [long, TABLE[1]], Finder())
    # Nothing is logged of cells that were kept.
    checkpoints.fill(tmp_path, [long, TABLE[1]], Finder())
    assert [re.sub(r"[\d.]+ s", "1.0 s", line) for line in lines] == [
        "cell 1/2, 1.0 s: " + lines[0].split(" s: ")[1],
        "cell 2/2, 1.0 s: model=deep, depth=2",
    ]
    assert lines[0].split(" s: ")[1].startswith("model=deep, depth=1, rates=[0, 1, 2,")
    assert all(len(line) <= 110 and "\n" not in line for line in lines)


def test_a_file_says_whose_it_is(tmp_path):
    checkpoints.fill(tmp_path, TABLE[:1], Finder())
    (file,) = tmp_path.glob("*.npz")
    with np.load(file) as kept:
        given = json.loads(kept["given"].item())
    assert given["cell"] == TABLE[0]
    assert given["versions"]["jax"] == provenance.versions()["jax"]
