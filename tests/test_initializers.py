"""The schemes: moments, bounds, structure, agreement with jax, the numbers that scale a draw."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from initializer_tables import (
    ALL,
    CONSTANT,
    DETERMINISTIC,
    GENERATOR,
    KEY,
    LARGE,
    RANDOM,
    SMALL,
    SWEPT,
    TRUNCATED,
    TRUNCATED_STD,
    draw_wide,
    scheme_of,
    small_spec,
    weight_spec,
)
from jax.nn import initializers as jax_initializers

from initlab import initializers as I  # noqa: N812
from initlab.types import ParamSpec

SPECS = {
    "dense": weight_spec(*LARGE),
    "convolution": weight_spec(3, 3, 64, 100),
    "attention": ParamSpec((300, 8, 25), 300, 200),
    # Fans that the shape does not tell: they come from the spec.
    "fans of its own": ParamSpec(LARGE, 3, 2000),
}
few_examples = settings(max_examples=20, deadline=None)


@pytest.mark.quick
def test_the_tables_hold_every_public_name():
    schemes = {scheme_of(name) for name in ALL} - {"by fan_out", "own fan"}
    others = {"fan_in", "fan_out", "fan_avg", "choice", "initialize", "bias_law", "weight_law"}
    # Of whole trees, and what they return.
    others |= {"Adapted", "adapted_params", "lora", "lora_scale", "mimetic", "olora", "pissa"}
    others |= {"Recognition", "RecognizedWeight", "recognize"}
    # Of a network beside its base.
    others |= {"parametrized"}
    assert schemes | others == set(I.__all__)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("name", RANDOM)
def test_mean_and_variance_are_the_formulas(name, kind):
    initializer, variance, kurtosis = RANDOM[name]
    spec = SPECS[kind]
    w = draw_wide(initializer, spec)
    assert w.shape == spec.shape
    want = variance(spec.fan_in, spec.fan_out)
    # Five standard errors; the variance of a squared deviation is (kurtosis - 1) variance^2, which
    # is 0 for weights of one size: float32 is left.
    assert abs(w.mean()) < 5 * math.sqrt(want / w.size)
    assert abs((w**2).mean() / want - 1) < 5 * math.sqrt((kurtosis - 1) / w.size) + 1e-6
    # The fourth moment tells the distributions apart: normal 3, truncated 2.37, uniform 1.8.
    assert abs((w**4).mean() / (w**2).mean() ** 2 - kurtosis) < 0.1


@pytest.mark.quick
@pytest.mark.parametrize("name", CONSTANT)
def test_what_starts_at_one_number(name):
    initializer, value = CONSTANT[name]
    for shape in ((), (3,), (2, 3)):
        spec = ParamSpec(shape, 2, 3)
        np.testing.assert_array_equal(draw_wide(initializer, spec), np.full(shape, value))


@pytest.mark.quick
def test_the_truncated_moments_are_those_of_the_closed_form():
    # E[w^2] = 1 - 2 a phi(a) / P and E[w^4] = 3 E[w^2] - 2 a^3 phi(a) / P, at a = 2.
    odds = math.exp(-2.0) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    square = 1 - 4 * odds
    np.testing.assert_allclose(TRUNCATED_STD, math.sqrt(square), rtol=1e-15)
    np.testing.assert_allclose(TRUNCATED, (3 * square - 16 * odds) / square**2, rtol=1e-6)


@pytest.mark.quick
def test_each_fan_is_the_specs_own():
    # Fans that the shape does not tell: they come from the spec.
    spec = ParamSpec((200, 200), fan_in=50, fan_out=150)
    assert (I.fan_in(spec), I.fan_out(spec), I.fan_avg(spec)) == (50.0, 150.0, 100.0)


@few_examples
@given(st.floats(1e-6, 1e6), st.integers(0, 2**31 - 1))
def test_bounded_draws_stay_within_their_bounds_and_reach_them(size, seed):
    spec = ParamSpec(LARGE, 50, 200)
    for initializer, bound in (
        (I.uniform(size), size),
        (I.truncated_normal(size), 2 * size),
        (I.variance_scaling(size, I.fan_in, I.unit_uniform), math.sqrt(3 * size / 50)),
        (
            I.variance_scaling(size, I.fan_in, I.unit_truncated_normal),
            2 * math.sqrt(size / 50) / TRUNCATED_STD,
        ),
    ):
        largest = np.abs(draw_wide(initializer, spec, seed)).max()
        assert 0.99 * bound < largest <= bound * (1 + 1e-6)


@pytest.mark.parametrize("fan", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (I.unit_normal, "normal"),
        (I.unit_truncated_normal, "truncated_normal"),
        (I.unit_uniform, "uniform"),
    ],
    ids=["normal", "truncated_normal", "uniform"],
)
def test_variance_scaling_is_that_of_jax(ours, theirs, fan):
    want = jax_initializers.variance_scaling(1.7, fan, theirs)(KEY, SMALL)
    got = I.variance_scaling(1.7, getattr(I, fan), ours)(KEY, weight_spec(*SMALL))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (I.normal(0.2), jax_initializers.normal(0.2)),
        (I.truncated_normal(0.2), jax_initializers.truncated_normal(0.2)),
        (I.glorot_uniform(), jax_initializers.glorot_uniform()),
        (I.he_uniform(), jax_initializers.he_uniform()),
        (I.lecun_uniform(), jax_initializers.lecun_uniform()),
        (I.orthogonal(1.3), jax_initializers.orthogonal(1.3)),
        (I.constant(0.2), jax_initializers.constant(0.2)),
        # Jax's he_normal and its kin are truncated: ours are Gaussian, as in the papers.
        (
            I.variance_scaling(2.0, I.fan_in, I.unit_truncated_normal),
            jax_initializers.he_normal(),
        ),
        # Jax's uniform begins at 0.
        (I.shifted(I.uniform(0.1), 0.1), jax_initializers.uniform(0.2)),
    ],
    ids=[
        *("normal", "truncated_normal", "glorot", "he", "lecun", "orthogonal", "constant"),
        *("he_normal", "from 0"),
    ],
)
def test_schemes_that_jax_has_are_those_of_jax(ours, theirs):
    got, want = ours(KEY, weight_spec(*SMALL)), theirs(KEY, SMALL)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=5e-8)


@pytest.mark.quick
@pytest.mark.parametrize("gain", [1.0, math.sqrt(2), 0.0, 5.0])
@pytest.mark.parametrize("shape", [(6, 6), (9, 40), (3, 3, 4, 10)], ids=str)
def test_orthogonal_has_orthonormal_rows_or_columns(shape, gain):
    w = draw_wide(I.orthogonal(gain), weight_spec(*shape)).reshape(-1, shape[-1])
    short = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(
        short @ short.T, gain**2 * np.eye(len(short)), atol=2e-6 * max(gain**2, 1)
    )


@pytest.mark.parametrize("nonzero", [1, 7, 15, 20, 100])
def test_sparse_gives_each_unit_exactly_its_weights(nonzero):
    w = draw_wide(I.sparse(nonzero), weight_spec(*SMALL))
    np.testing.assert_array_equal((w != 0).sum(axis=0), min(nonzero, 20))


def test_sparse_weights_are_normal_and_anywhere():
    inputs, units, nonzero = 60, 4000, 15
    w = draw_wide(I.sparse(std=2.0), weight_spec(3, 5, 4, units)).reshape(inputs, units)
    np.testing.assert_array_equal((w != 0).sum(axis=0), nonzero)
    values = w[w != 0]
    assert abs(values.mean()) < 5 * 2 / math.sqrt(values.size)
    assert abs(values.var() / 4 - 1) < 5 * math.sqrt(2 / values.size)
    assert abs((values**4).mean() / values.var() ** 2 - 3) < 0.2
    share = nonzero / inputs
    error = math.sqrt(share * (1 - share) / units)
    np.testing.assert_allclose((w != 0).mean(axis=1), share, atol=5 * error)
    # Two units choose their inputs independently: nonzero^2 / inputs in common, on average.
    common = ((w[:, ::2] != 0) & (w[:, 1::2] != 0)).sum(axis=0)
    assert abs(common.mean() - nonzero**2 / inputs) < 5 * common.std() / math.sqrt(common.size)


@pytest.mark.parametrize("shape", [(4, 4), (2, 5), (5, 2)], ids=str)
def test_identity_and_constants_are_what_they_say(shape):
    spec = weight_spec(*shape)
    np.testing.assert_array_equal(draw_wide(I.identity(), spec), np.eye(*shape))
    np.testing.assert_array_equal(draw_wide(I.identity(-0.5), spec), -0.5 * np.eye(*shape))
    np.testing.assert_array_equal(draw_wide(I.zeros(), spec), np.zeros(shape))
    np.testing.assert_array_equal(draw_wide(I.ones(), spec), np.ones(shape))
    np.testing.assert_array_equal(draw_wide(I.constant(-3.5), spec), np.full(shape, -3.5))


@pytest.mark.parametrize("name", ALL)
def test_the_key_decides_and_nothing_else(name):
    first, again, other = (draw_wide(ALL[name], small_spec(name), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (name in DETERMINISTIC)


@pytest.mark.quick
def test_keys_of_either_style_draw():
    old, new = (
        I.normal(0.1)(key(3), weight_spec(*SMALL)) for key in (jax.random.PRNGKey, jax.random.key)
    )
    np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ALL)
def test_the_specs_dtype_is_the_draws(name):
    draw = ALL[name](KEY, small_spec(name))
    assert draw.dtype == np.float32
    assert np.isfinite(draw).all()
    with jax.enable_x64(True):
        wide = ALL[name](KEY, small_spec(name, np.float64))
        assert wide.dtype == np.float64
        if name not in DETERMINISTIC:
            # Drawn in float64, not cast to it.
            assert (np.asarray(wide) != np.asarray(wide).astype(np.float32)).any()
    half = ALL[name](KEY, small_spec(name, jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    assert half.shape == draw.shape
    # A root mean square of the same size: rounded, not drawn at another scale.
    mean_squares = [np.square(np.asarray(w, np.float64)).mean() for w in (half, draw)]
    np.testing.assert_allclose(*mean_squares, rtol=0.5)


@functools.cache
def _every_draw():
    """One program for every scheme at several numbers at once: all of them are traced."""

    def draw(number, key):
        return {name: make(number)(key, small_spec(name)) for name, (make, _) in SWEPT.items()}

    return jax.jit(jax.vmap(draw, in_axes=(0, None)))


@pytest.mark.parametrize("name", SWEPT)
def test_a_traced_number_gives_the_concrete_draw(name):
    make, power = SWEPT[name]
    numbers = np.array([0.0, 0.01, 0.5, 10.0], np.float32)
    got = _every_draw()(numbers, KEY)[name]
    assert got.dtype == np.float32
    for number, traced in zip(numbers.tolist(), got, strict=True):
        if number > 0 or power > 0:
            want = make(number)(KEY, small_spec(name))
            np.testing.assert_allclose(traced, want, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", SWEPT)
def test_whole_numbers_and_arrays_are_numbers(name):
    make, _ = SWEPT[name]
    want = make(2.0)(KEY, small_spec(name))
    for two in (2, np.int32(2), np.float32(2), np.asarray(2.0), jnp.asarray(2), jnp.asarray(2.0)):
        np.testing.assert_array_equal(make(two)(KEY, small_spec(name)), want)


@few_examples
@given(size=st.floats(1e-10, 1e10), seed=st.integers(0, 2**31 - 1))
def test_a_draw_is_its_number_times_the_unit_draw(size, seed):
    # The same seed at two scales is one draw at two scales: a sweep is a paired experiment.
    key = jax.random.key(seed, impl=GENERATOR)
    draws = _every_draw()(np.array([1, size, 1, size], np.float32), key)
    for name, (_, power) in SWEPT.items():
        unit, sized, *_ = np.asarray(draws[name], np.float64)
        np.testing.assert_allclose(sized, size**power * unit, rtol=2e-6, atol=1e-30)


def test_a_power_of_two_scales_exactly():
    spec = weight_spec(*SMALL)
    for make in (I.normal, I.truncated_normal, I.uniform):
        np.testing.assert_array_equal(make(0.25)(KEY, spec), make(2.0)(KEY, spec) / 8)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_orthogonal_is_drawn_in_short_dtypes(dtype):
    spec = ParamSpec((4, 4), 4, 4, dtype=dtype)
    drawn = I.orthogonal()(jax.random.key(0), spec)
    assert drawn.dtype == dtype
    w = np.asarray(drawn, np.float64)
    np.testing.assert_allclose(w @ w.T, np.eye(4), atol=0.03)
