"""Quadrature and maps of one layer: closed forms, Monte Carlo, derivatives, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_oracles import CLOSED, arc_cosine, correlated, elu, within

from initlab import checks, theory
from initlab.theory.piecewise import find_pieces

CORRELATIONS = np.array([-1, -0.99, -0.4, 0, 0.3, 0.9, 0.999999, 1 - 1e-12, 1])
VARIANCES = np.array([1e-8, 0.3, 1.0, 50.0])

KINKS = {
    "tanh": (jnp.tanh, (), np.inf),
    "relu": (jax.nn.relu, (0,), 1),
    "elu": (jax.nn.elu, (0,), 2),
    "hard_tanh": (jax.nn.hard_tanh, (-1, 1), 1),
    "relu6": (jax.nn.relu6, (0, 6), 1),
    "step": (lambda z: jnp.where(z > np.pi, z, 0.0), (np.pi,), 0),
    "shifted elu": (lambda z: jax.nn.elu(z - 0.3), (0.3,), 2),
}


def test_more_kinks_than_a_quadrature_can_take_are_refused():
    for function in (lambda z: jnp.floor(100 * z), lambda z: jnp.round(2 * z)):
        with pytest.raises(ValueError, match=r"at most 80 kinks or jumps in \[-32, 32\], got"):
            theory.fixed_point(function, 0.5, 0.0)


@pytest.mark.parametrize("name", KINKS)
def test_kinks_are_found_to_the_last_bits(name):
    function, kinks, order = KINKS[name]
    pieces = find_pieces(function)
    assert len(pieces.kinks) == len(kinks)
    np.testing.assert_allclose(pieces.kinks, kinks, rtol=0, atol=1e-13)
    assert pieces.order == order


@pytest.mark.parametrize("name", CLOSED)
def test_pairs_are_those_of_the_closed_form(name):
    function, closed, largest = CLOSED[name]
    q, c = VARIANCES[:, None], CORRELATIONS[None, :]
    pair = theory.pair_expectation(function, q, c)
    expected = closed(q, c)
    assert pair.value.dtype == np.float64
    off, scale, resolved = np.abs(pair.value - expected), np.maximum(q, 1), largest >= VARIANCES
    assert np.all((off <= 1e-12 * scale)[resolved])
    assert np.all((pair.error <= 1e-8 * scale)[resolved])
    assert np.all(off <= pair.error + 1e-12 * scale)


@pytest.mark.parametrize("frequency", [1.0, 5.0, 60.0])
def test_the_error_says_how_far_the_value_is_off(frequency):
    # Waves too short for the panels.
    given = theory.expectation(lambda z: jnp.cos(frequency * z), 1.0)
    off = abs(given.value - np.exp(-(frequency**2) / 2))
    assert off <= 2 * given.error + 1e-14
    assert (given.error > 1e-6) == (frequency > 30)


def test_jumps_are_split():
    share = theory.expectation(lambda z: jnp.where(jnp.abs(z) < 2, z**2, 0.0), 1.0).value
    np.testing.assert_allclose(share, 0.7385358700508894, rtol=1e-13)


def test_maps_are_those_of_draws():
    function, phi = jax.nn.elu, elu
    sigma_w2, sigma_b2, q, c = 1.7, 0.2, 1.3, 0.6
    u, v = correlated(np.random.default_rng(0), q, c, 400_000)
    length = sigma_w2 * phi(u) ** 2 + sigma_b2
    after = theory.q_map(function, sigma_w2, sigma_b2, q)
    assert within(length, after)
    covariance = sigma_w2 * phi(u) * phi(v) + sigma_b2
    assert within(covariance / after, theory.c_map(function, sigma_w2, sigma_b2, q, c))
    step = 1e-6
    slopes = [(phi(x + step) - phi(x - step)) / (2 * step) for x in (u, v)]
    assert within(sigma_w2 * slopes[0] ** 2, theory.chi(function, sigma_w2, q), shift=1e-5)
    pairs = sigma_w2 * slopes[0] * slopes[1]
    assert within(pairs, theory.chi(function, sigma_w2, q, c), shift=1e-5)


@pytest.mark.quick
def test_relu_s_maps_are_the_arc_cosine_kernels():
    c = CORRELATIONS[1:-1]
    np.testing.assert_allclose(theory.c_map(jax.nn.relu, 2.0, 0.0, 3.0, c), 2 * arc_cosine(c))
    slope = 1 - np.arccos(c) / np.pi
    np.testing.assert_allclose(theory.chi(jax.nn.relu, 2.0, 3.0, c), slope, rtol=0, atol=1e-12)


def _numbers(q, c, sigma_w2, sigma_b2):
    """The maps: of tanh, which is smooth, and of relu the one whose integrand jumps."""
    maps = [
        theory.q_map(jnp.tanh, sigma_w2, sigma_b2, q),
        theory.c_map(jnp.tanh, sigma_w2, sigma_b2, q, c),
        theory.chi(jnp.tanh, sigma_w2, q),
        theory.chi(jnp.tanh, sigma_w2, q, c),
        theory.chi(jax.nn.relu, sigma_w2, q, c),
    ]
    return jnp.stack(maps) if not checks.is_concrete(q) else np.stack(maps)


POINT = (0.7, 0.35, 1.8, 0.3)


@pytest.fixture(scope="module")
def derivatives():
    program = jax.jit(jax.jacfwd(_numbers, argnums=(0, 1, 2, 3)))

    def at(*point):
        with jax.enable_x64(True):
            return np.asarray(program(*point))

    return at


def test_derivatives_are_those_of_differences(derivatives):
    step = 1e-5
    slopes = derivatives(*POINT)
    for number in range(4):
        high, low = (
            np.asarray(_numbers(*(x + sign * step * (i == number) for i, x in enumerate(POINT))))
            for sign in (1, -1)
        )
        np.testing.assert_allclose(slopes[number], (high - low) / (2 * step), atol=1e-8)


def test_relu_s_chi_has_the_slope_of_its_closed_form(derivatives):
    expected = 1.8 / (2 * np.pi * np.sqrt(1 - 0.35**2))
    np.testing.assert_allclose(derivatives(*POINT)[1][4], expected, rtol=1e-10)


def test_slopes_are_finite_where_the_formula_is_singular(derivatives):
    slopes = derivatives(0.6, 1.0, 1.5, 0.1)
    after = theory.q_map(jnp.tanh, 1.5, 0.1, 0.6)
    np.testing.assert_allclose(slopes[1][1], theory.chi(jnp.tanh, 1.5, 0.6) * 0.6 / after)
    np.testing.assert_allclose(slopes[0][1], 0, atol=1e-12)
    np.testing.assert_allclose(derivatives(0.0, 0.5, 1.5, 0.1)[0][0], 1.5, rtol=1e-12)


def test_traced_numbers_keep_their_precision_and_agree():
    q, c = np.meshgrid([0.2, 2.0], [-0.5, 0.1, 0.9])
    concrete = theory.c_map(jnp.tanh, 1.5, 0.1, q, c)
    assert concrete.dtype == np.float64
    looped = [theory.c_map(jnp.tanh, 1.5, 0.1, *each) for each in zip(q.flat, c.flat, strict=True)]
    np.testing.assert_allclose(concrete.ravel(), looped, rtol=1e-14)
    mapped = jax.jit(jax.vmap(lambda q, c: theory.c_map(jnp.tanh, 1.5, 0.1, q, c)))
    traced = mapped(jnp.asarray(q.ravel(), jnp.float32), jnp.asarray(c.ravel(), jnp.float32))
    assert traced.dtype == jnp.float32
    np.testing.assert_allclose(traced, looped, rtol=1e-5)


def test_numbers_that_are_known_are_computed_at_once_inside_a_trace():
    @jax.jit
    def scaled(x):
        return x * float(theory.gain(jax.nn.relu))

    np.testing.assert_allclose(scaled(jnp.ones(2)), np.sqrt(2), rtol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("activation", "error", "message"),
    [
        ("tanh", TypeError, "must be a function, got 'tanh'"),
        (lambda: 0.0, TypeError, "function of one array"),
        (jnp.add, TypeError, "function of one array"),
        (jnp.sum, ValueError, "numbers of its shape"),
        (jax.nn.softmax, ValueError, "elementwise"),
        (lambda z: z > 0, ValueError, "real numbers of its shape"),
    ],
)
def test_what_is_no_activation_is_refused(activation, error, message):
    with pytest.raises(error, match=message):
        theory.q_map(activation, 1.0, 0.0, 1.0)


def test_an_activation_that_holds_traced_values_is_refused():
    with pytest.raises(TypeError, match="must not hold traced values"):
        jax.jit(lambda a: theory.gain(lambda z: jnp.where(z > 0, z, a * z)))(0.1)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("numbers", "error", "message"),
    [
        ((-1.0, 0.0, 1.0, 0.5), ValueError, "sigma_w2 must be at least 0, got -1"),
        ((1.0, -0.1, 1.0, 0.5), ValueError, "sigma_b2 must be at least 0, got -0.1"),
        ((1.0, 0.0, np.nan, 0.5), ValueError, "q must be at least 0, got nan"),
        ((1.0, 0.0, 1.0, 1.5), ValueError, r"c must be a correlation in \[-1, 1\], got 1.5"),
        ((1.0, 0.0, 1.0, "0"), TypeError, "c must be real numbers, got '0'"),
        ((1.0, True, 1.0, 0.0), TypeError, "sigma_b2 must be real numbers, got True"),
        ((1.0, 0.0, np.zeros((0,)), 0.0), ValueError, "must not be empty"),
        ((np.ones(2), 0.0, np.ones(3), 0.0), ValueError, "broadcast"),
    ],
)
def test_bad_numbers_are_refused_by_name(numbers, error, message):
    with pytest.raises(error, match=message):
        theory.c_map(jnp.tanh, *numbers)
