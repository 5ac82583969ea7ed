"""Unit variance for every unit, by hand in NumPy and in real models; what has no unit is left."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_calibration import KEY, X, draw, plain, scanned

import initlab
from initlab import initializers, networks
from initlab.calibration import layerwise_whitening, lsuv, to_criticality
from initlab.programs.axes import unit_axes
from initlab.programs.primitives import CONTRACTIONS

NOTHING: Any = None


class Mixed(nn.Module):
    """Convolutions plain and grouped, attention, a flatten."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = nn.relu(nn.Conv(8, (3, 3), feature_group_count=4)(x))
        x = x.reshape(x.shape[0], -1, 8)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=6)(x)
        return nn.Dense(3)(x.reshape(x.shape[0], -1))


def test_every_unit_has_unit_variance():
    h = X.astype(np.float64)
    for weight in layerwise_whitening(KEY, plain, draw(), X):
        z = h @ np.asarray(weight, np.float64)
        np.testing.assert_allclose(np.std(z, axis=0), 1, rtol=1e-5)
        h = np.tanh(z)


def test_scales_that_are_given_are_forgotten_unit_by_unit():
    stream = np.random.default_rng(3)
    params = draw()
    scaled = [weight * 10 ** stream.uniform(-9, 9, weight.shape[1:]) for weight in params]
    scaled = [weight.astype(np.float32) for weight in scaled]
    refine = jax.jit(lambda params: layerwise_whitening(KEY, plain, params, X))
    for one, other in zip(refine(params), refine(scaled), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_loop_over_layers_is_whitened_as_if_written_out():
    params = draw()
    stacked = [params[0], np.stack(params[1:-1]), params[-1]]
    written = layerwise_whitening(KEY, plain, params, X)
    looped = layerwise_whitening(KEY, scanned, stacked, X)
    np.testing.assert_allclose(looped[0], written[0], rtol=1e-4)
    np.testing.assert_allclose(looped[1], np.stack(written[1:-1]), rtol=1e-4)
    np.testing.assert_allclose(looped[2], written[-1], rtol=1e-4)


def test_channels_and_heads_are_units():
    model = Mixed()
    x = jax.random.normal(KEY, (8, 4, 4, 2))
    params = model.init(KEY, x)

    def apply(params, x):
        return model.apply(params, x)

    whitened = jax.jit(lambda params: layerwise_whitening(KEY, apply, params, x))(params)
    _, captured = model.apply(whitened, x, capture_intermediates=True)
    outputs = captured["intermediates"]
    attention = outputs["MultiHeadDotProductAttention_0"]
    places = [outputs["Conv_0"], outputs["Conv_1"], outputs["Dense_0"], attention["out"]]
    for place in places:
        z = np.asarray(place["__call__"][0], np.float64)
        np.testing.assert_allclose(np.std(z, axis=tuple(range(z.ndim - 1))), 1, rtol=1e-4)
    for name in ("query", "key", "value"):
        z = np.asarray(attention[name]["__call__"][0], np.float64)
        np.testing.assert_allclose(np.std(z, axis=(0, 1)), 1, rtol=1e-4)


def test_a_network_of_the_lab_s_own_is_whitened():
    network = networks.mlp((3, 5, 2), jnp.tanh)
    init = initializers.by_role(initializers.he_normal())
    params = initlab.initialize(KEY, network.specs, init)
    x = jax.random.normal(KEY, (32, 3))
    params = layerwise_whitening(KEY, network.apply, params, x)
    for state in network.layers(params, x).values():
        np.testing.assert_allclose(np.std(np.asarray(state.z, np.float64), axis=0), 1, rtol=1e-4)


def test_biases_and_constant_units_keep_their_scale():
    stream = np.random.default_rng(4)
    weight = stream.normal(size=(3, 4)).astype(np.float32)
    weight[:, 1] = 0
    params = {"weight": weight, "bias": np.full(4, 7, np.float32)}
    found = layerwise_whitening(
        KEY, lambda p, x: x @ p["weight"] + jnp.broadcast_to(p["bias"], (12, 4)), params, X
    )
    z = X.astype(np.float64) @ weight
    expected = weight / np.where(z.std(axis=0) > 0, z.std(axis=0), 1)
    np.testing.assert_allclose(found["weight"], expected, rtol=1e-5)
    np.testing.assert_array_equal(found["bias"], params["bias"])


def test_a_weight_used_again_gets_the_mean_of_its_uses():
    weight = np.random.default_rng(5).normal(size=(3, 3)).astype(np.float32)
    found = layerwise_whitening(KEY, lambda w, x: jnp.tanh(x @ w) @ w, weight, X)
    z = X.astype(np.float64) @ weight
    first = 1 / z.std(axis=0)
    second = 1 / (np.tanh(z * first) @ weight).std(axis=0)
    np.testing.assert_allclose(found, weight * (first + second) / 2, rtol=1e-4)


def test_what_lies_behind_a_weight_used_again_sees_its_mean():
    again, behind = (jax.random.normal(jax.random.key(n), (3, 3)) for n in range(2))

    def apply(params, x):
        return jnp.tanh(x @ params[0] @ params[0]) @ params[1]

    found = layerwise_whitening(KEY, apply, (again, behind), X)
    z = np.asarray(apply(found, X), np.float64)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)


