"""Statistics of parameters are NumPy's, whether they are measured alone or together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.taps.parameter_statistics import SMALL, parameter_statistics

SHAPES = {
    "scalar": ((), False),
    "bias": ((7,), False),
    "weight": ((5, 3), False),
    "stacked biases": ((4, 6), True),
    "stacked weights": ((2, 3, 5), True),
    "large": ((SMALL + 1,), False),
    "stacked, large": ((2, SMALL + 3), True),
    "of no entries": ((0, 3), False),
}


def drawn(dtype):
    rng = np.random.default_rng(0)
    scale = {"float32": 1e-30, "bfloat16": 1e-3}[dtype]
    pairs = [rng.normal(size=(2, *shape)) * scale for shape, _ in SHAPES.values()]
    return [tuple(jnp.asarray(each, dtype) for each in pair) for pair in pairs]


@pytest.mark.quick
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_statistics_are_those_of_numpy(dtype):
    pairs = drawn(dtype)
    leaves, gradients = zip(*pairs, strict=True)
    stacked = [each for _, each in SHAPES.values()]
    found = jax.jit(lambda a, b: parameter_statistics(a, b, stacked))(leaves, gradients)
    for name, (leaf, gradient), is_stacked, statistics in zip(
        SHAPES, pairs, stacked, found, strict=True
    ):
        if not leaf.size:
            assert all(value.shape == (0,) for value in statistics.values())
            continue
        rows, slopes = (
            np.asarray(x, np.float64).reshape(len(x) if is_stacked else 1, -1)
            for x in (leaf, gradient)
        )
        wanted = {
            "rms": np.sqrt(np.mean(rows**2, axis=1)),
            "smallest": rows.min(axis=1),
            "largest": rows.max(axis=1),
            "gradient_rms": np.sqrt(np.mean(slopes**2, axis=1)),
        }
        for key, value in wanted.items():
            np.testing.assert_allclose(statistics[key], value, rtol=1e-5, err_msg=f"{name}, {key}")


@pytest.mark.quick
def test_what_is_not_finite_is_not_hidden_and_stays_in_its_row():
    leaves = [jnp.asarray([1.0, jnp.nan, 2.0]), jnp.asarray([3.0, jnp.inf]), jnp.ones(4)]
    gradients = list(map(jnp.zeros_like, leaves))
    first, second, third = parameter_statistics(leaves, gradients, [False] * 3)
    assert all(np.isnan(first[name]).all() for name in ("rms", "smallest", "largest"))
    assert np.isnan(second["rms"]).all()
    assert (second["smallest"].item(), second["largest"].item()) == (3.0, np.inf)
    assert {name: x.item() for name, x in third.items()} == {
        "rms": 1.0,
        "smallest": 1.0,
        "largest": 1.0,
        "gradient_rms": 0.0,
    }
