"""Schemes that build a whole matrix: its rows, columns and singular values, in every shape."""

import math

import jax
import numpy as np
import pytest
from initializer_tables import KEY, draw_wide, weight_spec
from jax.nn import initializers as jax_initializers
from scipy.linalg import hadamard

from initlab import initializers as I  # noqa: N812
from initlab import networks
from initlab.initializers.fans import kernel_shape
from initlab.types import ParamSpec

# [features, heads, head features] and [heads, head features, features]
QUERY, OUTPUT = ParamSpec((12, 2, 4), 12, 8), ParamSpec((2, 4, 12), 8, 12)


def convolve(x, w, groups=1):
    """x [B, *space, channels] with w [*window, inputs, units], of the same size."""
    space = "DHW"[: w.ndim - 2]
    layout = (f"N{space}C", f"{space}IO", f"N{space}C")
    strides = (1,) * len(space)
    return jax.lax.conv_general_dilated(
        x, w, strides, "SAME", dimension_numbers=layout, feature_group_count=groups
    )


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        (weight_spec(3, 4), ((), 3, 4)),
        (weight_spec(1, 1), ((), 1, 1)),
        (QUERY, ((), 12, 8)),
        (OUTPUT, ((), 8, 12)),
        (weight_spec(3, 5, 2, 4), ((3, 5), 2, 4)),
        (weight_spec(7, 2, 4), ((7,), 2, 4)),
        # Depthwise: each group has one input.
        (ParamSpec((3, 3, 1, 8), 9, 72), ((3, 3), 1, 8)),
        # Fans that no split has.
        (ParamSpec((4, 6), 2, 3), ((), 4, 6)),
    ],
    ids=str,
)
def test_the_fans_tell_windows_from_heads(spec, want):
    assert kernel_shape("test", spec) == want


def test_an_attention_weight_is_one_matrix():
    spec, flat = OUTPUT, weight_spec(8, 12)
    for initializer in (
        I.orthogonal(1.5),
        I.scaled_uniform_orthogonal(1.5),
        I.identity(1.5),
        I.zero_hadamard(1.5),
        I.looks_linear(I.unit_normal),
    ):
        want = draw_wide(initializer, flat).reshape(spec.shape)
        np.testing.assert_array_equal(draw_wide(initializer, spec), want)
    nonzero = (draw_wide(I.sparse(3), spec) != 0).reshape(flat.shape).sum(axis=0)
    np.testing.assert_array_equal(nonzero, 3)


@pytest.mark.parametrize("shape", [(3, 8, 12), (3, 4, 8, 8), (1, 3, 2, 8, 12)], ids=str)
def test_delta_orthogonal_is_that_of_jax(shape):
    got = I.delta_orthogonal(1.3)(KEY, weight_spec(*shape))
    want = jax_initializers.delta_orthogonal(1.3)(KEY, shape)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_delta_orthogonal_convolution_keeps_every_length():
    # At every place, also at the border, and in an even window.
    x = np.random.RandomState(0).randn(5, 7, 6, 8).astype(np.float32)
    h = convolve(x, I.delta_orthogonal(2.0)(KEY, weight_spec(3, 4, 8, 8)))
    want = 2 * np.linalg.norm(x, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(h, axis=-1), want, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (8, 12), (12, 8)], ids=str)
def test_scaled_uniform_orthogonal_keeps_the_mean_square(shape):
    inputs, units = shape
    w = draw_wide(I.scaled_uniform_orthogonal(1.5), weight_spec(*shape))
    if inputs <= units:
        np.testing.assert_allclose(w @ w.T, 1.5**2 * units / inputs * np.eye(inputs), atol=1e-5)
    else:
        np.testing.assert_allclose(w.T @ w, 1.5**2 * np.eye(units), atol=1e-5)
    # Every entry has variance 1 / inputs on average, whichever side is longer.
    np.testing.assert_allclose((w**2).mean(), 1.5**2 / inputs, rtol=1e-5)
    window = draw_wide(I.scaled_uniform_orthogonal(1.5), weight_spec(3, 3, *shape))
    np.testing.assert_array_equal(window[1, 1], w)
    assert np.count_nonzero(window) == np.count_nonzero(w)


