"""The initializers: moments, bounds, structure, agreement with jax, combinators, `initialize`."""

import dataclasses
import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.nn import initializers as jax_initializers

from initlab import initializers as I  # noqa: N812
from initlab.keys import path_key
from initlab.types import ParamSpec, Role

TRUNCATED_STD = 0.87962566103423978  # of N(0, 1) cut at -2 and 2

# Programs that draw take long to compile, so that few shapes and the generator that compiles
# fastest serve most tests.
GENERATOR = "rbg"
KEY = jax.random.key(7, impl=GENERATOR)
SMALL = (20, 30)
LARGE = (600, 400)

# Kurtosis E[w^4] / E[w^2]^2 of each distribution: it gives the standard error of a variance.
NORMAL, UNIFORM, TRUNCATED = 3.0, 9 / 5, 2.365537
FANS = [(600, 400), (400, 600), (50, 50), (3, 2000)]

# scheme, its variance by fan_in and fan_out, its kurtosis
RANDOM = {
    "normal": (I.normal(0.3), lambda i, o: 0.3**2, NORMAL),
    "truncated_normal": (
        I.truncated_normal(0.3),
        lambda i, o: (0.3 * TRUNCATED_STD) ** 2,
        TRUNCATED,
    ),
    "uniform": (I.uniform(0.6), lambda i, o: 0.6**2 / 3, UNIFORM),
    "unit_normal": (I.unit_normal, lambda i, o: 1.0, NORMAL),
    "unit_truncated_normal": (I.unit_truncated_normal, lambda i, o: 1.0, TRUNCATED),
    "unit_uniform": (I.unit_uniform, lambda i, o: 1.0, UNIFORM),
    "lecun_normal": (I.lecun_normal(), lambda i, o: 1 / i, NORMAL),
    "lecun_uniform": (I.lecun_uniform(), lambda i, o: 1 / i, UNIFORM),
    "glorot_normal": (I.glorot_normal(), lambda i, o: 2 / (i + o), NORMAL),
    "glorot_uniform": (I.glorot_uniform(), lambda i, o: 2 / (i + o), UNIFORM),
    "he_normal": (I.he_normal(), lambda i, o: 2 / i, NORMAL),
    "he_uniform": (I.he_uniform(), lambda i, o: 2 / i, UNIFORM),
    "variance_scaling": (I.variance_scaling(1.5), lambda i, o: 1.5 / i, NORMAL),
    "by fan_out": (I.variance_scaling(2.0, I.fan_out), lambda i, o: 2 / o, NORMAL),
    "own fan": (
        I.variance_scaling(3.0, lambda spec: spec.fan_in * spec.fan_out, I.unit_uniform),
        lambda i, o: 3 / (i * o),
        UNIFORM,
    ),
    "scaled": (I.scaled(I.lecun_normal(), -2.0), lambda i, o: 4 / i, NORMAL),
}

# scheme of one number, whether its draw is proportional to that number
SWEPT = {
    "constant": (I.constant, True),
    "normal": (I.normal, True),
    "truncated_normal": (I.truncated_normal, True),
    "uniform": (I.uniform, True),
    "orthogonal": (I.orthogonal, True),
    "identity": (I.identity, True),
    "sparse": (lambda std: I.sparse(3, std), True),
    "scaled": (lambda factor: I.scaled(I.unit_uniform, factor), True),
    "variance_scaling": (I.variance_scaling, False),
}

ALL = {
    **{name: row[0] for name, row in RANDOM.items()},
    **{f"{name}(0.5)": row[0](0.5) for name, row in SWEPT.items()},
    "zeros": I.zeros(),
    "ones": I.ones(),
    "by_role": I.by_role(I.unit_normal),
    "by_path": I.by_path({"*": I.unit_normal}),
}
DETERMINISTIC = {"constant(0.5)", "identity(0.5)", "zeros", "ones"}
# The QR decomposition behind it knows no half precision.
NO_HALF_PRECISION = {"orthogonal(0.5)"}

quick = settings(max_examples=20, deadline=None)


