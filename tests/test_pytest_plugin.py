"""The pytest plugin: its fixture, its option, and what it does not load."""

import subprocess
import sys

import pytest

import initlab.audits.auditing

pytestmark = pytest.mark.quick

# Its modules are loaded: pytester forgets what a run within it has loaded, and JAX loads once.
assert initlab.audits.auditing

TESTS = """
import jax, jax.numpy as jnp

def apply(params, x):
    return jnp.tanh(x @ params["in"]["w"]) @ params["out"]

def init(key):
    first, second = jax.random.split(key)
    draw = jax.random.normal
    return {"in": {"w": draw(first, (3, 4)) / 2}, "out": draw(second, (4, 2)) / 2}

X = jax.random.normal(jax.random.key(0), (8, 3))

def test_sound(assert_sound_start):
    assert_sound_start(apply, batch=X, init=init)

def test_zeros(assert_sound_start):
    assert_sound_start(apply, jax.tree.map(jnp.zeros_like, init(jax.random.key(0))), X)
"""


def test_a_failure_prints_the_first_finding_and_the_row_of_its_place(pytester, monkeypatch):
    pytester.makepyfile(TESTS)
    asked = []
    audit = initlab.audits.auditing.audit
    monkeypatch.setattr(
        initlab.audits.auditing,
        "audit",
        lambda *given, **more: asked.append(more["keys"]) or audit(*given, **more),
    )
    result = pytester.runpytest_inprocess("-p", "initlab.pytest_plugin", "--initlab-seeds=2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert_sound_start(apply, jax.tree.map(*",
            "E*AssertionError: symmetric_units at in, 1 (threshold 4): *Remedy: *",
            "E*place*rms*gradient_norm*",
            "E*in/w *product*",
        ]
    )
    # Where the test is, and not where the library raises.
    result.stdout.no_fnmatch_line("*auditing.py*")
    assert [None if keys is None else keys.shape for keys in asked] == [(2,), None]


@pytest.mark.parametrize("seeds", ["0", "-1", "x"])
def test_other_seeds_than_a_count_are_refused(pytester, seeds):
    result = pytester.runpytest_inprocess("-p", "initlab.pytest_plugin", f"--initlab-seeds={seeds}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must be an integer of at least 1, got*"])


def test_the_plugin_loads_neither_jax_nor_the_library():
    """Coverage would miss what is loaded before it starts, and every run of pytest would wait."""
    script = """
import sys, initlab.pytest_plugin
print(*(name for name in sys.modules if name.partition(".")[0] in ("jax", "numpy", "initlab")))
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(said.stdout.split()) == {"initlab", "initlab._version", "initlab.pytest_plugin"}