OTHERS = {
    "standardized": lambda v: (v - v.mean(0)) / v.std(0),
    "normalized": lambda v: v / jnp.linalg.norm(v),
    "antisymmetric": lambda v: v - v.T,
    "softplus": jax.nn.softplus,
    "frozen": jax.lax.stop_gradient,
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_weight_that_the_model_makes_anew_is_left_alone(name):
    """As are its scale's readers: what is behind is whitened as the model runs it."""
    made, behind = (jax.random.normal(jax.random.key(n), (3, 3)) for n in range(2))

    def apply(params, x):
        with jax.numpy_rank_promotion("allow"):
            return jnp.tanh(x @ OTHERS[name](params[0])) @ params[1]

    for refine in (layerwise_whitening, lsuv):
        found = refine(KEY, apply, (made, behind), X)
        if not (name == "frozen" and refine is lsuv):
            np.testing.assert_array_equal(found[0], made)
        z = np.asarray(apply(found, X), np.float64)
        size = z.std(axis=0) if refine is layerwise_whitening else np.sqrt(np.mean(z**2))
        np.testing.assert_allclose(size, 1, rtol=1e-4)


def test_what_no_gradient_passes_is_whitened_all_the_same():
    params = [jax.random.normal(jax.random.key(n), (3, 3)) for n in range(3)]

    def apply(params, x):
        h = jax.lax.stop_gradient(jnp.tanh(x @ params[0]))
        return jnp.where(h @ params[1] > 0, 1.0, -1.0) @ params[2]

    first, second, third = layerwise_whitening(KEY, apply, params, X)
    h = X.astype(np.float64) @ np.asarray(first, np.float64)
    np.testing.assert_allclose(h.std(axis=0), 1, rtol=1e-4)
    z = np.tanh(h) @ np.asarray(second, np.float64)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)
    out = np.where(z > 0, 1.0, -1.0) @ np.asarray(third, np.float64)
    np.testing.assert_allclose(out.std(axis=0), 1, rtol=1e-4)


