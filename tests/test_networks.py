"""The multilayer perceptron against NumPy in float64: values, gradients, curvature."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_data import draw_data

from initlab import networks
from initlab.networks.dense import LANES, dense
from initlab.types import ParamSpec, Role


def _np_gelu(z):
    return z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _np_gelu_slope(z):
    inner = np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))
    return (1 + inner) / 2 + z / 2 * (1 - inner**2) * math.sqrt(2 / math.pi) * (
        1 + 3 * 0.044715 * z**2
    )


# function, function and slope in NumPy
ACTIVATIONS = {
    "tanh": (jnp.tanh, np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (jax.nn.relu, lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "gelu": (jax.nn.gelu, _np_gelu, _np_gelu_slope),
}
# Sizes on both sides of each threshold of the arithmetic, and numbers of examples around its lanes.
CASES = [
    ((2, 1), "tanh", 1),
    ((2, 1), "tanh", 401),
    ((1, 1, 1), "tanh", 15),
    ((3, 129, 5), "relu", 16),
    ((2, 17, 40, 3), "gelu", 17),
    ((2, 17, 40, 3), "tanh", 401),
    ((20, 33), "tanh", 17),
    ((33, 8, 17, 1), "tanh", 15),
]
EACH = pytest.mark.parametrize(("sizes", "name", "examples"), CASES)


def _np_states(params, x, phi):
    states, a = {}, x.astype(np.float64)
    for name, layer in params.items():
        z = a @ layer["weight"].astype(np.float64) + layer["bias"].astype(np.float64)
        a = z if name == list(params)[-1] else phi(z)
        states[name] = (z, a)
    return states


def _np_gradient(params, x, cotangent, phi, slope):
    """Of sum(logits * cotangent), by each parameter and by x."""
    states = _np_states(params, x, phi)
    gradient, dz = {}, cotangent.astype(np.float64)
    names = list(params)
    for below, name in reversed(list(zip([None, *names], names, strict=False))):
        a = x.astype(np.float64) if below is None else states[below][1]
        gradient[name] = {"weight": a.T @ dz, "bias": dz.sum(axis=0)}
        da = dz @ params[name]["weight"].astype(np.float64).T
        if below is not None:
            dz = da * slope(states[below][0])
    return gradient, da


@functools.cache
def _program(sizes, name, dtype):
    """Layers, logits and gradient at once: one program compiles quicker than three."""
    network = networks.mlp(sizes, ACTIVATIONS[name][0], dtype=dtype)

    def score(params, x, cotangent):
        return jnp.sum(network.apply(params, x) * cotangent)

    def everything(params, x, cotangent):
        gradient = jax.grad(score, argnums=(0, 1))(params, x, cotangent)
        return network.layers(params, x), network.apply(params, x), gradient

    return jax.jit(everything)


def _check(sizes, name, examples, dtype, tolerance):
    params, x, cotangent = draw_data(sizes, examples, dtype)
    states, logits, gradient = _program(sizes, name, dtype)(params, x, cotangent)
    _, phi, slope = ACTIVATIONS[name]

    want = _np_states(params, x, phi)
    assert set(states) == set(params)
    for layer, state in states.items():
        for got, expected in zip((state.z, state.a), want[layer], strict=True):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    assert logits.shape == (examples, sizes[-1])
    assert logits.dtype == dtype
    last = states[f"layer_{len(sizes) - 1}"]
    np.testing.assert_array_equal(last.a, last.z)
    np.testing.assert_allclose(logits, last.z, rtol=tolerance, atol=tolerance)

    want = _np_gradient(params, x, cotangent, phi, slope)
    # Sums over the examples: errors grow with their number.
    scale = tolerance * math.sqrt(examples)
    assert jax.tree.structure(gradient[0]) == jax.tree.structure(params)
    jax.tree.map(
        lambda ours, oracle: np.testing.assert_allclose(ours, oracle, rtol=scale, atol=scale),
        tuple(gradient),
        want,
    )


@EACH
def test_values_and_gradients_are_those_of_numpy(sizes, name, examples):
    _check(sizes, name, examples, np.float32, 1e-5)


@pytest.mark.quick
@pytest.mark.parametrize(("sizes", "name", "examples"), CASES[3:5])
def test_values_and_gradients_in_float64(sizes, name, examples):
    with jax.enable_x64(True):
        _check(sizes, name, examples, np.float64, 1e-12)


def test_bfloat16_computes_in_bfloat16():
    network = networks.mlp((2, 5, 1), jnp.tanh, dtype=jnp.bfloat16)
    params, x, _ = draw_data((2, 5, 1), 15, np.float32)
    halves = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    logits = network.apply(halves, x)
    assert logits.dtype == jnp.bfloat16
    want = _np_states(halves, x, np.tanh)["layer_2"][0]
    np.testing.assert_allclose(np.asarray(logits, np.float64), want, atol=0.05)


@pytest.mark.parametrize("fan_in", [3, 20])
@pytest.mark.parametrize("fan_out", [3, 20])
def test_a_dense_layer_takes_units_by_examples(fan_in, fan_out):
    rng = np.random.default_rng(0)
    h = rng.standard_normal((fan_in, LANES)).astype(np.float32)
    weight = rng.standard_normal((fan_in, fan_out)).astype(np.float32)
    bias = rng.standard_normal(fan_out).astype(np.float32)
    want = weight.astype(np.float64).T @ h + bias[:, None]
    np.testing.assert_allclose(dense(*map(jnp.asarray, (h, weight, bias))), want, atol=2e-5)


def test_examples_do_not_see_each_other():
    network = networks.mlp((2, 17, 20, 3), jnp.tanh)
    params, x, _ = draw_data((2, 17, 20, 3), 401, np.float32)
    order = np.random.default_rng(1).permutation(401)
    logits = np.asarray(network.apply(params, x))
    np.testing.assert_allclose(network.apply(params, x[order]), logits[order], atol=1e-6)
    # Of a larger batch the first rows are what they are alone.
    np.testing.assert_allclose(network.apply(params, x[:17]), logits[:17], atol=1e-6)


@pytest.mark.quick
def test_layers_are_named_in_order_and_end_in_the_logits():
    network = networks.mlp((2, *[3] * 10, 1), jnp.tanh)
    params, x, _ = draw_data((2, *[3] * 10, 1), 5, np.float32)
    states = network.layers(params, x)
    names = [f"layer_{n}" for n in range(1, 12)]
    # Jax sorts the keys of a dict as text, "layer_10" before "layer_2".
    assert set(states) == set(names)
    assert list(network.activations) == list(network.specs) == names
    np.testing.assert_array_equal(states["layer_11"].a, states["layer_11"].z)
    np.testing.assert_allclose(states["layer_11"].z, network.apply(params, x), atol=1e-6)
    np.testing.assert_allclose(states["layer_4"].a, np.tanh(states["layer_4"].z), atol=1e-6)


@pytest.mark.quick
def test_the_specs_tell_shapes_fans_and_roles():
    with jax.enable_x64(True):
        specs = networks.mlp([3, 129, 5], jnp.tanh, dtype=jnp.float64).specs
    dtype = np.dtype(np.float64)
    assert specs == {
        "layer_1": {
            "weight": ParamSpec((3, 129), 3, 129, Role.INPUT, dtype),
            "bias": ParamSpec((129,), 3, 129, Role.BIAS, dtype),
        },
        "layer_2": {
            "weight": ParamSpec((129, 5), 129, 5, Role.READOUT, dtype),
            "bias": ParamSpec((5,), 129, 5, Role.BIAS, dtype),
        },
    }
    logistic = networks.mlp((2, 1), jnp.tanh)
    assert logistic.specs["layer_1"]["weight"].role is Role.READOUT
    assert logistic.specs["layer_1"]["weight"].dtype == np.float32
    deep = networks.mlp((2, 3, 3, 1), jnp.tanh).specs.values()
    assert [layer["weight"].role for layer in deep] == [Role.INPUT, Role.WEIGHT, Role.READOUT]


def test_the_activations_are_the_layers_own():
    network = networks.mlp((2, 3, 4, 1), jnp.tanh)
    assert list(network.activations) == ["layer_1", "layer_2", "layer_3"]
    assert network.activations["layer_1"] is network.activations["layer_2"] is jnp.tanh
    z = jnp.linspace(-3, 3, 5)
    np.testing.assert_array_equal(network.activations["layer_3"](z), z)


def test_vmap_over_params_is_a_loop():
    sizes = (2, 17, 40, 3)
    program = _program(sizes, "tanh", np.float32)
    runs = [draw_data(sizes, 401, np.float32, seed)[0] for seed in range(3)]
    _, x, cotangent = draw_data(sizes, 401, np.float32)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)
    _, logits, (slopes, _) = jax.vmap(program, in_axes=(0, None, None))(stacked, x, cotangent)
    for n, params in enumerate(runs):
        _, alone, (gradient, _) = program(params, x, cotangent)
        np.testing.assert_allclose(logits[n], alone, atol=1e-5)
        jax.tree.map(
            lambda many, one, n=n: np.testing.assert_allclose(many[n], one, rtol=1e-4, atol=1e-3),
            slopes,
            gradient,
        )


def _reverse_over_reverse(loss, params, direction):
    def along(params):
        return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, jax.grad(loss)(params), direction)))

    return jax.grad(along)(params)


def _forward_over_reverse(loss, params, direction):
    return jax.jvp(jax.grad(loss), (params,), (direction,))[1]


PRODUCTS = {"reverse": _reverse_over_reverse, "forward": _forward_over_reverse}


@pytest.mark.parametrize("product", ["reverse", "forward"])
def test_the_curvature_is_that_of_finite_differences(product):
    sizes, step = (2, 3, 20, 1), 1e-5
    with jax.enable_x64(True):
        network = networks.mlp(sizes, jnp.tanh, dtype=np.float64)
        params, x, cotangent = draw_data(sizes, 17, np.float64)
        direction, _, _ = draw_data(sizes, 17, np.float64, seed=1)

        def loss(params):
            return jnp.sum(jnp.square(network.apply(params, x) - cotangent))

        gradient = jax.jit(jax.grad(loss))
        ahead, behind = (
            gradient(jax.tree.map(lambda p, d, s=sign: p + s * step * d, params, direction))
            for sign in (1, -1)
        )
        got = jax.jit(functools.partial(PRODUCTS[product], loss))(params, direction)
        for ours, after, before in zip(*map(jax.tree.leaves, (got, ahead, behind)), strict=True):
            want = (np.asarray(after) - np.asarray(before)) / (2 * step)
            assert np.abs(want).max() > 0.1
            np.testing.assert_allclose(ours, want, rtol=1e-6, atol=1e-6)


@pytest.mark.quick
def test_the_second_call_traces_nothing():
    traces = []

    def activation(z):
        traces.append(z.shape)
        return jnp.tanh(z)

    network = networks.mlp((2, 3, 1), activation)
    params, x, _ = draw_data((2, 3, 1), 17, np.float32)
    for function in (network.apply, network.layers):
        function(params, x)
        count = len(traces)
        assert count
        function(params, x)
        function(jax.tree.map(lambda leaf: leaf + 1, params), x * 2)
        assert len(traces) == count
        function(params, x[:5])
        assert len(traces) > count


@pytest.mark.parametrize("examples", [1, 15, 16, 17])
def test_examples_that_fill_up_the_lanes_add_nothing_even_where_a_slope_is_infinite(examples):
    # The cube root is infinitely steep at 0, where examples of zeros would lie.
    network = networks.mlp((2, 3, 1), jnp.cbrt)
    params = jax.tree.map(lambda spec: jnp.full(spec.shape, 0.5), network.specs)
    params["layer_1"]["bias"] = jnp.zeros(3)
    gradient = jax.grad(lambda params: jnp.sum(network.apply(params, np.ones((examples, 2)))))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(params)))
    assert gradient(params)["layer_2"]["bias"] == examples


def test_layers_come_in_their_order():
    network = networks.mlp((2, *[3] * 10, 1), jnp.tanh)
    params = jax.tree.map(lambda spec: jnp.full(spec.shape, 0.5), network.specs)
    assert list(network.layers(params, np.ones((4, 2)))) == [f"layer_{n}" for n in range(1, 12)]


@pytest.mark.quick
def test_a_layer_without_bias_is_one_whose_bias_is_0():
    sizes = (3, 5, 4, 2)
    full = networks.mlp(sizes, jnp.tanh)
    some = networks.mlp(sizes, jnp.tanh, bias=(False, True, False))
    assert [len(some.specs[f"layer_{n}"]) for n in (1, 2, 3)] == [1, 2, 1]
    for bias in (False, [False] * 3):
        assert networks.mlp(sizes, jnp.tanh, bias=bias).specs == {
            name: {"weight": leaves["weight"]} for name, leaves in full.specs.items()
        }
    params, x, _ = draw_data(sizes, 6, np.float32)
    lacking = {
        name: {leaf: params[name][leaf] for leaf in leaves} for name, leaves in some.specs.items()
    }
    zeroed = {
        name: {leaf: value * (leaf in some.specs[name]) for leaf, value in leaves.items()}
        for name, leaves in params.items()
    }

    @jax.jit
    def both(lacking, zeroed):
        scores = lambda network: lambda params: jnp.sum(network.apply(params, x) ** 2)  # noqa: E731
        return tuple(
            (network.layers(params, x), jax.grad(scores(network))(params))
            for network, params in ((some, lacking), (full, zeroed))
        )

    (states, gradient), (want_states, want_gradient) = both(lacking, zeroed)
    jax.tree.map(np.testing.assert_array_equal, states, want_states)
    for name, leaves in gradient.items():
        for leaf, got in leaves.items():
            np.testing.assert_array_equal(got, want_gradient[name][leaf])


def test_the_scale_of_a_branch_is_a_factor_on_its_last_layer():
    @jax.jit
    def logits(params, scale, x):
        return networks.residual_mlp((2, 3, 1), 2, jnp.tanh, branch_scale=scale).apply(params, x)

    network = networks.residual_mlp((2, 3, 1), 2, jnp.tanh)
    draw = jax.random.normal(jax.random.key(0), (100,))
    params = jax.tree.map(lambda spec: draw[: math.prod(spec.shape)].reshape(spec.shape),
                          network.specs)  # fmt: skip
    x = draw[:8].reshape(4, 2)
    for scale in (0.0, 0.3, -2.0):
        scaled = {name: leaves | {"layer_2": jax.tree.map(lambda p, s=scale: p * s, layer)}
                  if (layer := leaves.get("layer_2")) else leaves
                  for name, leaves in params.items()}  # fmt: skip
        np.testing.assert_allclose(
            logits(params, jnp.float32(scale), x), network.apply(scaled, x), rtol=1e-5, atol=1e-6
        )