def _spec(*shape: int, dtype: Any = np.float32, role=Role.WEIGHT, path=""):
    """The spec of a dense or convolutional weight, units last."""
    space = math.prod(shape[:-2])
    return ParamSpec(shape, space * shape[-2], space * shape[-1], role, dtype, path)


def _draw(initializer, spec, seed=7):
    return np.asarray(initializer(jax.random.key(seed, impl=GENERATOR), spec), np.float64)


def _of_key(key, spec):
    """An initializer whose value tells its key; quicker to compile than one that draws."""
    data = jax.random.key_data(key).astype(jnp.float32)
    return jnp.full(spec.shape, jnp.sum(data))


def test_the_tables_hold_every_public_name():
    schemes = {name.split("(")[0] for name in ALL} - {"by fan_out", "own fan"}
    assert schemes | {"fan_in", "fan_out", "fan_avg", "choice", "initialize"} == set(I.__all__)


@pytest.mark.parametrize("fans", FANS, ids=str)
@pytest.mark.parametrize("name", RANDOM)
def test_mean_and_variance_are_the_formulas(name, fans):
    initializer, variance, kurtosis = RANDOM[name]
    w = _draw(initializer, ParamSpec(LARGE, *fans))
    want = variance(*fans)
    # Five standard errors; the variance of a squared deviation is (kurtosis - 1) variance^2.
    assert abs(w.mean()) < 5 * math.sqrt(want / w.size)
    assert abs((w**2).mean() / want - 1) < 5 * math.sqrt((kurtosis - 1) / w.size)
    # The fourth moment tells the distributions apart: normal 3, truncated 2.37, uniform 1.8.
    assert abs((w**4).mean() / (w**2).mean() ** 2 - kurtosis) < 0.1


def test_the_truncated_moments_are_those_of_the_closed_form():
    # E[w^2] = 1 - 2 a phi(a) / P and E[w^4] = 3 E[w^2] - 2 a^3 phi(a) / P, at a = 2.
    odds = math.exp(-2.0) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
    square = 1 - 4 * odds
    np.testing.assert_allclose(TRUNCATED_STD, math.sqrt(square), rtol=1e-15)
    np.testing.assert_allclose(TRUNCATED, (3 * square - 16 * odds) / square**2, rtol=1e-6)


def test_each_fan_is_the_specs_own():
    # Fans that the shape does not tell: they come from the spec.
    spec = ParamSpec((200, 200), fan_in=50, fan_out=150)
    assert (I.fan_in(spec), I.fan_out(spec), I.fan_avg(spec)) == (50.0, 150.0, 100.0)


@quick
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
        largest = np.abs(_draw(initializer, spec, seed)).max()
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
    got = I.variance_scaling(1.7, getattr(I, fan), ours)(KEY, _spec(*SMALL))
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
    ],
    ids=["normal", "truncated_normal", "glorot", "he", "lecun", "orthogonal", "constant"],
)
def test_schemes_that_jax_has_are_those_of_jax(ours, theirs):
    # Jax's he_normal and its kin are truncated: ours are Gaussian, as in the papers.
    np.testing.assert_allclose(ours(KEY, _spec(*SMALL)), theirs(KEY, SMALL), rtol=1e-6)


@pytest.mark.parametrize("gain", [1.0, math.sqrt(2), 0.0, 5.0])
@pytest.mark.parametrize("shape", [(6, 6), (9, 40), (3, 3, 4, 10)], ids=str)
def test_orthogonal_has_orthonormal_rows_or_columns(shape, gain):
    w = _draw(I.orthogonal(gain), _spec(*shape)).reshape(-1, shape[-1])
    short = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(
        short @ short.T, gain**2 * np.eye(len(short)), atol=2e-6 * max(gain**2, 1)
    )


@pytest.mark.parametrize("nonzero", [1, 7, 15, 20, 100])
def test_sparse_gives_each_unit_exactly_its_weights(nonzero):
    w = _draw(I.sparse(nonzero), _spec(*SMALL))
    np.testing.assert_array_equal((w != 0).sum(axis=0), min(nonzero, 20))


