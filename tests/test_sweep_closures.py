"""The digest of a function says all that it computes with, and is the same in every process."""

import collections
import dataclasses
import enum
import functools
import math
import subprocess
import sys
import threading
import types

import jax
import numpy as np
import pytest

from initlab.sweeps.closures import digest

CONSTANTS = types.ModuleType("constants")


def helper(x):
    return x + 1


@dataclasses.dataclass
class Scaled:
    by: float

    def __call__(self, x):
        return self.by * x

    @property
    def twice(self):
        return 2 * self.by

    @classmethod
    def one(cls):
        return cls(1.0)


class Kind(enum.Enum):
    ONE = 1


Pair = collections.namedtuple("Pair", "a b")


def closing_over(value):
    return lambda x: (value, x)


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)


ALIKE = [
    lambda: closing_over(2.0),
    lambda: closing_over(np.arange(3.0)),
    lambda: closing_over({"a": [1, (2, {3, "b", "c"})]}),
    lambda: closing_over(Scaled(0.5)),
    lambda: Scaled(0.5).__call__,
    lambda: functools.partial(helper, 3),
    lambda: closing_over(jax.jit(helper)),
    lambda: closing_over(np.random.default_rng(3)),
    lambda: closing_over((Kind.ONE, Pair(1, 2), Scaled.one, math.sin, np.sin, jax.nn.relu)),
    lambda: functools.lru_cache(helper),
    lambda: lambda x: helper(x),
    lambda: recursive,
    lambda: closing_over(collections.OrderedDict(a=1)),
]


@pytest.mark.parametrize("make", ALIKE)
def test_the_same_code_and_numbers_have_one_digest(make):
    assert digest(make()) == digest(make())


def test_every_number_counts():
    functions = [
        closing_over(each)
        for each in (
            2.0, 2, True, "2", None, np.float32(2), np.arange(3.0), np.arange(3), np.ones((1, 3)),
            [1, 2], (1, 2), [2, 1], {"a": 1}, {"a": 2}, {1, 2}, frozenset({1, 2}), Scaled(1.0),
            Scaled(2.0), helper, math.sin, math.cos, np.random.default_rng(3),
            np.random.default_rng(4), Kind.ONE, functools.partial(helper, 1),
            functools.partial(helper, 2), Scaled(1.0).__call__, -0.0, 0.0, float("nan"),
        )
    ]  # fmt: skip
    digests = [digest(each) for each in functions]
    assert len(set(digests)) == len(digests)


def test_code_defaults_and_globals_count(monkeypatch):
    plain, other = (lambda x: x + 1), (lambda x: x + 2)
    assert digest(plain) != digest(other)
    assert digest(lambda x, by=1: x * by) != digest(lambda x, by=2: x * by)
    calls = lambda x: helper(x)  # noqa: E731
    before = digest(calls)
    monkeypatch.setitem(globals(), "helper", lambda x: x + 5)
    assert digest(calls) != before
    takes = lambda x: x * CONSTANTS.rate  # noqa: E731 # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(CONSTANTS, "rate", 0.1, raising=False)
    before = digest(takes)
    monkeypatch.setattr(CONSTANTS, "rate", 0.2)
    assert digest(takes) != before


def test_what_has_no_lasting_description_is_refused():
    with pytest.raises(
        ValueError, match=r"computes with <unlocked _thread.lock .*cannot be pickled"
    ):
        digest(closing_over(threading.Lock()))


def test_another_process_finds_the_same():
    code = (
        "import sys; sys.path[:0] = ['tests', '.']; import test_sweep_closures as t;"
        "print(*(t.digest(make()) for make in t.ALIKE))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "7", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert said.stdout.split() == [digest(make()) for make in ALIKE]