@pytest.mark.parametrize("window", [(3,), (4, 5)], ids=str)
def test_a_dirac_convolution_copies_its_input(window):
    x = np.random.RandomState(0).randn(2, *(6 for _ in window), 4).astype(np.float32)
    same = convolve(x, I.dirac()(KEY, weight_spec(*window, 4, 4)))
    np.testing.assert_array_equal(same, x)
    more = convolve(x, I.dirac(0.5)(KEY, weight_spec(*window, 4, 6)))
    np.testing.assert_array_equal(more[..., :4], 0.5 * x)
    np.testing.assert_array_equal(more[..., 4:], 0)
    grouped = convolve(x, I.dirac(groups=2)(KEY, weight_spec(*window, 2, 4)), groups=2)
    np.testing.assert_array_equal(grouped, x)


def test_looks_linear_makes_a_relu_network_linear():
    network = networks.mlp((4, 8, 8, 8, 4), jax.nn.relu)
    params = I.initialize(KEY, network.specs, I.by_role(I.looks_linear(I.orthogonal())))
    x, y = np.random.RandomState(0).randn(2, 6, 4).astype(np.float32)
    of_x, of_y, of_sum = (network.apply(params, each) for each in (x, y, 2 * x - 3 * y))
    np.testing.assert_allclose(of_sum, 2 * of_x - 3 * of_y, atol=1e-4)
    lengths = np.linalg.norm(of_x, axis=-1)
    np.testing.assert_allclose(lengths, np.linalg.norm(x, axis=-1), rtol=1e-5)


def test_looks_linear_draws_its_block_with_the_blocks_fans():
    w = draw_wide(I.looks_linear(I.lecun_normal()), weight_spec(400, 600))
    block = w[:200, :300]
    np.testing.assert_array_equal(w, np.block([[block, -block], [-block, block]]))
    assert abs((block**2).mean() * 200 - 1) < 5 * math.sqrt(2 / block.size)
    window = draw_wide(I.looks_linear(I.delta_orthogonal()), weight_spec(3, 4, 6))
    np.testing.assert_allclose(window[1, :2, :3] @ window[1, :2, :3].T, np.eye(2), atol=1e-6)
    assert np.count_nonzero(window) == 4 * 6


@pytest.mark.parametrize("shape", [(12, 8), (8, 16), (3, 33), (1, 6)], ids=str)
def test_zero_hadamard_is_algorithm_1_of_zero(shape):
    inputs, units = shape
    if inputs >= units:
        want = np.eye(inputs, units)
    else:
        m = math.ceil(math.log2(units))
        rows, columns = np.eye(inputs, 2**m), np.eye(2**m, units)
        want = 2 ** (-(m - 1) / 2) * rows @ hadamard(2**m) @ columns
    got = draw_wide(I.zero_hadamard(), weight_spec(*shape))
    np.testing.assert_allclose(got, want, rtol=1e-7)
    np.testing.assert_allclose(draw_wide(I.zero_hadamard(-0.5), weight_spec(*shape)), -0.5 * got)
    distinct = min(units, 2 ** math.ceil(math.log2(inputs))) if inputs < units else None
    if distinct:
        assert len(np.unique(got, axis=1).T) == distinct


def test_zero_hadamard_at_the_authors_scale_is_an_isometry():
    w = draw_wide(I.zero_hadamard(2**-0.5), weight_spec(8, 16))
    np.testing.assert_allclose(w @ w.T, np.eye(8), atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 9), (3, 2, 4, 10)], ids=str)
def test_sinusoidal_is_the_authors_wave_for_each_unit(shape):
    *window, channels, units = shape
    # Their layout has units first, then channels, then the window.
    flat = channels * math.prod(window)
    positions = 2 * np.pi * (np.arange(flat) / flat + 1 / units)
    waves = np.sin(np.arange(1, units + 1)[:, None] * positions)
    waves *= math.sqrt(2 / (flat + units) / np.var(waves, ddof=1))
    want = np.moveaxis(waves.reshape(units, channels, *window), (0, 1), (-1, -2))
    got = draw_wide(I.sinusoidal(), weight_spec(*shape))
    np.testing.assert_allclose(got, want, atol=1e-7)
    if flat == units:
        assert np.linalg.matrix_rank(got, tol=1e-5) == (flat - 1) // 2


def test_zero_hadamard_stands_in_the_middle_of_a_window():
    w = draw_wide(I.zero_hadamard(), weight_spec(3, 5, 8, 16))
    np.testing.assert_array_equal(w[1, 2], draw_wide(I.zero_hadamard(), weight_spec(8, 16)))
    assert np.count_nonzero(w) == 8 * 16
