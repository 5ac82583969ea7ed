"""Finite width: the cosine of two inputs and the gradient, beside networks drawn in NumPy."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_oracles import within

from initlab import theory
from initlab.activations import slope
from initlab.theory.finite_pairs import _layer_moments
from initlab.theory.piecewise import find_pieces

WIDTH, DEPTH = 24, 4
CHAOTIC = (2.5, 0.05)
"""sigma_w2 and sigma_b2."""
HALF: Any = 0.5
START = (1.5, 0.3)
"""Length and correlation of the first layer's pre-activations."""


def draw(activation, sigma_w2, sigma_b2):
    """1 - c, and squared gradients, of networks: [networks, layers] each."""

    def phi(z):
        return np.asarray(activation(z.astype(np.float32)), float)

    def phi_slope(z):
        return np.asarray(slope(activation, jnp.asarray(z, jnp.float32)), float)

    rng, networks = np.random.default_rng(0), 20_000
    first, second = rng.standard_normal((2, networks, WIDTH))
    second = START[1] * first + np.sqrt(1 - START[1] ** 2) * second
    z = np.sqrt(START[0]) * np.stack([first, second], axis=-1)
    weights, layers = [], [z]
    for _ in range(DEPTH):
        w = rng.standard_normal((networks, WIDTH, WIDTH), np.float32)
        weights.append(w * np.float32(np.sqrt(sigma_w2 / WIDTH)))
        bias = np.sqrt(sigma_b2) * rng.standard_normal((networks, WIDTH, 1))
        layers.append(weights[-1] @ phi(layers[-1]) + bias)
    gradient = rng.standard_normal((networks, WIDTH))
    squares = [np.mean(gradient**2, axis=-1)]
    for w, z in zip(weights[::-1], layers[-2::-1], strict=True):
        gradient = np.einsum("nij,ni->nj", w, gradient) * phi_slope(z[..., 0])
        squares.append(np.mean(gradient**2, axis=-1))
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in layers]
    apart = [1 - np.sum(z[..., 0] * z[..., 1], axis=1) for z in unit]
    return np.stack(apart, axis=1), np.stack(squares[::-1], axis=1)


def assert_shifted(measured, predicted, wide):
    shift = np.abs(predicted - wide)
    # What is left is of the second order.
    assert within(measured, predicted, shift=0.15 * shift)
    error = measured.std(0) / np.sqrt(len(measured))
    assert np.max(np.abs(measured.mean(0) - wide) / error) > 5


def test_the_cosine_shifts_with_the_width_as_predicted():
    predicted = theory.finite_width_correlation(jnp.tanh, *CHAOTIC, *START, WIDTH, DEPTH)
    wide = 1 - theory.propagate(jnp.tanh, *CHAOTIC, *START, DEPTH).c
    assert_shifted(draw(jnp.tanh, *CHAOTIC)[0], predicted, wide)


def test_the_gradient_shifts_with_the_width_as_predicted():
    variances = 2.0, 0.2
    predicted = theory.finite_width_gradient(jax.nn.gelu, *variances, START[0], WIDTH, DEPTH)
    wide = theory.propagate(jax.nn.gelu, *variances, *START, DEPTH).gradient
    assert_shifted(draw(jax.nn.gelu, *variances)[1], predicted, wide)


def test_no_weights_pass_no_gradient_and_signals_of_zero_no_fluctuation():
    of = functools.partial(theory.finite_width_gradient, jax.nn.gelu, width=WIDTH, depth=DEPTH)
    np.testing.assert_array_equal(of(sigma_w2=0.0, sigma_b2=0.1, q0=1.0), [0] * DEPTH + [1])
    # With q = 0 every slope is gelu'(0) = 1/2: chi = 6 / 4, to the power of the layers that follow.
    powers = 1.5 ** np.arange(DEPTH, -1, -1)
    np.testing.assert_allclose(of(sigma_w2=6.0, sigma_b2=0.0, q0=0.0), powers, rtol=1e-12)


def test_the_shift_of_the_cosine_is_of_the_order_of_1_over_width():
    wide = 1 - theory.propagate(jnp.tanh, *CHAOTIC, *START, DEPTH).c
    shifts = [
        theory.finite_width_correlation(jnp.tanh, *CHAOTIC, *START, width, DEPTH) - wide
        for width in (100, 1000)
    ]
    np.testing.assert_allclose(shifts[0], 10 * shifts[1], rtol=1e-6)


