"""Damage to what an experiment keeps: every one is noticed, or changes no number.

`python -m tests.damages --count 200` tries so many, and says what came of them.
"""

import argparse
import collections
import contextlib
import io
import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.command_lines import call, loaded

CURES = ("remove it", "restore", "measure anew", "leave it out", "give a new folder")


class Outcome(NamedTuple):
    """What came of a damage: "noticed", "same numbers", or "wrong" with the reason."""

    damage: str
    call: str
    result: str
    said: str


def flip(path, random):
    content = bytearray(path.read_bytes())
    if content:
        content[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(content)


def truncate(path, random):
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))] if content else content)


def empty(path, random):
    path.write_bytes(b"")


def append(path, random):
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 9))))


def delete(path, random):
    path.unlink()


def to_folder(path, random):
    path.unlink()
    path.mkdir()


def to_noise(path, random):
    path.write_bytes(random.bytes(len(path.read_bytes())))


def edit_number(path, random):
    """Another digit in the text of a JSON file; in any other file, other bytes in the middle."""
    content = path.read_bytes()
    places = [match.start() for match in re.finditer(rb"\d", content)]
    if path.suffix != ".json" or not places:
        return to_noise(path, random)
    place = places[random.integers(len(places))]
    digit = (int(chr(content[place])) + 1 + int(random.integers(8))) % 10
    path.write_bytes(content[:place] + str(digit).encode() + content[place + 1 :])


def drop_entry(path, random):
    """An entry less in a JSON object; in any other file, a byte less."""
    if path.suffix != ".json":
        content = path.read_bytes()
        return path.write_bytes(content[1:])
    record = json.loads(path.read_text())
    inner = [record, *(each for each in record.values() if isinstance(each, dict))]
    chosen = inner[random.integers(len(inner))]
    if chosen:
        del chosen[sorted(chosen)[random.integers(len(chosen))]]
    path.write_text(json.dumps(record))


def exchange(path, random):
    """Two files of one kind, each in the other's place."""
    if path.suffix == ".npz":
        others = sorted(path.parent.glob("*.npz"))
    else:
        others = sorted(path.parents[2].rglob(path.name))
    others = [each for each in others if each != path and each.is_file()]
    if others:
        other = others[random.integers(len(others))]
        mine, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(mine)


def other_values(path, random):
    """A valid file of other values: a cell that NumPy wrote again; else a copy as a new chunk."""
    if path.suffix != ".npz":
        return shutil.copy(path, path.with_name("1"))
    with np.load(path) as kept:
        values = dict(kept)
    np.savez(path, **{**values, "loss": values["loss"] + random.normal()})


def of_another_run(path, random):
    """The same file of a run with other flags."""
    folder = next(each for each in path.parents if each.name == "out")
    other = folder.with_name("other") / path.relative_to(folder)
    if path.suffix == ".npz":
        other = sorted(other.parent.glob("*.npz"))[0]
    shutil.copy(other, path)


def whole_store(path, random):
    """The whole results.zarr of a run with other flags."""
    folder = next(each for each in path.parents if each.name == "out")
    shutil.rmtree(folder / "results.zarr")
    shutil.copytree(folder.with_name("other") / "results.zarr", folder / "results.zarr")


DAMAGES = (
    *(flip, flip, truncate, empty, append, delete, to_folder, to_noise, edit_number, drop_entry),
    *(exchange, other_values, of_another_run, whole_store),
)


class Runs:
    """The toy experiment's folder, and one of a run with other flags, in a folder of their own."""

    def __init__(self, experiment, own, home):
        self.experiment, self.own, self.home = experiment, own, home
        for name, flags in (("out", ()), ("other", ("--size=4", "--scale=1,2,8"))):
            status, said, _ = self.call(home / "whole" / name, *flags)
            assert status == 0, said
        self.files = [
            each.relative_to(home / "whole" / "out")
            for each in sorted((home / "whole" / "out").rglob("*"))
            if each.is_file() and each.name not in ("summary.json", "figure.png", "figure.svg")
        ]
        self.expected = self.numbers(home / "whole" / "out")

    def call(self, out, *flags):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status, said = call(self.experiment, self.own, [*flags, f"--out={out}"])
        lines = [line for line in said.splitlines() if not re.match(r"I\d{4} ", line)]
        return status, "\n".join(lines), printed.getvalue()

    def numbers(self, out):
        return (out / "summary.json").read_text()

    def try_damage(self, damage, file, random):
        """Damages a copy and asks for the figures; another, and measures again."""
        # A sequence of its own: both copies are damaged alike.
        state = random.bit_generator.state
        for name, flags in (("figures", ("--figures_only",)), ("measure", ())):
            place = self.home / "damaged"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.home / "whole", place)
            random.bit_generator.state = state
            out = place / "out"
            damage(out / file, random)
            (out / "summary.json").unlink()
            status, said, _ = self.call(out, *flags)
            yield Outcome(f"{damage.__name__} {file}", name, self.judge(status, said, out), said)

    def judge(self, status, said, out):
        if status == 0:
            same = self.numbers(out) == self.expected
            return "same numbers" if same else "wrong: other numbers without a word"
        names_it = str(out) in said and any(cure in said for cure in CURES)
        if status == 2 and said.count("\n") == 0 and names_it:
            return "noticed"
        return f"wrong: status {status}, or a line without the file and the cure"


def outcomes(count, home, seed=0):
    """So many damages, every kind on every kind of file in turn."""
    random = np.random.default_rng(seed)
    with loaded("tests.toy_experiment") as (experiment, own):
        runs = Runs(experiment, own, home)
        pairs = [(damage, file) for file in runs.files for damage in DAMAGES]
        order = random.permutation(len(pairs))
        for number in range(count):
            damage, file = pairs[order[number % len(pairs)]]
            yield from runs.try_damage(damage, file, random)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        found = list(outcomes(given.count, Path(home).resolve(), given.seed))
    wrong = [each for each in found if each.result.startswith("wrong")]
    for each in wrong:
        print(*each, sep="\n  ")
    counts = collections.Counter((each.call, each.result.partition(":")[0]) for each in found)
    for (name, result), number in sorted(counts.items()):
        print(f"{name}: {result}: {number}")
    print(f"{given.count} damages, {len(wrong)} wrong, {time.monotonic() - began:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
