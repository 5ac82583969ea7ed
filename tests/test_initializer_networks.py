"""Schemes of whole networks: what their papers promise, and what other libraries really draw."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import KEY, TRUNCATED_STD, draw_wide, in_role, weight_spec

from initlab import initializers as I  # noqa: N812
from initlab import theory
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
    # As flax.linen.MultiHeadDotProductAttention makes its query and its output.
    query = nn.DenseGeneral((4, 16), use_bias=False)
    output = nn.DenseGeneral(64, axis=(-2, -1), use_bias=False)
    for layer, x, spec in (
        (query, (1, 64), ParamSpec((64, 4, 16), 64, 64)),
        (output, (1, 4, 16), ParamSpec((4, 16, 64), 64, 64)),
    ):
        kernel = np.asarray(layer.init(KEY, jnp.ones(x))["params"]["kernel"], np.float64)
        assert kernel.shape == spec.shape
        for w in (kernel, draw_wide(I.flax_default(), spec)):
            # Four standard errors of a variance over 4096 entries of kurtosis 2.37.
            assert abs((w**2).mean() * 64 - 1) < 4 * np.sqrt(1.37 / w.size)
            assert np.abs(w).max() <= 2 / 8 / TRUNCATED_STD * (1 + 1e-6)


@pytest.mark.parametrize(
    ("parametrization", "initializer"),
    [
        (theory.Parametrization.NTK, I.ntk()),
        (theory.Parametrization.MUP, I.mup()),
        (theory.Parametrization.MEAN_FIELD, I.mean_field()),
    ],
    ids=["ntk", "mup", "mean_field"],
)
def test_widths_scale_the_start_as_the_theory_says(parametrization, initializer):
    # The same unit draws at two fans; multipliers are in the weights.
    for role in (Role.INPUT, Role.WEIGHT, Role.READOUT, Role.RESIDUAL, Role.EMBEDDING):
        grows = role not in (Role.INPUT, Role.EMBEDDING)
        narrow, wide = (
            draw_wide(in_role(role, initializer), ParamSpec((20, 30), fan if grows else 1, 30))
            for fan in (64, 256)
        )
        for optimizer in theory.Optimizer:
            power = theory.exponents(parametrization, optimizer, role)
            want = 4 ** (power.multiplier + power.std)
            np.testing.assert_allclose(wide, want * narrow, rtol=1e-6)


def test_critical_follows_the_published_line_under_vmap():
    spec = weight_spec(20, 30)
    unit = draw_wide(I.lecun_normal(), spec)
    starts = jax.vmap(lambda sigma_b2: I.critical(jnp.tanh, sigma_b2)(KEY, spec))
    line = {0.0: 1.0, 0.05: 1.76095464, 0.1: 1.98607264, 0.2: 2.28515247}
    draws = starts(np.array([*line], np.float32))
    for draw, sigma_w2 in zip(draws, line.values(), strict=True):
        np.testing.assert_allclose(draw, np.sqrt(sigma_w2) * unit, rtol=1e-4)


def test_critical_is_made_inside_a_program_as_outside():
    # A run makes its initializer while it is traced; the theory meets this activation there first.
    def shrunk(z):
        return jnp.tanh(z / 2)

    spec = weight_spec(20, 30)
    unit = draw_wide(I.lecun_normal(), spec)
    draw = jax.jit(lambda key: I.critical(shrunk)(key, spec))(KEY)
    np.testing.assert_allclose(draw, 2 * unit, rtol=1e-5)


def test_critical_of_relu_is_he_and_wants_no_biases():
    spec = weight_spec(20, 30)
    want = draw_wide(I.he_normal(), spec)
    np.testing.assert_allclose(draw_wide(I.critical(jax.nn.relu), spec), want, rtol=1e-6)
    with pytest.raises(ValueError, match=r"^no sigma_w2 is critical for relu at sigma_b2 = 0\.1"):
        I.critical(jax.nn.relu, 0.1)


def test_a_truncated_normal_has_the_bounds_it_is_given():
    spec = weight_spec(300, 200)
    traced = jax.jit(lambda low, high: I.truncated_normal(0.5, low, high)(KEY, spec))
    normal = np.random.RandomState(0).randn(10**6) * 0.5
    for lower, upper in ((-1.0, 1.0), (0.0, 3.0), (-4.0, -0.5)):
        w = draw_wide(I.truncated_normal(0.5, lower, upper), spec)
        np.testing.assert_allclose(traced(lower, upper), w, rtol=1e-5, atol=1e-6)
        assert 0.5 * lower - 1e-6 <= w.min()
        assert w.max() <= 0.5 * upper + 1e-6
        # Inside them it is the Gaussian: rejecting its draws outside gives the same moments.
        z = normal[(normal >= 0.5 * lower) & (normal <= 0.5 * upper)]
        error = np.hypot(w.std() / np.sqrt(w.size), z.std() / np.sqrt(z.size))
        assert abs(w.mean() - z.mean()) < 5 * error
        np.testing.assert_allclose(w.std(), z.std(), rtol=0.02)


def test_shifted_gives_another_mean_and_intervals_that_are_not_symmetric():
    spec = weight_spec(600, 400)
    w = draw_wide(I.shifted(I.uniform(0.5), 0.5), spec)
    assert 0 <= w.min() < 1e-3
    assert 1 - 1e-3 < w.max() <= 1
    unit = draw_wide(I.unit_normal, spec)
    np.testing.assert_allclose(draw_wide(I.shifted(I.unit_normal, -3.0), spec), unit - 3, atol=1e-6)
