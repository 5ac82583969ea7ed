"""Fixed points, criticality, gains, the phase diagram: published numbers, residuals, flags."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import theory
from initlab.activations import identity
from initlab.theory.roots import bracketed_root

gelu = functools.partial(jax.nn.gelu, approximate=False)


@pytest.mark.parametrize(
    ("variances", "published"),
    [
        ((1.5, 0.05), (0.41803720, 1, 0.93863627, 15.790994)),
        ((2.5, 0.05), (1.06395838, 0.44680423, 1.13351570, 11.795598)),
    ],
)
def test_tanh_s_fixed_points_are_the_published_ones(variances, published):
    point = theory.fixed_point(jnp.tanh, *variances)
    np.testing.assert_allclose([point.q, point.c, point.chi1, point.xi_c], published, rtol=1e-7)
    assert point.exists


@pytest.mark.parametrize(
    "variances",
    [(0.3, 1.0), (1.0001, 1e-9), (1.76095464, 0.05), (1.77, 0.05), (1.7612, 0.05), (40.0, 0.0)],
)
def test_fixed_points_are_fixed_also_near_criticality(variances):
    sigma_w2, sigma_b2 = variances
    point = theory.fixed_point(jnp.tanh, sigma_w2, sigma_b2)
    # The map crosses the diagonal within a part of 1e-10.
    below, above = (
        theory.q_map(jnp.tanh, sigma_w2, sigma_b2, point.q * share) - point.q * share
        for share in (1 - 1e-10, 1 + 1e-10)
    )
    assert below > 0 > above
    if point.chi1 > 1 + 1e-8:
        step = 1e-10
        low, high = (
            theory.c_map(jnp.tanh, sigma_w2, sigma_b2, point.q, c) - c
            for c in (point.c - step, point.c + step)
        )
        assert low > 0 > high
        slope = theory.chi(jnp.tanh, sigma_w2, point.q, point.c)
    else:
        assert abs(point.c - 1) < 1e-8
        slope = theory.chi(jnp.tanh, sigma_w2, point.q)
    np.testing.assert_allclose(np.exp(-1 / point.xi_c), slope, rtol=1e-9)


def test_lengths_die_out_below_criticality():
    point = theory.fixed_point(jnp.tanh, 0.8, 0.0)
    np.testing.assert_allclose([point.q, point.c, point.chi1], [0, 1, 0.8], rtol=1e-12)
    assert theory.fixed_point(jnp.tanh, 1.0, 0.0).q == 0


def test_relu_has_a_fixed_length_below_its_critical_line_alone():
    below = theory.fixed_point(jax.nn.relu, 1.5, 0.1)
    expected = [0.4, 1, 0.75, -1 / np.log(0.75), -1 / np.log(0.75)]
    np.testing.assert_allclose(below[:5], expected, rtol=1e-12)
    on = theory.fixed_point(jax.nn.relu, 2.0, 0.0)
    np.testing.assert_allclose(on[:5], [1, 1, 1, np.inf, np.inf], rtol=1e-12)
    assert on.exists
    for variances in ((2.0, 0.1), (2.1, 0.0)):
        off = theory.fixed_point(jax.nn.relu, *variances)
        assert not off.exists
        assert off.q == np.inf
        assert np.isnan([off.c, off.xi_q, off.xi_c]).all()
        np.testing.assert_allclose(off.chi1, variances[0] / 2)


def test_fixed_points_are_differentiable():
    point = np.array([2.5, 0.05])

    @jax.jit
    def slopes(direction):
        def numbers(sigma_w2, sigma_b2):
            return jnp.stack(theory.fixed_point(jnp.tanh, sigma_w2, sigma_b2)[:5])

        return jax.jvp(numbers, tuple(point), tuple(direction))[1]

    step = 1e-5
    for direction in np.eye(2):
        high, low = (
            np.stack(theory.fixed_point(jnp.tanh, *(point + shift * direction))[:5])
            for shift in (step, -step)
        )
        with jax.enable_x64(True):
            slope = slopes(direction)
        np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-6)


def test_tanh_s_critical_line_is_the_published_one():
    biases = np.array([0, 0.05, 0.1, 0.2])
    line = theory.critical_sigma_w2(jnp.tanh, biases)
    published = [1, 1.76095464, 1.98607264, 2.28515247]
    np.testing.assert_allclose(line, published, rtol=0, atol=1e-8)
    lengths = (0, 0.57004788, 0.8057992, 1.1644963)
    for sigma_w2, sigma_b2, q in zip(line, biases, lengths, strict=True):
        np.testing.assert_allclose(theory.chi(jnp.tanh, sigma_w2, q), 1, atol=1e-7)
        np.testing.assert_allclose(theory.q_map(jnp.tanh, sigma_w2, sigma_b2, q), q, atol=1e-7)


def test_a_critical_line_is_missing_where_no_length_is_fixed():
    line = theory.critical_sigma_w2(jax.nn.relu, np.array([0.0, 0.1, 1.0, 2.0]))
    np.testing.assert_allclose(line, [2, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("activation", "published"),
    [
        # Roberts, Yaida and Hanin 2021, section 5.3; silu's stand in the function's docstring.
        (gelu, (1.98305826, 0.17292239, None)),
        (jnp.tanh, (1, 0, 0)),
        (jax.nn.relu, (2, 0, 1)),
        (jax.nn.sigmoid, (np.nan, np.nan, np.nan)),
    ],
)
def test_critical_points_are_the_published_ones(activation, published):
    point = theory.critical_point(activation)
    for number, expected in zip(point, published, strict=True):
        if expected is not None:
            np.testing.assert_allclose(number, expected, atol=1e-8)
    if published[0] > 0:
        sigma_w2, sigma_b2, q = point
        np.testing.assert_allclose(theory.chi(activation, sigma_w2, q), 1, rtol=1e-12)
        after = theory.q_map(activation, sigma_w2, sigma_b2, q)
        np.testing.assert_allclose(after, q, rtol=1e-12, atol=1e-15)


def test_gains_are_the_published_ones():
    np.testing.assert_allclose(theory.gain(jax.nn.relu), np.sqrt(2), rtol=1e-14)
    np.testing.assert_allclose(theory.centered_gain(jax.nn.relu), 1.71285855, atol=1e-8)
    np.testing.assert_allclose(theory.centered_gain(jax.nn.sigmoid), 4.80131337, atol=1e-8)
    np.testing.assert_allclose(theory.gain(jnp.tanh), theory.centered_gain(jnp.tanh), rtol=1e-14)
    slope = 0.3
    np.testing.assert_allclose(
        theory.gain(lambda z: jax.nn.leaky_relu(z, slope)),
        theory.leaky_relu_gain(slope),
        rtol=1e-14,
    )
    assert [theory.torch_gain(each) for each in (identity, jnp.tanh)] == [1, 5 / 3]
    with pytest.raises(ValueError, match="has gains for identity, sigmoid, tanh, relu, selu"):
        theory.torch_gain(jnp.sin)


def test_the_phase_diagram_is_made_of_fixed_points():
    # The hardest to interpolate: its kinks meet.
    phi = jax.nn.hard_tanh
    weights, biases = np.array([0.5, 1.2, 2.5, 4.0]), np.array([0.0, 0.05, 0.4])
    diagram = theory.edge_of_chaos(phi, weights, biases)
    for i, sigma_w2 in enumerate(weights):
        for j, sigma_b2 in enumerate(biases):
            single = theory.fixed_point(phi, sigma_w2, sigma_b2)
            point = jax.tree.map(lambda grid, at=(i, j): grid[at], diagram.fixed_point)
            np.testing.assert_allclose(
                [point.q, point.chi1, point.xi_q], [single.q, single.chi1, single.xi_q], rtol=1e-12
            )
            np.testing.assert_allclose(point.c, single.c, rtol=0, atol=1e-8)
            np.testing.assert_allclose(point.xi_c, single.xi_c, rtol=1e-6)
            assert point.exists == single.exists
    for sigma_w2, sigma_b2 in zip(diagram.critical_sigma_w2, biases, strict=True):
        np.testing.assert_allclose(theory.fixed_point(phi, sigma_w2, sigma_b2).chi1, 1, rtol=1e-10)


@pytest.mark.thorough
def test_the_slopes_of_the_phase_diagram_are_those_of_its_points():
    """By either variance; an ordered point beside chaotic ones, and one without weights."""
    weights, biases = jnp.array([0.0, 1.0, 1.5, 4.0]), jnp.array([0.05])

    def total(weights, biases):
        points = theory.edge_of_chaos(jnp.tanh, weights, biases).fixed_point
        return jnp.sum(points.c) + jnp.sum(points.xi_c)

    def one(sigma_w2, sigma_b2):
        point = theory.fixed_point(jnp.tanh, sigma_w2, sigma_b2)
        return point.c + point.xi_c

    by_weights, by_biases = jax.grad(total, argnums=(0, 1))(weights, biases)
    single = jax.vmap(jax.grad(one, argnums=(0, 1)), (0, None))(weights[1:], biases[0])
    np.testing.assert_allclose(by_weights[1:], single[0], rtol=1e-3)
    np.testing.assert_allclose(by_biases, jnp.sum(single[1], keepdims=True), rtol=1e-3)


def test_a_phase_diagram_wants_two_grids():
    with pytest.raises(ValueError, match=r"sigma_b2 must be a grid of rank one, got shape \(\)"):
        theory.edge_of_chaos(jnp.tanh, np.ones(2), np.asarray(0.0))


@pytest.mark.parametrize(
    ("function", "low", "high", "root"),
    [
        (lambda x: x**3 - 2, 0.0, 2.0, 2 ** (1 / 3)),
        (lambda x: jnp.exp(20 * x) - 1, -1.0, 3.0, 0.0),
        (lambda x: jnp.sign(x - 0.3), -1.0, 1.0, 0.3),
        (lambda x: x, 0.0, 1.0, 0.0),
    ],
)
def test_roots_are_found_to_neighbouring_floats(function, low, high, root):
    with jax.enable_x64(True):
        found = bracketed_root(function, jnp.float64(low), jnp.float64(high))
    np.testing.assert_allclose(found, root, rtol=1e-15, atol=1e-16)


def test_a_bias_variance_beyond_the_range_of_q_is_refused():
    with pytest.raises(ValueError, match="sigma_b2 must be under 1e"):
        theory.fixed_point(jnp.tanh, 1.5, np.asarray([0.1, 1e12]))
