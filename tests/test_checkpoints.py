"""Cells of a long table: kept to the last bit, found once, found again when the code changes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.harness import checkpoints
from initlab.sweeps import provenance

TABLE = [{"model": "deep", "depth": depth} for depth in (1, 2, 3)]
VALUES = {
    "loss": np.asarray([[1 / 3, np.nan], [np.inf, -0.0]]),
    "steps": np.asarray(20000),
    "held": np.asarray([True, False]),
    "verdict": np.asarray("fail"),
}


class Finder:
    """Gives every cell values of its own, counts the calls, and may be stopped at one."""

    def __init__(self, stop=None):
        self.stop = stop
        self.calls = []

    def __call__(self, cell):
        if cell == self.stop:
            raise KeyboardInterrupt
        self.calls.append(cell["depth"])
        return VALUES | {"loss": VALUES["loss"] * cell["depth"]}


def assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
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


def test_what_a_killed_process_was_writing_does_not_count(tmp_path):
    checkpoints.fill(tmp_path, TABLE[:1], Finder())
    (file,) = tmp_path.iterdir()
    file.rename(file.with_suffix(".partial"))
    finder = Finder()
    checkpoints.fill(tmp_path, TABLE[:1], finder)
    assert finder.calls == [1]


def test_only_new_cells_are_found_and_each_comes_back_to_its_place(tmp_path):
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


def test_a_changed_line_of_code_makes_all_cells_new(tmp_path, monkeypatch):
    code = tmp_path / "initlab"
    shutil.copytree(Path(checkpoints.initlab.__file__).parent, code)
    monkeypatch.setattr(checkpoints.initlab, "__file__", str(code / "__init__.py"))
    finder = Finder()
    checkpoints.fill(tmp_path / "kept", TABLE[:1], finder)
    checkpoints.fill(tmp_path / "kept", TABLE[:1], finder)
    assert finder.calls == [1]
    with (code / "symmetry" / "arrays.py").open("a") as file:
        file.write("# a line\n")
    checkpoints.fill(tmp_path / "kept", TABLE[:1], finder)
    assert finder.calls == [1, 1]


def test_a_file_says_whose_it_is(tmp_path):
    checkpoints.fill(tmp_path, TABLE[:1], Finder())
    (file,) = tmp_path.iterdir()
    with np.load(file) as kept:
        given = json.loads(kept["given"].item())
    assert given["cell"] == TABLE[0]
    assert given["versions"]["jax"] == provenance.versions()["jax"]
