"""A small run and its sweep, which the tests of sweeps share."""

import functools

import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab import probes
from initlab.initializers import by_role, normal

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
