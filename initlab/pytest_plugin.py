"""The pytest plugin of initlab: a fixture that asserts a sound start, and an option for its seeds.

Pytest imports it in every run, also of projects that only happen to have initlab installed: JAX is
loaded by the tests that use the fixture alone.
"""

import argparse
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["assert_sound_start", "pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --initlab-seeds."""
    parser.getgroup("initlab").addoption(
        "--initlab-seeds",
        type=_count,
        metavar="N",
        help="starts that assert_sound_start draws where it is given init and no keys (16)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


@pytest.fixture(scope="session")
def assert_sound_start(pytestconfig: pytest.Config) -> Callable[..., None]:
    """`initlab.assert_sound_initialization`, with as many starts as --initlab-seeds says.

    `def test_start(assert_sound_start): assert_sound_start(apply, params, batch)`, or with
    `assert_sound_start(apply, batch=batch, init=init)` starts that init draws.
    """
    seeds = pytestconfig.getoption("initlab_seeds")

    def check(apply: Any, params: Any = None, batch: Any = None, **settings: Any) -> None:
        # The line of the test is what a failure should show.
        __tracebackhide__ = True
        import jax

        import initlab

        drawn = settings.get("init") is not None and settings.get("keys") is None
        if seeds is not None and drawn:
            given = settings.get("key")
            key = jax.random.key(0) if given is None else given
            settings["keys"] = jax.random.split(key, seeds)
        initlab.assert_sound_initialization(apply, params, batch, **settings)

    return check