def test_sparse_weights_are_normal_and_anywhere():
    inputs, units, nonzero = 60, 4000, 15
    w = _draw(I.sparse(std=2.0), _spec(3, 5, 4, units)).reshape(inputs, units)
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
    spec = _spec(*shape)
    np.testing.assert_array_equal(_draw(I.identity(), spec), np.eye(*shape))
    np.testing.assert_array_equal(_draw(I.identity(-0.5), spec), -0.5 * np.eye(*shape))
    np.testing.assert_array_equal(_draw(I.zeros(), spec), np.zeros(shape))
    np.testing.assert_array_equal(_draw(I.ones(), spec), np.ones(shape))
    np.testing.assert_array_equal(_draw(I.constant(-3.5), spec), np.full(shape, -3.5))


@pytest.mark.parametrize("name", ALL)
def test_the_key_decides_and_nothing_else(name):
    spec = _spec(*SMALL)
    first, again, other = (_draw(ALL[name], spec, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (name in DETERMINISTIC)


def test_keys_of_either_style_draw():
    old, new = (
        I.normal(0.1)(key(3), _spec(*SMALL)) for key in (jax.random.PRNGKey, jax.random.key)
    )
    np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ALL)
def test_the_specs_dtype_is_the_draws(name):
    draw = ALL[name](KEY, _spec(*SMALL))
    assert draw.dtype == np.float32
    assert np.isfinite(draw).all()
    with jax.enable_x64(True):
        wide = ALL[name](KEY, _spec(*SMALL, dtype=np.float64))
        assert wide.dtype == np.float64
        if name not in DETERMINISTIC:
            # Drawn in float64, not cast to it.
            assert (np.asarray(wide) != np.asarray(wide).astype(np.float32)).any()
    if name not in NO_HALF_PRECISION:
        half = ALL[name](KEY, _spec(*SMALL, dtype=jnp.bfloat16))
        assert half.dtype == jnp.bfloat16
        assert half.shape == SMALL
        # A root mean square of the same size: rounded, not drawn at another scale.
        mean_squares = [np.square(np.asarray(w, np.float64)).mean() for w in (half, draw)]
        np.testing.assert_allclose(*mean_squares, rtol=0.5)


@functools.cache
def _every_draw():
    """One program for every scheme at several numbers at once: all of them are traced."""
    spec = _spec(*SMALL)

    def draw(number, key):
        return {name: make(number)(key, spec) for name, (make, _) in SWEPT.items()}

    return jax.jit(jax.vmap(draw, in_axes=(0, None)))


@pytest.mark.parametrize("name", SWEPT)
def test_a_traced_number_gives_the_concrete_draw(name):
    make, _ = SWEPT[name]
    numbers = np.array([0.0, 0.01, 0.5, 10.0], np.float32)
    want = np.stack([np.asarray(make(n)(KEY, _spec(*SMALL))) for n in numbers.tolist()])
    got = _every_draw()(numbers, KEY)[name]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", SWEPT)
def test_whole_numbers_and_arrays_are_numbers(name):
    make, _ = SWEPT[name]
    want = make(2.0)(KEY, _spec(*SMALL))
    for two in (2, np.int32(2), np.float32(2), np.asarray(2.0), jnp.asarray(2), jnp.asarray(2.0)):
        np.testing.assert_array_equal(make(two)(KEY, _spec(*SMALL)), want)


@quick
@given(size=st.floats(1e-10, 1e10), seed=st.integers(0, 2**31 - 1))
def test_a_draw_is_its_number_times_the_unit_draw(size, seed):
    # The same seed at two scales is one draw at two scales: a sweep is a paired experiment.
    key = jax.random.key(seed, impl=GENERATOR)
    draws = _every_draw()(np.array([1, size, 1, size], np.float32), key)
    for name, (_, proportional) in SWEPT.items():
        unit, sized, *_ = np.asarray(draws[name], np.float64)
        factor = size if proportional else math.sqrt(size)
        np.testing.assert_allclose(sized, factor * unit, rtol=2e-6, atol=1e-30)


def test_a_power_of_two_scales_exactly():
    spec = _spec(*SMALL)
    for make in (I.normal, I.truncated_normal, I.uniform):
        np.testing.assert_array_equal(make(0.25)(KEY, spec), make(2.0)(KEY, spec) / 8)


BAD_NUMBERS = [
    (math.nan, ValueError, "must be finite, got nan"),
    (math.inf, ValueError, "must be finite, got inf"),
    (np.float32("-inf"), ValueError, "must be finite, got -inf"),
    (jnp.asarray(np.nan), ValueError, "must be finite, got nan"),
    ("0.1", TypeError, "must be a number, got '0.1'"),
    (None, TypeError, "must be a number, got None"),
    (True, TypeError, "must be a number, got True"),
    (np.True_, TypeError, "must be a number, got np.True_"),
    (1j, TypeError, "must be a number, got 1j"),
    ([0.1], TypeError, r"must be a number, got \[0.1\]"),
    (np.ones(2), TypeError, r"must be a number, got array\(\[1., 1.\]\)"),
]
# scheme, the name of its number, whether it may be negative
NUMBERS = {
    "constant": (I.constant, "value", True),
    "identity": (I.identity, "gain", True),
    "scaled": (lambda factor: I.scaled(I.zeros(), factor), "factor", True),
    "normal": (I.normal, "std", False),
    "truncated_normal": (I.truncated_normal, "std", False),
    "uniform": (I.uniform, "limit", False),
    "orthogonal": (I.orthogonal, "gain", False),
    "variance_scaling": (I.variance_scaling, "scale", False),
    "sparse": (lambda std: I.sparse(3, std), "std", False),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(("value", "error", "message"), BAD_NUMBERS)
def test_numbers_that_do_not_fit(name, value, error, message):
    make, number, _ = NUMBERS[name]
    with pytest.raises(error, match=f"^{number} {message}"):
        make(value)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_scale_is_not_negative(name):
    make, number, signed = NUMBERS[name]
    for value in (-0.1, np.float32(-1e-30), jnp.asarray(-2)):
        if signed:
            make(value)
        else:
            with pytest.raises(ValueError, match=f"^{number} must be at least 0, got -"):
                make(value)


def test_traced_arrays_are_no_numbers():
    with pytest.raises(TypeError, match=r"std must be a number, got an array of shape \(2,\)"):
        jax.jit(lambda std: I.normal(std)(KEY, _spec(2, 2)))(jnp.ones(2))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: I.sparse(0), ValueError, "nonzero must be at least 1, got 0"),
        (lambda: I.sparse(2.0), TypeError, "nonzero must be an integer, got 2.0"),  # pyright: ignore
        (lambda: I.sparse(True), TypeError, "nonzero must be an integer, got True"),
        (lambda: I.variance_scaling(1.0, 3), TypeError, "fan must be a function, got 3"),  # pyright: ignore
        (
            lambda: I.variance_scaling(1.0, I.fan_in, "normal"),  # pyright: ignore
            TypeError,
            "distribution must be a function, got 'normal'",
        ),
        (lambda: I.scaled(2.0, 2.0), TypeError, "initializer must be a function, got 2.0"),  # pyright: ignore
        (lambda: I.by_role(None), TypeError, "weight must be a function, got None"),  # pyright: ignore
        (
            lambda: I.by_role(I.zeros(), readout=0.5),  # pyright: ignore
            TypeError,
            "readout must be a function, got 0.5",
        ),
        (lambda: I.by_path({}), ValueError, "patterns must name at least one initializer"),
        (
            lambda: I.by_path({"*/bias": 0}),  # pyright: ignore
            TypeError,
            r"patterns\['\*/bias'\] must be a function, got 0",
        ),
        (lambda: I.choice(0, ()), ValueError, "initializers must hold at least one, got none"),
        (
            lambda: I.choice(0, (I.zeros(), 1.0)),  # pyright: ignore
            TypeError,
            r"initializers\[1\] must be a function, got 1.0",
        ),
        (lambda: I.choice(2, (I.zeros(), I.ones())), ValueError, "index must be 0 to 1, got 2"),
        (lambda: I.choice(-1, (I.zeros(),)), ValueError, "index must be 0 to 0, got -1"),
        (
            lambda: I.choice(jnp.asarray(5), (I.zeros(), I.ones())),
            ValueError,
            "index must be 0 to 1, got 5",
        ),
        (
            lambda: I.orthogonal()(KEY, ParamSpec((3,), 2, 3, path="layer_1/bias")),
            ValueError,
            r"orthogonal wants at least 2 axes, got shape \(3,\) for 'layer_1/bias'",
        ),
        (
            lambda: I.sparse()(KEY, ParamSpec((3,), 2, 3, path="layer_1/bias")),
            ValueError,
            r"sparse wants at least 2 axes, got shape \(3,\) for 'layer_1/bias'",
        ),
        (
            lambda: I.identity()(KEY, ParamSpec((3, 2, 2), 6, 2, path="conv/weight")),
            ValueError,
            r"identity wants a matrix, got shape \(3, 2, 2\) for 'conv/weight'",
        ),
        (
            lambda: I.by_path({"layer_1/*": I.zeros()})(KEY, _spec(2, 2, path="layer_2/weight")),
            ValueError,
            r"no pattern matches 'layer_2/weight'; patterns are \['layer_1/\*'\]",
        ),
        (
            lambda: I.initialize(KEY, {"w": _spec(2, 2)}, 0.5),  # pyright: ignore
            TypeError,
            "initializer must be a function, got 0.5",
        ),
        (
            lambda: I.initialize(KEY, {"w": (2, 2)}, I.zeros()),
            TypeError,
            "specs must hold ParamSpec, got int",
        ),
        (
            lambda: I.initialize(
                KEY, {"a": {"w": _spec(2, 3)}}, lambda key, spec: jnp.zeros(spec.shape[::-1])
            ),
            ValueError,
            r"params\['a/w'\] must have shape \(2, 3\), got \(3, 2\)",
        ),
        (
            lambda: I.initialize(
                KEY, {"w": _spec(2, 3)}, lambda key, spec: jnp.zeros(spec.shape, jnp.bfloat16)
            ),
            ValueError,
            r"params\['w'\] must be float32, got bfloat16",
        ),
        (
            lambda: I.initialize(KEY, {"w": _spec(2, 3)}, lambda key, spec: 0.0),  # pyright: ignore
            TypeError,
            r"params\['w'\] must be an array, got float",
        ),
    ],
)
def test_arguments_that_do_not_fit(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()


def test_by_role_serves_every_role():
    given_roles = {role.value: I.constant(float(n)) for n, role in enumerate(Role, start=2)}
    init = I.by_role(**given_roles)
    for n, role in enumerate(Role, start=2):
        np.testing.assert_array_equal(init(KEY, _spec(2, 3, role=role)), np.full((2, 3), n))


@pytest.mark.parametrize(
    ("role", "value"),
    [
        (Role.WEIGHT, 7),
        (Role.BIAS, 0),
        (Role.READOUT, 7),
        (Role.EMBEDDING, 7),
        (Role.NORM_SCALE, 1),
    ],
)
def test_by_role_has_a_default_for_each(role, value):
    assert {*Role} == {Role.WEIGHT, Role.BIAS, Role.READOUT, Role.EMBEDDING, Role.NORM_SCALE}
    draw = I.by_role(I.constant(7.0))(KEY, _spec(2, 3, role=role))
    np.testing.assert_array_equal(draw, np.full((2, 3), value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("layer_1/weight", 1),
        ("layer_1/bias", 2),
        ("layer_12/weight", 3),
        ("block/layer_2/bias", 2),
        ("Layer_1/weight", 4),
    ],
)
def test_by_path_takes_the_first_match(path, value):
    patterns = {"layer_1/weight": 1.0, "*/bias": 2.0, "layer_*": 3.0, "*": 4.0, "*/weight": 5.0}
    init = I.by_path({pattern: I.constant(each) for pattern, each in patterns.items()})
    np.testing.assert_array_equal(init(KEY, _spec(1, 2, path=path)), [[value] * 2])


def test_choice_takes_a_traced_index():
    candidates, spec = (I.zeros(), _of_key, I.identity(3.0)), _spec(2, 3)
    want = np.stack([np.asarray(each(KEY, spec)) for each in candidates])
    np.testing.assert_array_equal(I.choice(1, candidates)(KEY, spec), want[1])
    draw = jax.jit(lambda index, key: I.choice(index, candidates)(key, spec))
    # Out of range a traced index is clipped.
    for index, place in ((0, 0), (1, 1), (2, 2), (-4, 0), (9, 2)):
        np.testing.assert_array_equal(draw(index, KEY), want[place])
    mapped = jax.vmap(lambda index: I.choice(index, candidates)(KEY, spec))(jnp.arange(3))
    np.testing.assert_array_equal(mapped, want)


def _dense(*sizes):
    return {
        f"layer_{number}": {
            "weight": _spec(fan_in, fan_out),
            "bias": ParamSpec((fan_out,), fan_in, fan_out, Role.BIAS),
        }
        for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1)
    }


