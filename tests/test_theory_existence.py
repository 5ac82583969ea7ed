"""Means that are infinite: refused where they are known, NaN in a compiled program, never numbers.

The activation exp(z^2 / 4) has E phi^2 = (1 - q)^(-1/2) and E phi'^2 = q (1 - q)^(-3/2) / 4 under
N(0, q) with q under 1, and neither from there on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import theory
from initlab.theory.existence import lost_layers

pytestmark = pytest.mark.quick

REFUSED = "^activation must have a finite mean (square |fourth power )?under"


def phi(z):
    return jnp.exp(z**2 / 4)


def _recursion(sigma_w2, sigma_b2, q, depth):
    """q and chi of each layer by the closed forms; NaN from where they have no value."""
    layers = []
    for _ in range(depth + 1):
        room = 1 - q if q < 1 else np.nan
        layers.append((q, sigma_w2 * q / 4 * room**-1.5))
        q = sigma_w2 * room**-0.5 + sigma_b2
    return np.array(layers).T


def test_layers_are_the_closed_forms_while_their_means_are_finite():
    q, chi = _recursion(0.1, 0.3, 0.5, 4)
    found = theory.propagate(phi, 0.1, 0.3, 0.5, 0.5, 4)
    np.testing.assert_allclose(found.q, q, rtol=1e-9)
    np.testing.assert_allclose(found.chi, chi, rtol=1e-9)
    with pytest.raises(ValueError, match=REFUSED):
        theory.propagate(phi, 0.1, 0.7, 0.5, 0.5, 4)


def test_a_compiled_program_gives_nan_from_the_layer_whose_mean_is_infinite():
    """Start by start: one gets there late, one at once."""
    starts = np.array([0.5, 1.5], np.float32)
    found = jax.jit(lambda q: theory.propagate(phi, 0.1, 0.7, q, 0.5, 4))(starts)
    for mine, gradient, start in zip(found.q, found.gradient, starts, strict=True):
        closed, _ = _recursion(0.1, 0.7, start, 4)
        # Where little of a mean dies out within the reach, NaN comes a layer early, never late.
        known = np.isfinite(mine)
        np.testing.assert_allclose(mine[known], closed[known], rtol=2e-4)
        assert np.isnan(closed).any()
        assert np.isnan(gradient[0])
    assert np.isfinite(found.q[:, 0]).all()
    assert np.isfinite(found.q[0, 1])
    for leaf in (found.q[1, 1:], found.c[1, 1:], found.chi[1]):
        assert np.isnan(leaf).all()


NUMBERS = {"sigma_w2": 0.5, "sigma_b2": 0.1, "q0": 1.5, "q": 1.5, "c": 0.5, "width": 9.0}
ONE_LAYER = [
    (theory.q_map, ("sigma_w2", "sigma_b2", "q"), ()),
    (theory.chi, ("sigma_w2", "q"), ()),
    (theory.jacobian_spectrum, ("sigma_w2", "q"), (3,)),
]
LONGER = [
    (theory.c_map, ("sigma_w2", "sigma_b2", "q", "c"), ()),
    (theory.chi, ("sigma_w2", "q", "c"), ()),
    (theory.propagate_residual, ("sigma_w2", "sigma_b2", "q0", "c"), (3,)),
    (theory.propagate_normalized, ("sigma_w2", "sigma_b2", "c"), (3,)),
    (theory.finite_width_variance, ("sigma_w2", "sigma_b2", "q0", "width"), (2,)),
    (theory.finite_width_correlation, ("sigma_w2", "sigma_b2", "q0", "c", "width"), (2,)),
]
MORE = [pytest.param(*row, marks=pytest.mark.thorough) for row in LONGER]


@pytest.mark.parametrize(("function", "names", "depth"), [*ONE_LAYER, *MORE])
def test_an_infinite_mean_is_refused_and_in_a_compiled_program_nan(function, names, depth):
    numbers = [NUMBERS[name] for name in names]
    with pytest.raises(ValueError, match=REFUSED):
        function(phi, *numbers, *depth)
    found = jax.jit(lambda *given: function(phi, *given, *depth))(*map(jnp.float32, numbers))
    for leaf in jax.tree.leaves(found):
        # Of layers, the start is what was given, and the gradient at the last one is 1.
        assert np.isnan(leaf if leaf.ndim == 0 else leaf[1:-1]).all()


@pytest.mark.thorough
def test_a_gradient_at_finite_width_is_refused_of_an_infinite_fourth_power():
    """E phi^4 is finite for q under 1/2 alone; a mean that has overflowed says so itself."""
    with pytest.raises(ValueError, match=REFUSED):
        theory.finite_width_gradient(phi, 0.5, 0.1, 0.5, 9.0, 2)


@pytest.mark.thorough
def test_a_critical_point_is_none_of_an_infinite_mean():
    """phi phi'' > 0: there is no such point; the line without biases ends at q^2 = 4 (1 - q)."""
    assert np.isnan(theory.critical_point(phi)).all()
    q = np.sqrt(8) - 2
    critical = 4 * (1 - q) ** 1.5 / q
    np.testing.assert_allclose(theory.critical_variances(phi), (critical, 0), rtol=1e-4)


def test_what_overflows_is_infinite_and_no_error():
    """E exp(2 u) = exp(2 q): 1, e^2, exp(2 e^2), and then no float."""
    q = np.array([1, np.exp(2), np.exp(2 * np.exp(2)), np.inf])
    assert lost_layers(np.exp, q[:-1], q[1:], power=2) is None
    with pytest.raises(ValueError, match="for q = 2618"):
        lost_layers(np.exp, q[:-1], q[:-1], power=2)


def test_a_trainable_depth_may_be_traced():
    scale = jax.ShapeDtypeStruct((2,), np.float32)
    traced = jax.eval_shape(lambda scale: theory.trainable_depth(jax.nn.relu, scale, 0.0), scale)
    assert (traced.shape, traced.dtype) == ((2,), np.float32)