@pytest.mark.parametrize(("s", "d"), [(1.6, 0.4), (0.5, 1.5)])
def test_moments_of_relu_are_the_arc_cosine_s(s, d):
    def closed(kernel):
        """Means of half-sum and half-difference squared, and of their product."""
        a, b = (kernel[0] + kernel[1]) / 2 + kernel[2], (kernel[0] + kernel[1]) / 2 - kernel[2]
        both = jnp.sqrt(a * b)
        c = (kernel[0] - kernel[1]) / 2 / both
        pair = both * (jnp.sqrt(1 - c * c) + (jnp.pi - jnp.arccos(c)) * c) / (2 * jnp.pi)
        return jnp.stack([(a + b) / 4 + pair, (a + b) / 4 - pair, (a - b) / 4])

    with jax.enable_x64(True):
        kernel = jnp.array([s, d, 0.0])
        found = jax.jit(lambda s, d: _layer_moments(find_pieces(jax.nn.relu), s, d))(*kernel[:2])
        mean, _, _, first, second, cross_curvature, cross_slope = found
        value, slope, curvature = (
            jax.jit(each)(kernel) for each in (closed, jax.jacfwd(closed), jax.hessian(closed))
        )
    np.testing.assert_allclose(mean, value[:2], rtol=1e-10)
    np.testing.assert_allclose(first, slope[:2, :2], rtol=1e-10)
    np.testing.assert_allclose(second, curvature[:2, :2, :2], rtol=1e-8)
    np.testing.assert_allclose(cross_curvature, curvature[:2, 2, 2], rtol=1e-8)
    np.testing.assert_allclose(cross_slope, slope[2, 2], rtol=1e-10)


def test_what_is_no_number_or_no_correlation_is_refused():
    with pytest.raises(ValueError, match=r"c0 must be in \(-1, 1\), got 1.0"):
        theory.finite_width_correlation(jnp.tanh, 1.0, 0.0, 1.0, 1.0, 10, 2)
    with pytest.raises(ValueError, match="width must be one number"):
        theory.finite_width_correlation(jnp.tanh, 1.0, 0.0, 1.0, 0.5, np.ones(2), 2)
    with pytest.raises(ValueError, match="q0 must be one number"):
        theory.finite_width_gradient(jnp.tanh, 1.0, 0.0, np.ones(2), 10, 2)
    with pytest.raises(ValueError, match="depth"):
        theory.finite_width_gradient(jnp.tanh, 1.0, 0.0, 1.0, 10, 0)
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"c0 must be in \[-1, 1\], got 1.5"):
        theory.sample_finite_width(key, jnp.tanh, 1.0, 0.0, 1.0, 1.5, 10, 2)
    with pytest.raises(ValueError, match=r"sigma_w2 must be at least 0, got -1.0"):
        theory.sample_finite_width(key, jnp.tanh, -1.0, 0.0, 1.0, 0.5, 10, 2)
    with pytest.raises(TypeError, match="width must be an integer"):
        theory.sample_finite_width(key, jnp.tanh, 1.0, 0.0, 1.0, 0.5, HALF, 2)


def test_the_exact_law_is_that_of_networks_that_are_drawn():
    """Far from wide, where the first order would be off; means and spreads of both."""
    width, depth, networks = 3, 4, 40_000
    keys = jax.random.split(jax.random.key(0), networks)
    drawn = jax.jit(
        jax.vmap(
            lambda key: theory.sample_finite_width(key, jnp.tanh, *CHAOTIC, *START, width, depth)
        )
    )(keys)
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, networks, width))
    second = START[1] * first + np.sqrt(1 - START[1] ** 2) * second
    z = np.sqrt(START[0]) * np.stack([first, second], axis=-1)
    for layer in range(depth + 1):
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        for found, expected in (
            (drawn.q[:, layer], np.mean(z[..., 0] ** 2, axis=1)),
            (drawn.cosine_distance[:, layer], 1 - np.sum(unit[..., 0] * unit[..., 1], axis=1)),
        ):
            for power in (1, 2):
                one, other = np.asarray(found, float) ** power, expected**power
                error = np.hypot(one.std(), other.std()) / np.sqrt(networks)
                assert abs(one.mean() - other.mean()) < 4 * error
        w = rng.standard_normal((networks, width, width)) * np.sqrt(CHAOTIC[0] / width)
        z = w @ np.tanh(z) + np.sqrt(CHAOTIC[1]) * rng.standard_normal((networks, width, 1))


def test_the_exact_law_agrees_with_the_first_order_where_that_is_enough():
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = jax.jit(
        jax.vmap(lambda key: theory.sample_finite_width(key, jnp.tanh, *CHAOTIC, *START, 200, 4))
    )(keys)
    band = theory.finite_width_variance(jnp.tanh, *CHAOTIC, START[0], 200, 4)
    assert within(np.asarray(drawn.q, float), band.mean)
    apart = theory.finite_width_correlation(jnp.tanh, *CHAOTIC, *START, 200, 4)
    assert within(np.asarray(drawn.cosine_distance, float), apart)


def test_the_exact_law_keeps_its_digits_where_two_inputs_are_nearly_one():
    drawn = jax.jit(
        lambda key: theory.sample_finite_width(key, jax.nn.relu, 2.0, 0.1, 1.0, 1 - 2e-6, 50, 3)
    )(jax.random.key(0))
    # c0 in float32 has a rounding of its own of 3 %.
    np.testing.assert_allclose(drawn.cosine_distance[0], 2e-6, rtol=0.5)
    assert np.all(np.asarray(drawn.cosine_distance) > 0)