def test_initialize_draws_each_parameter_under_its_paths_key():
    specs = {**_dense(2, 4, 1), "more": [_spec(3, 3), (_spec(2, 2),)]}
    seen = {}

    def init(key, spec):
        seen[spec.path] = spec
        return _of_key(key, spec)

    params = I.initialize(KEY, specs, init)
    assert jax.tree.structure(params) == jax.tree.structure(specs)
    dense = {f"layer_{n}/{kind}" for n in (1, 2) for kind in ("weight", "bias")}
    assert set(seen) == dense | {"more/0", "more/1/0"}
    weight = specs["layer_2"]["weight"]
    assert seen["layer_2/weight"] == dataclasses.replace(weight, path="layer_2/weight")
    want = _of_key(path_key(KEY, "layer_2/weight"), weight)
    np.testing.assert_array_equal(params["layer_2"]["weight"], want)
    # No two parameters share a draw, though some share a shape.
    draws = [leaf.ravel()[0].item() for leaf in jax.tree.leaves(params)]
    assert len(set(draws)) == len(draws) == 6


def test_another_layer_changes_no_draw():
    few, more, wider = (
        I.initialize(KEY, _dense(*sizes), _of_key)
        for sizes in ((2, 4, 5), (2, 4, 5, 3, 2), (2, 4, 9))
    )
    for layer in few:
        for kind in few[layer]:
            np.testing.assert_array_equal(few[layer][kind], more[layer][kind])
    np.testing.assert_array_equal(few["layer_1"]["weight"], wider["layer_1"]["weight"])
    other = I.initialize(jax.random.key(8, impl=GENERATOR), _dense(2, 4, 5), _of_key)
    assert few["layer_1"]["weight"][0, 0] != other["layer_1"]["weight"][0, 0]


