"""Schemes of whole networks: what their papers promise, and what other libraries really draw."""

import itertools

import equinox
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from initializer_tables import KEY, RANDOM, TRUNCATED_STD, draw_wide, in_role, weight_spec

from initlab import initializers as I  # noqa: N812
from initlab.types import ParamSpec, Role


def test_siren_starts_at_unit_scale_and_stays_near_it():
    # E[sin(z)^2] = (1 - exp(-2 q)) / 2 for z ~ N(0, q), and the next layer's variance is twice it.
    width, h = 2000, np.ones((1, 1))
    variances = []
    for layer in range(1, 5):
        role = Role.INPUT if layer == 1 else Role.WEIGHT
        w = draw_wide(in_role(role, I.siren(30.0)), weight_spec(h.size, width), seed=layer)
        z = 30 * h @ w
        h = np.sin(z)
        variances.append(z.var())
    # The first layer reaches over many periods of the sine, as if the phase were uniform.
    assert variances[0] > 100
    error = 5 * np.sqrt(3 / width)
    assert abs(variances[1] - 1) < error
    for before, after in itertools.pairwise(variances[1:]):
        assert abs(after - (1 - np.exp(-2 * before))) < error


def test_flax_default_is_what_flax_draws():
    ours, theirs = I.flax_default(), nn.Dense(30)
    want = theirs.kernel_init(KEY, (20, 30), jnp.float32)
    np.testing.assert_allclose(ours(KEY, weight_spec(20, 30)), want, rtol=1e-6)
    want = nn.Conv(30, (3, 3)).kernel_init(KEY, (3, 3, 4, 30), jnp.float32)
    np.testing.assert_allclose(ours(KEY, weight_spec(3, 3, 4, 30)), want, rtol=1e-6)
    embedding = ParamSpec((20, 30), 1, 30, Role.EMBEDDING)
    want = nn.Embed(20, 30).embedding_init(KEY, (20, 30), jnp.float32)
    np.testing.assert_allclose(ours(KEY, embedding), want, rtol=1e-6)


def test_flax_default_has_the_fans_of_flaxs_attention():
    attention = nnx.MultiHeadAttention(4, 64, decode=False, rngs=nnx.Rngs(0))
    for layer, spec in (
        (attention.query, ParamSpec((64, 4, 16), 64, 64)),
        (attention.out, ParamSpec((4, 16, 64), 64, 64)),
    ):
        kernel = np.asarray(layer.kernel[...])
        assert kernel.shape == spec.shape
        for w in (kernel, draw_wide(I.flax_default(), spec)):
            # Four standard errors of a variance over 4096 entries of kurtosis 2.37.
            assert abs((w**2).mean() * 64 - 1) < 4 * np.sqrt(1.37 / w.size)
            assert np.abs(w).max() <= 2 / 8 / TRUNCATED_STD * (1 + 1e-6)


def test_torch_default_is_that_of_equinox():
    # Equinox starts its layers as torch does: the same bounds, reached by as many draws.
    layer = equinox.nn.Linear(50, 400, key=jax.random.key(0))
    assert layer.bias is not None
    bias = in_role(Role.BIAS, I.torch_default())
    for theirs, ours in (
        (layer.weight, draw_wide(I.torch_default(), weight_spec(50, 400))),
        (layer.bias, draw_wide(bias, ParamSpec((400,), 50, 400))),
    ):
        for w in (np.asarray(theirs), ours):
            assert 0.98 / np.sqrt(50) < np.abs(w).max() <= 1 / np.sqrt(50)


def test_mean_field_is_mup_but_for_the_weights_between_hidden_layers():
    spec = weight_spec(400, 300)
    for role in set(Role) - {Role.WEIGHT, Role.RESIDUAL}:
        ours, theirs = (draw_wide(in_role(role, make()), spec) for make in (I.mean_field, I.mup))
        np.testing.assert_array_equal(ours, theirs)
    # There the same unit draw, once over fan_in and once over its root.
    ours, theirs = (draw_wide(make(), spec) for make in (I.mean_field, I.mup))
    np.testing.assert_allclose(ours * np.sqrt(400), theirs, rtol=1e-6)


@pytest.mark.parametrize(("lower", "upper"), [(-1.0, 1.0), (0.0, 3.0), (-4.0, -0.5)])
def test_a_truncated_normal_has_the_bounds_it_is_given(lower, upper):
    spec = weight_spec(600, 400)
    w = draw_wide(I.truncated_normal(0.5, lower, upper), spec)
    assert w.min() >= 0.5 * lower * (1 + 1e-6 * np.sign(lower))
    assert w.max() <= 0.5 * upper * (1 + 1e-6 * np.sign(upper))
    # Inside them it is the Gaussian: rejecting its draws outside gives the same moments.
    z = np.random.RandomState(0).randn(10**6) * 0.5
    z = z[(z >= 0.5 * lower) & (z <= 0.5 * upper)]
    error = np.hypot(w.std() / np.sqrt(w.size), z.std() / np.sqrt(z.size))
    assert abs(w.mean() - z.mean()) < 5 * error
    np.testing.assert_allclose(w.std(), z.std(), rtol=0.02)
    traced = jax.jit(lambda low, high: I.truncated_normal(0.5, low, high)(KEY, spec))
    np.testing.assert_allclose(
        traced(lower, upper), I.truncated_normal(0.5, lower, upper)(KEY, spec), rtol=1e-6
    )


def test_shifted_gives_another_mean_and_intervals_that_are_not_symmetric():
    spec = weight_spec(600, 400)
    w = draw_wide(I.shifted(I.uniform(0.5), 0.5), spec)
    assert 0 <= w.min() < 1e-3
    assert 1 - 1e-3 < w.max() <= 1
    unit = draw_wide(I.unit_normal, spec)
    np.testing.assert_allclose(draw_wide(I.shifted(I.unit_normal, -3.0), spec), unit - 3, atol=1e-6)


def test_every_role_of_a_whole_network_is_served():
    schemes = {name.partition(":")[0] for name in RANDOM if ":" in name}
    for name in schemes:
        for role in Role:
            draw = draw_wide(in_role(role, RANDOM[name][0]), ParamSpec((4, 6), 4, 6))
            assert np.isfinite(draw).all(), (name, role)
