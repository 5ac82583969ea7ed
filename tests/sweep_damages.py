"""Damages to a sweep's store: each is noticed, or the same bits come back.

python -m tests.sweep_damages --count 200
"""

import argparse
import collections
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from initlab.sweeps import run_sweep
from tests import damages
from tests.sweep_runs import assert_same_bits, small_sweep, traced_once, write

__all__ = ["KINDS", "Store", "damage"]


def copy_of_another(file, random):
    """The content of another file of the store."""
    others = sorted(each for each in _root(file).rglob("*") if each.is_file() and each != file)
    file.write_bytes(others[random.integers(len(others))].read_bytes())


def exchange(file, random):
    """Two files of one kind in each other's place."""
    others = sorted(_root(file).rglob(f"*{file.suffix}"))
    other = [each for each in others if each.is_file() and each != file]
    chosen = other[random.integers(len(other))]
    content = file.read_bytes()
    file.write_bytes(chosen.read_bytes())
    chosen.write_bytes(content)


def delete_folder(file, random):
    """The folder that a file lies in."""
    if file.parent != _root(file):
        shutil.rmtree(file.parent)


KINDS = [
    damages.flip, damages.truncate, damages.empty, damages.append, damages.delete,
    damages.to_folder, damages.to_noise, damages.edit_number, copy_of_another, exchange,
    delete_folder,
]  # fmt: skip


def _root(file):
    return next(parent for parent in file.parents if parent.name == "runs")


class Store:
    """A small sweep's store of four chunks, copied for each damage."""

    def __init__(self, home):
        self.home = Path(home)
        write(self.home / "whole")
        self.files = sorted(
            file.relative_to(self.home / "whole")
            for file in (self.home / "whole").rglob("*")
            if file.is_file() and file.name != "lock"
        )

    def damaged(self, kind, file, random):
        """ "noticed", "same bits", or "wrong", and what was said."""
        out = self.home / "runs"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.home / "whole", out)
        kind(out / file, random)
        try:
            results = write(out)
        except (ValueError, OSError) as error:
            said = str(error)
            return ("noticed" if str(out) in said else "wrong"), said
        try:
            assert_same_bits(results, small_sweep())
            assert results.attrs["complete"] is True
        except AssertionError as error:
            return "wrong", str(error)
        return "same bits", ""


def damage(store, random):
    """One at random; its kind, its file, and what came of it."""
    kind = KINDS[random.integers(len(KINDS))]
    file = store.files[random.integers(len(store.files))]
    return kind.__name__, file, *store.damaged(kind, file, random)


def main(count):
    """Tries so many and says what came of them; 1 if any was wrong."""
    run_sweep.CHUNK_BLOCKS = 1
    random = np.random.default_rng(0)
    results = collections.Counter()
    with tempfile.TemporaryDirectory() as home, traced_once():
        store = Store(home)
        for _ in range(count):
            kind, file, result, said = damage(store, random)
            results[result] += 1
            if result == "wrong":
                print(kind, file, said)
    print(
        f"{count} damages to a store of {len(store.files)} files",
        dict(results),
    )
    return int("wrong" in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    sys.exit(main(parser.parse_args().count))