@pytest.mark.parametrize("refine", [lsuv, to_criticality])
def test_branches_and_loops_within_loops_are_unsupported_where_rms_is_measured(refine):
    def branching(params, x):
        h = jax.lax.cond(x[0, 0] > 0, lambda h: h @ params[0], lambda h: h @ params[1], x)
        return h @ params[2]

    def nested(params, x):
        def layer(h, weight):
            again = jax.lax.scan(lambda h, _: (jnp.tanh(h @ weight), None), h, None, length=2)
            return again[0], None

        return jax.lax.scan(layer, x, params)[0]

    params = [jax.random.normal(jax.random.key(n), (3, 3)) for n in range(3)]
    with pytest.raises(ValueError, match="the products of 0, 1 lie in a branch"):
        refine(KEY, branching, params, X)
    with pytest.raises(ValueError, match="in a loop within a loop"):
        refine(KEY, nested, jnp.stack(params), X)
    found = layerwise_whitening(KEY, branching, params, X)
    taken = int(X[0, 0] <= 0)
    np.testing.assert_array_equal(found[1 - taken], params[1 - taken])
    z = X.astype(np.float64) @ np.asarray(found[taken], np.float64)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)


def test_a_tied_table_keeps_its_scale():
    table, weight = (jax.random.normal(jax.random.key(n), (9, 9)) for n in range(2))
    tokens = jax.random.randint(KEY, (32,), 0, 9)

    def apply(params, tokens):
        table, weight = params
        return jnp.tanh(table[tokens] @ weight) @ table.T

    found = layerwise_whitening(KEY, apply, (table, weight), tokens)
    np.testing.assert_array_equal(found[0], table)
    z = np.asarray(table[tokens], np.float64) @ np.asarray(found[1], np.float64)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("refine", [lsuv, to_criticality])
def test_a_table_that_is_only_looked_up_keeps_its_scale(refine):
    table, weight, out = (jax.random.normal(jax.random.key(n), (9, 9)) for n in range(3))
    tokens = jax.random.randint(KEY, (32,), 0, 9)

    def apply(params, tokens):
        table, weight, out = params
        return jnp.tanh(table[tokens] @ weight) @ out

    found = refine(KEY, apply, (table, weight, out), tokens)
    np.testing.assert_array_equal(found[0], table)
    z = np.asarray(table[tokens], np.float64) @ np.asarray(found[1], np.float64)
    np.testing.assert_allclose(np.sqrt(np.mean(z**2)), 1, rtol=1e-4)
    assert not np.allclose(found[2], out)


def test_a_weight_that_is_moved_and_scaled_on_its_way_is_followed():
    kernel = np.random.default_rng(6).normal(size=(2, 2, 3)).astype(np.float32)

    def apply(kernel, x):
        return x @ (-0.1 * kernel.reshape(4, 3)).T

    found = np.asarray(layerwise_whitening(KEY, apply, kernel, X), np.float64)
    z = X.astype(np.float64) @ (-0.1 * found.reshape(4, 3)).T
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-5)


PRODUCTS = {
    "weight on the right": ("bi,ij->bj", (5, 2), (2, 3), [(1, 1)]),
    "two axes of units": ("bti,ihk->bthk", (5, 4, 2), (2, 3, 6), [(2, 1), (3, 2)]),
    "an axis that both have": ("hbi,hij->hbj", (3, 5, 2), (3, 2, 4), [(0, 0), (2, 2)]),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_units_of_a_product_are_found(name):
    how, data, weight, axes = PRODUCTS[name]
    shapes = jnp.ones(data), jnp.ones(weight)
    program = jax.make_jaxpr(lambda x, w: jnp.einsum(how, x, w))(*shapes)
    (equation,) = [each for each in program.eqns if each.primitive.name in CONTRACTIONS]
    place = [v.aval.shape for v in equation.invars].index(weight)
    found = {(equation.outvars[0].aval.shape[o], a) for o, a in unit_axes(equation, place)}
    assert found == {(weight[a], a) for _, a in axes}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: layerwise_whitening(KEY, NOTHING, draw(), X),
            TypeError,
            "apply must be a function",
        ),
        (lambda: layerwise_whitening(KEY, plain, [], X), ValueError, "at least one array"),
        (
            lambda: layerwise_whitening(KEY, lambda p, x: (x @ p[0]).argmax(-1), draw(), X),
            ValueError,
            "a floating output",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
