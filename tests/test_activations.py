"""Slopes against closed forms and dense float64 grids."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import activations


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _gelu(z):
    """The form with a tanh."""
    return z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


# function, slope in float64, function in float64, largest slope
TABLE = {
    "identity": (activations.identity, np.ones_like, lambda z: z, 1.0),
    "tanh": (jnp.tanh, lambda z: 1 / np.cosh(z) ** 2, np.tanh, 1.0),
    "sigmoid": (jax.nn.sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z), _sigmoid, 0.25),
    "relu": (jax.nn.relu, lambda z: (z > 0) * 1.0, lambda z: np.maximum(z, 0), 1.0),
    "softplus": (jax.nn.softplus, _sigmoid, lambda z: np.logaddexp(z, 0), 1.0),
    "sin": (jnp.sin, np.cos, np.sin, 1.0),
    "gelu": (jax.nn.gelu, None, _gelu, 1.1289926),
    "silu": (jax.nn.silu, None, lambda z: z * _sigmoid(z), 1.0998393),
    "leaky_relu": (jax.nn.leaky_relu, None, lambda z: np.where(z > 0, z, 0.01 * z), 1.0),
    "selu": (
        jax.nn.selu,
        None,
        # Steepest just left of 0: lambda alpha.
        lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
        1.0507009873554805 * 1.6732632423543772,
    ),
    "steep": (lambda z: -7 * jnp.tanh(z), None, lambda z: -7 * np.tanh(z), 7.0),
}
CLOSED = [name for name in TABLE if TABLE[name][1] is not None]
JITTED = {name: jax.jit(lambda z, phi=TABLE[name][0]: activations.slope(phi, z)) for name in CLOSED}


# Compiled code may take a subnormal number for 0.
normal_floats = st.floats(-20, 20, width=32, allow_subnormal=False)


@pytest.mark.quick
@pytest.mark.parametrize("name", CLOSED)
@settings(max_examples=20, deadline=None)
@given(z=hnp.arrays(np.float32, (3, 4), elements=normal_floats))
def test_the_slope_is_the_closed_form(name, z):
    z = np.where(z == 0, np.float32(0.5), z)  # relu has no slope at 0
    got = JITTED[name](z)
    assert got.dtype == np.float32
    assert got.shape == z.shape
    np.testing.assert_allclose(got, TABLE[name][1](z.astype(np.float64)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float32])
@pytest.mark.parametrize("shape", [(), (5,), (2, 0)], ids=str)
def test_the_slope_has_the_shape_and_dtype_of_z(shape, dtype):
    got = activations.slope(jnp.tanh, jnp.zeros(shape, dtype))
    assert (got.shape, got.dtype) == (shape, dtype)


@pytest.mark.quick
def test_the_slope_in_float64():
    with jax.enable_x64(True):
        z = np.linspace(-3, 3, 13)
        for name in ("tanh", "sigmoid", "softplus"):
            got = activations.slope(TABLE[name][0], jnp.asarray(z))
            np.testing.assert_allclose(got, TABLE[name][1](z), rtol=1e-14)


@pytest.mark.parametrize("name", TABLE)
def test_the_largest_slope_is_that_of_a_dense_grid(name):
    phi, _, oracle, want = TABLE[name]
    z = np.linspace(-20, 20, 2_000_001)
    values = oracle(z)
    dense = np.abs(np.diff(values) / np.diff(z)).max()
    np.testing.assert_allclose(dense, want, rtol=2e-5)
    got = activations.max_slope(phi)
    assert isinstance(got, float)
    np.testing.assert_allclose(got, want, rtol=2e-5)


def test_the_largest_slope_is_a_number_inside_compiled_code():
    got = jax.jit(jax.vmap(lambda z: z * activations.max_slope(jax.nn.sigmoid)))(jnp.ones(2))
    np.testing.assert_allclose(got, 0.25, rtol=1e-6)


@pytest.mark.quick
def test_the_identity():
    z = jnp.arange(6.0).reshape(2, 3)
    assert activations.identity(z) is z