def test_one_seed_at_many_scales_is_proportional_under_vmap():
    specs = _dense(4, 4, 4)

    def start(std):
        return I.initialize(KEY, specs, I.by_role(I.normal(std)))

    scales = np.array([0.01, 1, 10], np.float32)
    stacked = jax.jit(jax.vmap(start))(scales)
    unit = start(1.0)
    for layer in specs:
        assert not np.asarray(stacked[layer]["bias"]).any()
        want = scales[:, None, None] * np.asarray(unit[layer]["weight"])[None]
        np.testing.assert_allclose(stacked[layer]["weight"], want, rtol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_orthogonal_is_drawn_in_short_dtypes(dtype):
    spec = ParamSpec((4, 4), 4, 4, dtype=dtype)
    drawn = I.orthogonal()(jax.random.key(0), spec)
    assert drawn.dtype == dtype
    w = np.asarray(drawn, np.float64)
    np.testing.assert_allclose(w @ w.T, np.eye(4), atol=0.03)


@pytest.mark.parametrize("index", [0.5, True, None, "0"])
def test_an_index_that_is_no_integer_is_refused(index):
    with pytest.raises(TypeError, match="index must be"):
        I.choice(index, (I.zeros(), I.ones()))


def test_a_bias_that_is_no_initializer_is_refused():
    with pytest.raises(TypeError, match="bias must be a function, got 0"):
        I.by_role(I.zeros(), bias=0)  # pyright: ignore[reportArgumentType]


def test_numbers_of_any_float_dtype_are_taken_and_huge_ones_refused():
    assert I.normal(jnp.asarray(0.5, jnp.bfloat16))
    with pytest.raises(ValueError, match="must be finite"):
        I.normal(10**400)
