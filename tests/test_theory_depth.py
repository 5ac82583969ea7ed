"""What depth and finite width do: drawn networks in NumPy, closed forms, published numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from theory_oracles import arc_cosine, squared_lengths, within

from initlab import theory
from initlab.activations import identity


def test_relu_s_correlations_are_the_published_ones():
    layers = theory.propagate(jax.nn.relu, 2.0, 0.0, 1.0, 0.0, 100)
    published = {1: 0.3183098862, 2: 0.4937310902, 3: 0.6048257201, 10: 0.8715355160}
    for layer, c in (published | {100: 0.9964231467}).items():
        np.testing.assert_allclose(layers.c[layer], c, rtol=0, atol=1e-10)
    np.testing.assert_allclose(layers.q, 1, rtol=1e-12)
    np.testing.assert_allclose(layers.gradient, 1, rtol=1e-12)


def test_lengths_correlations_and_gradients_go_through_the_maps():
    grid = np.array([1.5, 2.5])
    layers = theory.propagate(jnp.tanh, grid, 0.05, 1.0, 0.3, 4)
    assert layers.q.shape == (2, 5)
    for row, sigma_w2 in enumerate(grid):
        q, c = 1.0, 0.3
        for layer in range(5):
            np.testing.assert_allclose(layers.q[row, layer], q)
            np.testing.assert_allclose(layers.c[row, layer], c)
            np.testing.assert_allclose(layers.chi[row, layer], theory.chi(jnp.tanh, sigma_w2, q))
            after = np.prod(layers.chi[row, layer:-1])
            np.testing.assert_allclose(layers.gradient[row, layer], after)
            c = theory.c_map(jnp.tanh, sigma_w2, 0.05, q, c)
            q = theory.q_map(jnp.tanh, sigma_w2, 0.05, q)


def test_the_first_layer_takes_the_data_as_they_are():
    x = np.random.default_rng(0).standard_normal((2, 8))
    length = (x**2).mean()
    x *= np.sqrt(length / (x**2).mean(1, keepdims=True))
    q, c = theory.first_layer(1.5, 0.2, length, (x[0] * x[1]).mean() / length)
    covariance = 1.5 * x @ x.T / 8 + 0.2
    np.testing.assert_allclose(np.stack([q, q * c]), covariance[0])


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_residual_streams_of_relu_grow_geometrically(scale):
    layers = theory.propagate_residual(jax.nn.relu, 2.0, 0.0, 1.0, 0.5, 6, branch_scale=scale)
    rate = 1 + scale**2
    np.testing.assert_allclose(layers.q, rate ** np.arange(7), rtol=1e-12)
    np.testing.assert_allclose(layers.gradient, rate ** np.arange(6, -1, -1), rtol=1e-12)
    expected = (0.5 + scale**2 * 2 * arc_cosine(0.5)) / rate
    np.testing.assert_allclose(layers.c[1], expected, rtol=1e-12)


def test_residual_networks_are_as_predicted():
    rng = np.random.default_rng(1)
    networks, width, depth, scale = 300, 60, 3, 0.7
    lengths = {False: [], True: []}
    for norm, rows in lengths.items():
        h = rng.standard_normal((networks, width))
        h *= 1 / np.sqrt((h**2).mean(1, keepdims=True))
        for _ in range(depth):
            rows.append((h**2).mean(1))
            centred = h - h.mean(1, keepdims=True)
            seen = centred / centred.std(1, keepdims=True) if norm else h
            weights = rng.standard_normal((networks, width, width)) * np.sqrt(1.6 / width)
            h = h + scale * np.einsum("nij,nj->ni", weights, np.tanh(seen))
        rows.append((h**2).mean(1))
        layers = theory.propagate_residual(
            jnp.tanh, 1.6, 0.0, 1.0, 1.0, depth, branch_scale=scale, pre_norm=norm
        )
        # The shift is what a width of 60 changes.
        assert within(np.stack(rows, 1), layers.q, shift=0.02)


def test_a_stream_seen_through_a_norm_grows_linearly():
    layers = theory.propagate_residual(jax.nn.relu, 2.0, 0.0, 1.0, 0.0, 40, pre_norm=True)
    np.testing.assert_allclose(layers.q, 1 + np.arange(41), rtol=1e-12)
    # prod (1 + 1 / l) is linear in depth: a power law, where without a norm it is exponential.
    np.testing.assert_allclose(layers.gradient[0], 41, rtol=1e-12)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_branch_of_two_layers_on_relu_is_a_closed_form(pre_norm):
    # relu's maps are linear in length: a branch multiplies what enters it by s^2 w1 w2 / 2.
    w1, w2, scale = 1.5, 1.2, 0.8
    gain = scale**2 * w1 * w2 / 2
    layers = theory.propagate_residual(
        jax.nn.relu, w2, 0.0, 3.0, 0.5, 4, branch_scale=scale, pre_norm=pre_norm, inner=(w1, 0.0)
    )
    length = 3 + gain * np.arange(5) if pre_norm else 3 * (1 + gain) ** np.arange(5)
    np.testing.assert_allclose(layers.q, length, rtol=1e-12)
    # The gradient passes the same weights as the signal does.
    np.testing.assert_allclose(layers.gradient, length[-1] / length, rtol=1e-12)
    entering = 1.0 if pre_norm else 3.0
    first = (3 * 0.5 + gain * entering * 2 * arc_cosine(0.5)) / length[1]
    np.testing.assert_allclose(layers.c[1], first, rtol=1e-12)


def test_biases_inside_a_branch_add_to_what_enters_phi():
    numbers = {"sigma_w2": 1.4, "sigma_b2": 0.2, "q0": 0.7, "c0": 0.3, "depth": 1}
    layers = theory.propagate_residual(jnp.tanh, **numbers, inner=(1.2, 0.5))
    q, c = 1.2 * 0.7 + 0.5, (1.2 * 0.7 * 0.3 + 0.5) / (1.2 * 0.7 + 0.5)
    branch = theory.q_map(jnp.tanh, 1.4, 0.2, q)
    np.testing.assert_allclose(layers.q[1], 0.7 + branch)
    covariance = 0.7 * 0.3 + branch * theory.c_map(jnp.tanh, 1.4, 0.2, q, c)
    np.testing.assert_allclose(layers.c[1], covariance / layers.q[1])
    np.testing.assert_allclose(layers.chi[0], 1 + 1.2 * theory.chi(jnp.tanh, 1.4, q))
    # An inner layer that changes nothing is none.
    same = theory.propagate_residual(jnp.tanh, **numbers, inner=(1.0, 0.0))
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-12),
        same,
        theory.propagate_residual(jnp.tanh, **numbers),
    )


@pytest.mark.parametrize(
    ("inner", "error", "message"),
    [
        (1.0, TypeError, "inner must be a sequence, got 1.0"),
        ((1.0,), TypeError, "inner must be a pair"),
        ((-1.0, 0.0), ValueError, "inner sigma_w2 must be at least 0, got -1.0"),
    ],
)
def test_inner_variances_are_checked(inner, error, message):
    with pytest.raises(error, match=message):
        theory.propagate_residual(jnp.tanh, 1.0, 0.0, 1.0, 0.5, 2, inner=inner)


def test_a_norm_cancels_the_scale_of_the_weights():
    for sigma_w2 in (0.1, 30.0):
        layers = theory.propagate_normalized(jnp.tanh, sigma_w2, 0.0, 0.5, 3)
        np.testing.assert_allclose(layers.q, 1)
        steep = theory.chi(jnp.tanh, 1.0, 1.0) / theory.q_map(jnp.tanh, 1.0, 0.0, 1.0)
        np.testing.assert_allclose(layers.chi, steep)


def test_branch_scales():
    assert theory.fixup_scale(100, 3) == pytest.approx(100**-0.25)
    assert theory.stable_branch_scale(100) == pytest.approx(0.1)
    growth = theory.propagate_residual(jax.nn.relu, 2.0, 0.0, 1.0, 1.0, 6, branch_scale=6**-0.5)
    np.testing.assert_allclose(growth.q[-1], (1 + 1 / 6) ** 6)


@pytest.mark.parametrize(("activation", "excess"), [(jax.nn.relu, 5), (identity, 2)])
def test_homogeneous_activations_spread_as_hanin_says(activation, excess):
    widths = np.array([20.0, 50, 10, 30])
    sigma_w2 = float(theory.gain(activation)) ** 2
    band = theory.finite_width_variance(activation, sigma_w2, 0.0, 3.0, widths, 3)
    expected = np.concatenate([[1], np.cumprod(1 + excess / widths[:-1])])
    np.testing.assert_allclose(1 + band.kernel_variance / 9, expected, rtol=1e-10)
    np.testing.assert_allclose(band.mean, 3, rtol=1e-10)
    measured = expected * (1 + 2 / widths)
    np.testing.assert_allclose(1 + band.variance / 9, measured, rtol=1e-10)


@pytest.mark.parametrize(
    ("phi", "activation", "sigma_w2", "sigma_b2"),
    [(np.tanh, jnp.tanh, 2.5, 0.1), (np.sin, jnp.sin, 3.0, 0.0)],
)
def test_lengths_of_drawn_networks_lie_in_the_band(phi, activation, sigma_w2, sigma_b2):
    width, depth, networks = 20, 4, 40_000
    rng = np.random.default_rng(2)
    lengths = squared_lengths(rng, phi, sigma_w2, sigma_b2, 0.8, width, depth, networks)
    band = theory.finite_width_variance(activation, sigma_w2, sigma_b2, 0.8, width, depth)
    assert within(lengths, band.mean)
    # Without the width's shift of the mean they do not.
    plain = theory.propagate(activation, sigma_w2, sigma_b2, 0.8, 0.0, depth).q
    assert not within(lengths, plain)
    np.testing.assert_allclose(lengths.var(0), band.variance, rtol=0.04)


@pytest.mark.parametrize(("width", "depth"), [(2, 5), (3, 10)])
def test_relu_networks_die_as_often_as_said(width, depth):
    rng = np.random.default_rng(3)
    h = np.abs(rng.standard_normal((40_000, width)))
    for _ in range(depth):
        weights = rng.standard_normal((len(h), width, width))
        h = np.maximum(np.einsum("nij,nj->ni", weights, h), 0)
    dead = (h == 0).all(1).astype(float)
    assert within(dead, theory.dying_relu_probability(width, depth))


@pytest.mark.parametrize("orthogonal", [False, True])
def test_jacobians_spread_as_said(orthogonal):
    rng = np.random.default_rng(4)
    width, depth, gain = 150, 4, 1.3
    jacobian, z = np.eye(width), rng.standard_normal(width)
    q = theory.fixed_point(jnp.tanh, gain**2, 0.1).q
    z *= np.sqrt(q / (z**2).mean())
    for _ in range(depth):
        slope = 1 - np.tanh(z) ** 2
        weights = rng.standard_normal((width, width)) / np.sqrt(width)
        if orthogonal:
            weights = np.linalg.qr(weights)[0]
        jacobian = gain * weights @ (slope[:, None] * jacobian)
        z = gain * weights @ np.tanh(z) + np.sqrt(0.1) * rng.standard_normal(width)
    squares = np.linalg.svd(jacobian, compute_uv=False) ** 2
    said = theory.jacobian_spectrum(jnp.tanh, gain**2, q, depth, orthogonal=orthogonal)
    np.testing.assert_allclose(squares.mean(), said.mean, rtol=0.1)
    np.testing.assert_allclose(squares.var(), said.variance, rtol=0.2)


def test_frequencies_are_eigenvalues_of_the_averaging():
    variances, positions = np.array([0.5, 0.3, 0.2]), 8
    averaging = sum(v * np.roll(np.eye(positions), d, axis=1) for d, v in enumerate(variances))
    eigenvalues = np.sort(np.abs(np.linalg.eigvals(averaging)))
    gains = theory.frequency_gains(variances * 7, positions)
    both = np.sort(np.concatenate([gains, gains[1:-1]]))
    np.testing.assert_allclose(both, eigenvalues, atol=1e-12)
    scales = theory.frequency_depth_scale(0.9, gains)
    np.testing.assert_allclose(np.exp(-1 / scales), 0.9 * gains, rtol=1e-12)
    with pytest.raises(ValueError, match="1 to 2 of them"):
        theory.frequency_gains(variances, 2)


def test_uniform_attention_mixes_tokens_as_said():
    tokens, features, depth, scale = 6, 2000, 3, 0.8
    rng = np.random.default_rng(5)
    common = rng.standard_normal(features)
    x = np.sqrt(0.2) * common + np.sqrt(0.8) * rng.standard_normal((tokens, features))
    said = theory.propagate_uniform_attention(1.5, 1.0, 0.2, tokens, depth, branch_scale=scale)
    for layer in range(depth + 1):
        covariance = x @ x.T / features
        pairs = covariance[~np.eye(tokens, dtype=bool)].mean()
        length = covariance.trace() / tokens
        np.testing.assert_allclose(length, said.q[layer], rtol=0.1)
        np.testing.assert_allclose(pairs / length, said.c[layer], atol=0.05)
        # W has independent entries of variance 1.5 / features: so has its product with a vector.
        mixed = np.linalg.norm(x.mean(0)) * np.sqrt(1.5 / features)
        x = x + scale * mixed * rng.standard_normal(features)
    with pytest.raises(ValueError, match=r"c0 of 3 tokens must be at least -0\.5"):
        theory.propagate_uniform_attention(1.0, 1.0, -0.9, 3, 1)


def test_attention_alone_collapses_doubly_exponentially():
    bounds = [theory.rank_collapse_bound(0.5, 0.9, depth) for depth in (1, 2, 3)]
    r, factor = 0.5, 0.9
    for bound in bounds:
        r = factor * r**3
        np.testing.assert_allclose(bound, r, rtol=1e-12)


def test_linear_modes_are_learned_in_the_time_said():
    s, start, end, rate = 1.5, 0.02, 1.4, 1e-3
    a = b = np.sqrt(start)
    steps = 0
    while a * b < end:
        gradient = s - a * b
        a, b = a + rate * b * gradient, b + rate * a * gradient
        steps += 1
    time = theory.linear_learning_time(s, start, end)
    np.testing.assert_allclose(steps * rate, time, rtol=2e-3)
    np.testing.assert_allclose(theory.linear_mode(s, start, time), end, rtol=1e-12)
    assert theory.linear_learning_time(s, start, end, 1 / rate) == pytest.approx(time / rate)


DEPTH: Any = 1.5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: theory.propagate(jnp.tanh, 1.0, 0.0, 1.0, 0.0, 0), ValueError, "depth must be at"),
        (
            lambda: theory.propagate(jnp.tanh, 1.0, 0.0, 1.0, 2.0, 1),
            ValueError,
            "c0 must be a corr",
        ),
        (
            lambda: theory.finite_width_variance(jnp.tanh, 1.0, 0.0, 1.0, np.ones(3), 5),
            ValueError,
            r"width must be a number or \[6\]",
        ),
        (
            lambda: theory.finite_width_variance(jnp.tanh, np.ones(2), 0.0, 1.0, 9, 5),
            ValueError,
            "sigma_w2 must be one number",
        ),
        (lambda: theory.dying_relu_probability(0, 3), ValueError, "must be at least 1"),
        (lambda: theory.fixup_scale(3, 1), ValueError, "branch_layers must be at least 2"),
        (
            lambda: theory.jacobian_spectrum(jnp.tanh, 1.0, 1.0, DEPTH),
            TypeError,
            "depth must be an",
        ),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_how_deep_a_signal_gets():
    # relu's length is multiplied by sigma_w2 / 2 in each layer.
    sigma_w2 = np.array([1 / 3, 0.77, 1.0, 3.0])
    depths = theory.trainable_depth(jax.nn.relu, sigma_w2, 0.0)
    np.testing.assert_allclose(depths, 6 / np.abs(np.log(sigma_w2 / 2)), rtol=1e-6)
    # tanh at the published fixed points: 6 xi_c.
    depths = theory.trainable_depth(jnp.tanh, np.array([1.5, 2.5]), 0.05)
    np.testing.assert_allclose(depths, 6 * np.array([15.790994, 11.795598]), rtol=1e-5)
    assert theory.trainable_depth(jax.nn.relu, 2.0, 0.0) == np.inf
