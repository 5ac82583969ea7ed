"""Schemes that tell the parts of a network apart: by path, by block, by gate."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import KEY, draw_wide, weight_spec

import initlab
from initlab import initializers as I  # noqa: N812
from initlab import networks, objectives
from initlab.types import ParamSpec, Role

pytestmark = pytest.mark.quick


def at(path):
    return weight_spec(6, 4, path=f"block_3/{path}/weight")


FACTORS = {
    # depth 5: beta = 40^(-1/4), 0.67 * 5^(-1/4)
    "deepnorm": (I.deepnorm(5), I.glorot_normal(), 1.0, 40**-0.25, 40**-0.25),
    "t_fixup": (I.t_fixup(5), I.glorot_normal(), 1.0, 0.67 * 5**-0.25, 0.67 * 5**-0.25),
    "mup_transformer": (I.mup_transformer(0.5), I.lecun_normal(), 0.0, 0.5, 0.5),
    "nanogpt_speedrun": (I.nanogpt_speedrun(), I.lecun_uniform(), 1.0, 1.0, 0.4),
}


@pytest.mark.parametrize("name", FACTORS)
def test_queries_values_and_mlps_have_factors_of_their_own(name):
    scheme, base, of_query, of_value, of_mlp = FACTORS[name]
    for path, factor in (
        ("attention/query", of_query),
        ("attention/value", of_value),
        ("mlp/layer_1", of_mlp),
    ):
        want = factor * np.asarray(base(KEY, at(path)))
        np.testing.assert_allclose(scheme(KEY, at(path)), want, rtol=1e-6, err_msg=path)


@pytest.mark.parametrize("name", ["deepnorm", "t_fixup"])
def test_embeddings_have_the_variance_that_is_named(name):
    spec = ParamSpec((500, 64), 1, 64, Role.EMBEDDING)
    want = 1 / 64 * (45**-0.5 if name == "t_fixup" else 1)
    got = np.mean(draw_wide(FACTORS[name][0], spec) ** 2)
    assert abs(got / want - 1) < 5 * math.sqrt(2 / spec.shape[0] / 64)


@pytest.mark.parametrize(("depth", "start"), [(1, 0.1), (18, 0.1), (19, 1e-5), (25, 1e-6)])
def test_layer_scales_start_by_depth(depth, start):
    gate = I.layer_scale(I.ones(), depth)(KEY, ParamSpec((3,), 1, 1, Role.GATE))
    np.testing.assert_allclose(gate, start, rtol=1e-6)


def test_ends_shrink_block_by_block_in_a_stack():
    network = networks.residual_mlp((4, 40, 2), 3, jnp.tanh, scanned=True)
    params = initlab.initialize(jax.random.key(0), network.specs, I.depth_indexed(0.03))
    for n in range(3):
        name = f"block_{n + 1}"
        spec = ParamSpec((40, 40), 40, 40, path=f"{name}/layer_2/weight")
        key = initlab.keys.path_key(jax.random.key(0), spec.path)
        want = I.truncated_normal(0.03, -3, 3)(key, spec) / math.sqrt(2 * (n + 1))
        own = params["blocks"]["layer_2"]["weight"][n]
        np.testing.assert_allclose(own, want, rtol=1e-6)


def test_ends_of_small_init_are_over_the_depth():
    spec = weight_spec(6, 4, role=Role.RESIDUAL)
    want = 2 / 5 * I.variance_scaling(1.0, I.fan_out)(KEY, spec)
    np.testing.assert_allclose(I.small_init(5)(KEY, spec), want, rtol=1e-6)


def test_an_end_without_a_block_is_refused():
    for path, first in (("mlp/weight", 1), ("block_0/weight", 1)):
        spec = weight_spec(3, 3, role=Role.RESIDUAL, path=path)
        with pytest.raises(
            ValueError, match=f"must have its block's number in its path, from {first}"
        ):
            I.depth_indexed(first=first)(KEY, spec)
    assert I.depth_indexed(first=0)(KEY, spec).shape == (3, 3)


GATES = ParamSpec((4, 5000), 8, 5000, Role.BIAS, path="block_1/bias")


def test_chrono_biases_are_of_times_drawn_evenly():
    kept, written, *rest = draw_wide(I.chrono(I.ones(), 50.0), GATES)[[1, 0, 2, 3]]
    np.testing.assert_array_equal(written, -kept)
    assert not np.any(rest)
    # exp(b) ~ U(1, 49): mean 25, variance 48^2 / 12.
    times = np.exp(kept)
    error = 48 / math.sqrt(12 * times.size)
    assert abs(times.mean() - 25) < 5 * error
    # The relative standard error of a uniform variance is sqrt((9/5 - 1) / n).
    assert abs(times.var() / (48**2 / 12) - 1) < 5 * math.sqrt(0.8 / times.size)
    assert times.min() >= 1 - 1e-5
    assert times.max() <= 49 * (1 + 1e-5)


def test_the_forget_gate_alone_has_a_bias():
    network = networks.recurrent((2, 6, 1), 1, length=4)
    params = initlab.initialize(KEY, network.specs, I.forget_bias(I.lecun_normal(), 1.5))
    biases = params["block_1"]["bias"]
    np.testing.assert_array_equal(biases, np.array([0, 1.5, 0, 0])[:, None] * np.ones((1, 6)))
    assert not np.any(params["readout"]["bias"])


def test_gates_are_asked_of_a_network_that_has_none():
    networks_without = {
        "mlp": networks.mlp((2, 3, 1), jnp.tanh),
        "gru": networks.recurrent((2, 3, 1), 1, length=4, cell="gru"),
    }
    for scheme in (I.chrono(I.zeros(), 9), I.scaled(I.forget_bias(I.zeros()), 2.0)):
        for network in networks_without.values():
            with pytest.raises(ValueError, match=r"must match biases of an LSTM's gates, \[4, w"):
                initlab.initialize(KEY, network.specs, scheme)


def test_steps_are_log_uniform_and_decays_are_counted():
    scheme = I.mamba(I.ones(), 1e-3, 1e-1)
    spec = ParamSpec((5000,), 1, 1, Role.BIAS, path="block_1/mixer/dt_bias")
    logs = np.log(np.log1p(np.exp(draw_wide(scheme, spec))))
    low, high = math.log(1e-3), math.log(1e-1)
    assert low - 1e-4 < logs.min() < logs.max() < high + 1e-4
    assert abs(logs.mean() - (low + high) / 2) < 5 * (high - low) / math.sqrt(12 * logs.size)
    assert abs(logs.var() * 12 / (high - low) ** 2 - 1) < 5 * math.sqrt(0.8 / logs.size)
    spec = ParamSpec((2, 7), 1, 7, Role.BIAS, path="block_1/mixer/A_log")
    np.testing.assert_allclose(np.exp(draw_wide(scheme, spec)), [range(1, 8)] * 2, rtol=1e-6)


@pytest.mark.parametrize("shares", [[0.01], [0.2, 0.3, 0.5]])
def test_a_prior_starts_at_the_loss_of_the_constant_predictor(shares):
    objective = objectives.binary if len(shares) == 1 else objectives.softmax
    counts = [99, 1] if len(shares) == 1 else [20, 30, 50]
    y = np.repeat(np.arange(len(counts)), counts)
    spec = ParamSpec((len(shares),), 3, len(shares), Role.BIAS, path="readout/bias")
    logits = jnp.tile(I.log_prior(I.zeros(), shares)(KEY, spec), (100, 1))
    np.testing.assert_allclose(objective.loss(logits, y), objective.constant_loss(y), rtol=1e-5)


def test_modular_orthogonal_has_the_singular_values_that_are_named():
    # A window of two has a matrix at each place, which add up to the norm of one.
    for shape, places in (((20, 5), 1), ((1, 2, 5, 20), 2)):
        w = draw_wide(I.modular_orthogonal(1.5), weight_spec(*shape))
        values = np.linalg.svd(w, compute_uv=False)
        want = 1.5 * math.sqrt(shape[-1] / shape[-2]) / places
        np.testing.assert_allclose(values, want, rtol=1e-5)
    assert np.abs(w[0, 0] - w[0, 1]).max() > 0.01


def test_vectors_along_the_stream_have_length_1():
    # The stream is 4 wide; a window and heads count to what they are axes of.
    for shape, role, axes in (
        ((4, 6), Role.WEIGHT, (0,)),
        ((6, 4), Role.RESIDUAL, (1,)),
        ((9, 4), Role.EMBEDDING, (1,)),
        ((3, 4, 6), Role.WEIGHT, (0, 1)),
    ):
        w = draw_wide(I.normalized(I.unit_normal), weight_spec(*shape, role=role))
        np.testing.assert_allclose((w**2).sum(axis=axes), 1, rtol=1e-5)
    zeros = I.normalized(I.zeros())(KEY, weight_spec(4, 6))
    assert not np.any(zeros)


WRONG = {
    "longest must be over 2, got 2": lambda: I.chrono(I.zeros(), 2),
    "most must be over least 0.1, got 0.01": lambda: I.mamba(I.zeros(), 0.1, 0.01),
    "least must be over 0, got 0": lambda: I.mamba(I.zeros(), 0),
    "depth must be at least 1, got 0": lambda: I.deepnorm(0),
    "shares must have the sum 1, got 0.75": lambda: I.log_prior(I.zeros(), [0.25, 0.5]),
    "shares must be numbers over 0": lambda: I.log_prior(I.zeros(), [0.0, 1.0]),
    "shares of one logit must be under 1": lambda: I.log_prior(I.zeros(), [1.0]),
    "'bias' must be .4, width., an LSTM's, got": lambda: I.chrono(I.zeros(), 9)(
        KEY, ParamSpec((3, 2), 4, 2, Role.BIAS, path="bias")
    ),
    "shares must be as many as 'readout/bias' has": lambda: I.log_prior(I.zeros(), [0.5, 0.5])(
        KEY, ParamSpec((3,), 4, 3, Role.BIAS, path="readout/bias")
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_numbers_that_do_not_fit(message):
    with pytest.raises(ValueError, match=f"^{message}"):
        WRONG[message]()
