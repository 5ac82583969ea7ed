"""A small run and its sweep, which the tests of sweeps share."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import initlab
from initlab import probes
from initlab.initializers import by_role, normal
from initlab.sweeps import computation, markers, resume, run_sweep, specification

AXES = {"seed": range(60), "scale": [0.0, 0.5], "learning_rate": [0.1, 1.0]}
"""240 runs: a few blocks of 16."""


def make_small_run(activation=jnp.tanh, hidden=(3,), steps=4, every=2, points=32, measured=None):
    return initlab.make_run(
        initlab.networks.mlp((2, *hidden, 1), activation),
        lambda p: by_role(weight=normal(p["scale"])),
        initlab.tasks.flower(points=points),
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=steps,
        every=every,
        probes=(probes.loss, probes.distinct_units) if measured is None else measured,
    )


small_run = functools.cache(make_small_run)


@functools.cache
def small_sweep():
    """What every other way of computing it must give, bit for bit."""
    return initlab.sweep(small_run(), AXES, block=16, progress=False)


def write(out, run=None, axes=AXES, **changes):
    """The small sweep, or one that differs from it, in a folder."""
    return initlab.sweep(
        run or small_run(), axes, **{"block": 16, "out": out, "progress": False, **changes}
    )


def write_block_by_block(monkeypatch):
    """A chunk of each block, on one device."""
    monkeypatch.setattr(run_sweep, "CHUNK_BLOCKS", 1)
    devices = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)


def record_chunks(monkeypatch):
    """A list that gains the number of each chunk that is computed."""
    numbers = []

    def recording(storage, encoder, layout, chunk):
        numbers.append(chunk.chunk.number)
        return markers.write_chunk(storage, encoder, layout, chunk)

    monkeypatch.setattr(resume, "write_chunk", recording)
    return numbers


@contextlib.contextmanager
def traced_once():
    """Each run is traced, digested and compiled once: what is left of a sweep is its store."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, key in (
            (run_sweep, "trace_run", lambda run, axes: (run, _names(axes))),
            (specification, "program_digest", lambda traced, axes, block: (id(traced), block)),
            (
                computation,
                "compile_program",
                lambda traced, axes, block, devices: (id(traced), block, tuple(devices)),
            ),
        ):
            patch.setattr(module, name, _kept(getattr(module, name), key))
        yield


def _names(axes):
    return tuple((name, column.dtype) for axis in axes for name, column in axis.columns.items())


def _kept(function, key):
    made = {}

    def keeping(*arguments):
        # With its arguments, so that none of them is freed and its id taken by another.
        entry = made.setdefault(key(*arguments), [arguments])
        if len(entry) == 1:
            entry.append(function(*arguments))
        return entry[1]

    return keeping


def assert_same_bits(results, reference):
    assert set(results.variables) == set(reference.variables)
    for name, column in reference.variables.items():
        found = results.variables[name]
        assert found.dims == column.dims, name
        assert found.attrs == column.attrs, name
        if column.dtype == object:
            assert found.values.tolist() == column.values.tolist(), name
        else:
            assert found.dtype == column.dtype, name
            np.testing.assert_array_equal(
                np.ascontiguousarray(found.values).view(np.uint8),
                np.ascontiguousarray(column.values).view(np.uint8),
                err_msg=str(name),
            )
