"""Edges of trainability and critical variances, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from thorough import IS_THOROUGH

from initlab import theory


def test_relu_s_edges_are_those_of_its_length():
    # The length grows by sigma_w2 / 2 in a layer: depth = 6 / |ln(sigma_w2 / 2)|.
    depth = np.asarray([1, 3, 8, 64, 1000])
    edges = theory.trainable_edges(jax.nn.relu, depth)
    np.testing.assert_allclose(edges.lower, 2 * np.exp(-6 / depth), rtol=2e-3)
    np.testing.assert_allclose(edges.upper, 2 * np.exp(6 / depth), rtol=2e-3)
    assert theory.trainable_edges(jax.nn.relu, 8).lower.shape == ()


@pytest.mark.thorough
def test_without_biases_tanh_s_edges_are_exponential_below_and_end_above():
    # Below sigma_w2 = 1 the length dies out, where chi1 is sigma_w2.
    edges = theory.trainable_edges(jnp.tanh, np.asarray([4.0, 30.0]))
    np.testing.assert_allclose(edges.lower, np.exp(-6 / np.asarray([4, 30])), rtol=1e-3)
    # Of sums of signs chi is 2/pi at c = 0, at any large scale: 6 / ln(pi/2) = 13.3 layers.
    assert np.isnan(edges.upper[0])
    assert theory.trainable_edges(jnp.tanh, 13.5).upper > 100


# Two edges of one activation take 6 s of a core.
CASES = [(jnp.tanh, 0.05, 40.0), *([(jnp.sin, 0.1, 25.0)] if IS_THOROUGH else [])]


@pytest.mark.parametrize(("activation", "sigma_b2", "depth"), CASES)
def test_at_an_edge_the_trainable_depth_is_the_depth(activation, sigma_b2, depth):
    edges = theory.trainable_edges(activation, depth, sigma_b2)
    critical = theory.critical_sigma_w2(activation, sigma_b2)
    assert edges.lower < critical < edges.upper
    at = theory.trainable_depth(activation, np.asarray(edges), sigma_b2)
    np.testing.assert_allclose(at, depth, rtol=5e-3)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((jax.nn.softplus, 8), "no sigma_w2 is critical for softplus at sigma_b2 = 0.0"),
        ((jax.nn.relu, 8, 0.5), "no sigma_w2 is critical for relu at sigma_b2 = 0.5"),
        ((jnp.tanh, [4, 0]), "depth must be above 0, got 0.0"),
        ((jnp.tanh, np.nan), "depth must be above 0, got nan"),
        ((jnp.tanh, 4, -1.0), "sigma_b2"),
    ],
)
def test_edges_that_do_not_exist_are_refused(args, message):
    with pytest.raises(ValueError, match=message):
        theory.trainable_edges(*args)


def test_critical_variances_are_the_point_s_else_the_line_s():
    np.testing.assert_allclose(theory.critical_variances(jax.nn.relu), (2, 0), atol=1e-9)
    np.testing.assert_allclose(theory.critical_variances(jnp.tanh), (1, 0), atol=1e-9)
    point = theory.critical_point(jax.nn.gelu)
    assert theory.critical_variances(jax.nn.gelu) == (point.sigma_w2, point.sigma_b2)
    # sigmoid has no point: sigma_w2 is 1 / E phi'^2 at the length q = sigma_w2 E phi^2.
    sigma_w2, sigma_b2 = theory.critical_variances(jax.nn.sigmoid)
    assert sigma_b2 == 0
    fixed = theory.fixed_point(jax.nn.sigmoid, sigma_w2, 0.0)
    np.testing.assert_allclose(fixed.chi1, 1, rtol=1e-6)
    with pytest.raises(ValueError, match="no variances are critical for softplus"):
        theory.critical_variances(jax.nn.softplus)
