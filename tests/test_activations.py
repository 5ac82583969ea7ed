"""Slopes against closed forms and dense float64 grids."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import activations, networks, theory


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
            # tanh's slope is 1 minus a square near 1, each rounded to 2^-52.
            np.testing.assert_allclose(got, TABLE[name][1](z), rtol=1e-14, atol=2 * 2**-52)


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


def _spline(z):
    return jnp.interp(z, jnp.linspace(-3, 3, 9), jnp.linspace(-3, 3, 9) ** 2)


ELEMENTWISE = {
    "a derivative of its own": jax.nn.gelu,
    "pieces": lambda z: jnp.piecewise(z, [z < 0], [jnp.sin, jnp.tanh]),
    "a polynomial by a loop": lambda z: jnp.polyval(jnp.arange(20.0), z),
    "a table that is looked up": _spline,
    "a sum over basis functions": lambda z: jnp.stack([z, z**2], -1) @ jnp.asarray([1.0, 0.5]),
    "newton's steps": lambda z: jax.lax.fori_loop(0, 3, lambda _, y: y - (y**3 - z) / 9, z),
    "straight through": lambda z: z + jax.lax.stop_gradient(jnp.round(z) - z),
    "a branch that no entry chooses": lambda z: jax.lax.cond(True, jnp.tanh, jnp.sin, z),
}
MIXING = {
    "softmax": jax.nn.softmax,
    "over the rms": lambda z: z / jnp.sqrt(jnp.mean(z**2)),
    "running sums": lambda z: jnp.cumsum(z, axis=-1),
    "running sums by a loop": lambda z: jax.lax.scan(lambda c, x: (c + x, c + x), z[0], z)[1],
    "turned around": lambda z: jnp.maximum(z, z[::-1]),
    "the largest alone": lambda z: jnp.where(z >= jnp.max(z), z, 0),
    "only far away": lambda z: jnp.where(jnp.any(z > 100), 0, z),
    "until all are small": lambda z: jax.lax.while_loop(
        lambda a: jnp.any(a > 1), lambda a: a / 2, z
    ),
    "by place": lambda z: z * jnp.arange(z.size).reshape(z.shape),
    "dropout": lambda z: z * jax.random.bernoulli(jax.random.key(0), 0.5, z.shape),
}
NO_NUMBERS = {
    "integers": lambda z: (z > 0).astype(int),
    "complex": lambda z: jnp.sqrt(z.astype(complex)),
    "NumPy's": np.tanh,
    "calls NumPy's": lambda z: np.tanh(z),
}


@pytest.mark.quick
@pytest.mark.parametrize("phi", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_an_elementwise_function_is_taken_however_it_is_written(phi):
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for shape in ((2, 3), (9,)):
            activations.check_activation("activation", phi, np.float32, shape=shape)


@pytest.mark.quick
@pytest.mark.parametrize("phi", MIXING.values(), ids=MIXING)
def test_what_mixes_entries_is_no_activation(phi):
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for make in (
            lambda: networks.mlp((2, 3, 1), phi),
            lambda: networks.residual_mlp((2, 3, 1), 1, phi),
            lambda: activations.slope(phi, jnp.ones((2, 3))),
            lambda: activations.max_slope(phi),
        ):
            with pytest.raises(TypeError, match=r"^activation must"):
                make()
        with pytest.raises(ValueError, match=r"^activation must"):
            theory.gain(phi)


@pytest.mark.quick
@pytest.mark.parametrize("phi", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_gives_no_real_numbers_is_no_activation(phi):
    with pytest.raises(TypeError, match=r"must give real numbers|jnp\.tanh"):
        networks.mlp((2, 3, 1), phi)
    with pytest.raises((TypeError, ValueError), match=r"must give real numbers|jnp\.tanh"):
        theory.gain(phi)


def test_an_activation_of_a_network_may_hold_a_traced_number():
    def outputs(leak):
        phi = lambda z: jnp.where(z > 0, z, leak * z)  # noqa: E731
        network = networks.mlp((1, 1), phi)
        activations.check_activation("activation", phi, np.float32)
        params = {"layer_1": {"weight": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
        return network.apply(params, jnp.ones((1, 1))), phi(-1.0)

    np.testing.assert_allclose(jax.jit(outputs)(0.25)[1], -0.25)
    mixing = lambda scale: networks.mlp((1, 1), lambda z: scale * jax.nn.softmax(z))  # noqa: E731
    with pytest.raises(TypeError, match="must be elementwise"):
        jax.jit(lambda scale: mixing(scale).specs and scale)(0.25)
