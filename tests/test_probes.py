"""The probes against NumPy in float64, under jit and vmap, and on params that have diverged."""

import functools
import inspect
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import networks, objectives, probes
from initlab.types import Batch

EXAMPLES, TESTS = 13, 7
LAYERS = 3


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# Per activation: function, then function, slope and largest slope in NumPy.
ACTIVATIONS = {
    "tanh": (jnp.tanh, np.tanh, lambda z: 1 / np.cosh(z) ** 2, 1.0),
    "relu": (jax.nn.relu, lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0, 1.0),
    "sigmoid": (jax.nn.sigmoid, _sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z), 0.25),
}
# Per objective: itself and its logits, then loss, metric, gradient of the loss by the logits, and
# slope of its link over the largest, in NumPy.
OBJECTIVES = {
    "binary": (
        objectives.binary,
        1,
        lambda z, y: np.mean(np.logaddexp(0, z[:, 0]) - y * z[:, 0]),
        lambda z, y: np.mean((z[:, 0] > 0) == y),
        lambda z, y: (_sigmoid(z) - y[:, None]) / len(y),
        lambda z: 4 * _sigmoid(z) * _sigmoid(-z),
    ),
    "softmax": (
        objectives.softmax,
        4,
        lambda z, y: -np.mean(np.log(_softmax(z)[np.arange(len(y)), y])),
        lambda z, y: np.mean(z.argmax(axis=1) == y),
        lambda z, y: (_softmax(z) - np.eye(4)[y]) / len(y),
        lambda z: 4 * _softmax(z) * (1 - _softmax(z)),
    ),
    "regression": (
        objectives.regression,
        1,
        lambda z, y: np.mean((z[:, 0] - y) ** 2),
        lambda z, y: 1 - np.sum((z[:, 0] - y) ** 2) / np.sum((y - y.mean()) ** 2),
        lambda z, y: 2 * (z - y[:, None]) / len(y),
        np.ones_like,
    ),
}
# probe, its names without test data, whether it has an entry for each layer
TABLE = {
    "loss": (probes.loss, ["loss"], False),
    "accuracy": (probes.accuracy, ["accuracy"], False),
    "distinct_units": (probes.distinct_units, ["distinct_units"], True),
    "unit_spread": (probes.unit_spread, ["unit_spread"], True),
    "saturation": (probes.saturation, ["saturation"], True),
    "dead_units": (probes.dead_units, ["dead_units"], True),
    "gradient_norm": (probes.gradient_norm, ["gradient_norm"], True),
    "weight_norm": (probes.weight_norm, ["weight_norm"], True),
}
# These have a file of their own: tests/test_probes_geometry.py.
GEOMETRY = {
    *("activation_patterns", "effective_rank", "gradient_noise_scale", "imbalance"),
    *("jacobian_singular_values", "jacobian_spectrum", "kernel_movement", "layer_jacobians"),
    *("movement", "orientations", "sharpness"),
}
MODELS = [("tanh", "binary"), ("relu", "softmax"), ("sigmoid", "regression")]
EACH_MODEL = pytest.mark.parametrize(("activation", "objective"), MODELS)
LOGISTIC = networks.mlp((2, 1), jnp.tanh)
EACH_PROBE = pytest.mark.parametrize("name", TABLE)


@functools.cache
def _network(activation, outputs):
    return networks.mlp((2, 5, 6, outputs), ACTIVATIONS[activation][0])


def _params(outputs, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return {
        f"layer_{n}": {
            "weight": (scale * rng.standard_normal((i, j))).astype(np.float32),
            "bias": (scale * rng.standard_normal(j)).astype(np.float32),
        }
        for n, (i, j) in enumerate(itertools.pairwise((2, 5, 6, outputs)), start=1)
    }


def _batch(objective, start, tests=True):
    rng = np.random.default_rng(1)

    def labels(count):
        if objective == "regression":
            return rng.standard_normal(count).astype(np.float32)
        return rng.integers(0, 2 if objective == "binary" else 4, count).astype(np.int32)

    x, y, x_test, y_test = (
        jnp.asarray(each)
        for count in (EXAMPLES, TESTS)
        for each in (rng.standard_normal((count, 2)).astype(np.float32), labels(count))
    )
    if not tests:
        return Batch(x, y, None, None, OBJECTIVES[objective][0], start)
    return Batch(x, y, x_test, y_test, OBJECTIVES[objective][0], start)


def _states(params, x, phi):
    states, a = [], np.asarray(x, np.float64)
    for n, layer in enumerate(params.values(), start=1):
        z = a @ layer["weight"].astype(np.float64) + layer["bias"].astype(np.float64)
        a = z if n == len(params) else phi(z)
        states.append((z, a))
    return states


@functools.cache
def _program(activation, objective):
    """All probes at once, compiled: `(params, start) -> {probe: what it says}`."""
    network = _network(activation, OBJECTIVES[objective][1])

    def measure(params, start):
        batch = _batch(objective, start)
        return {name: probe(network, params, batch) for name, (probe, _, _) in TABLE.items()}

    return jax.jit(measure)


def _measured(activation, objective, params, start=None):
    """All that the probes say of params, in one dict."""
    said = _program(activation, objective)(params, params if start is None else start)
    return {key: value for values in said.values() for key, value in values.items()}


def _model(activation, objective, scale=1.0):
    params = _params(OBJECTIVES[objective][1], scale=scale)
    return params, _batch(objective, params), _measured(activation, objective, params)


@pytest.mark.quick
def test_the_table_is_complete():
    # effective_width makes a probe for given groups: tests/test_symmetry_induction.py.
    others = {"LONG_NAMES", "SATURATED_SLOPE", "effective_width"}
    assert {*TABLE, *others, *GEOMETRY} == set(probes.__all__)
    for probe, _, _ in TABLE.values():
        assert list(inspect.signature(probe).parameters) == ["network", "params", "batch"]
    names = {name for _, names, _ in TABLE.values() for name in names}
    assert {*names, "test_loss", "test_accuracy"} < set(probes.LONG_NAMES)


@EACH_MODEL
def test_loss_and_accuracy_on_both_parts(activation, objective):
    params, batch, got = _model(activation, objective)
    _, _, loss, metric, _, _ = OBJECTIVES[objective]
    phi = ACTIVATIONS[activation][1]
    for prefix, x, y in (("", batch.x, batch.y), ("test_", batch.x_test, batch.y_test)):
        z = _states(params, x, phi)[-1][0]
        y = np.asarray(y)
        np.testing.assert_allclose(got[f"{prefix}loss"], loss(z, y), rtol=1e-4)
        np.testing.assert_allclose(got[f"{prefix}accuracy"], metric(z, y), rtol=1e-4)
    assert got["loss"] != got["test_loss"]


def test_without_test_data_there_are_no_test_scores():
    network, params = _network("tanh", 1), _params(1)
    batch = _batch("binary", params, tests=False)
    assert list(probes.loss(network, params, batch)) == ["loss"]
    assert list(probes.accuracy(network, params, batch)) == ["accuracy"]


@EACH_MODEL
def test_gradient_and_weight_norms(activation, objective):
    params, batch, got = _model(activation, objective)
    _, phi, slope, _ = ACTIVATIONS[activation]
    states = _states(params, batch.x, phi)
    below = [np.asarray(batch.x, np.float64)] + [a for _, a in states]
    dz = OBJECTIVES[objective][4](states[-1][0], np.asarray(batch.y))
    norms = []
    for n in (2, 1, 0):
        entries = np.concatenate([(below[n].T @ dz).ravel(), dz.sum(axis=0)])
        norms.insert(0, np.linalg.norm(entries))
        weight = params[f"layer_{n + 1}"]["weight"].astype(np.float64)
        dz = (dz @ weight.T) * slope(states[n - 1][0]) if n else dz
    np.testing.assert_allclose(got["gradient_norm"], norms, rtol=1e-4)
    weights = [np.linalg.norm(layer["weight"].astype(np.float64)) for layer in params.values()]
    np.testing.assert_allclose(got["weight_norm"], weights, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 8.0])
@EACH_MODEL
def test_saturation_is_the_share_of_small_slopes(activation, objective, scale):
    params, batch, got = _model(activation, objective, scale)
    _, phi, slope, steepest = ACTIVATIONS[activation]
    states = [z for z, _ in _states(params, batch.x, phi)]
    slopes = [slope(z) / steepest for z in states[:-1]] + [OBJECTIVES[objective][5](states[-1])]
    # The numbers below decide only where no slope is too close to the threshold to tell.
    assert all(np.abs(each / probes.SATURATED_SLOPE - 1).min() > 1e-4 for each in slopes)
    shares = [np.mean(each < probes.SATURATED_SLOPE) for each in slopes]
    np.testing.assert_allclose(got["saturation"], shares, rtol=1e-6)
    if scale > 1:
        assert shares[1] > 0
        assert (shares[2] > 0) == (objective != "regression")


def test_dead_units_have_no_slope_on_any_example():
    params, batch, got = _model("relu", "softmax")
    _, phi, slope, _ = ACTIVATIONS["relu"]

    def dead(params):
        hidden = [z for z, _ in _states(params, batch.x, phi)][:-1]
        return [(slope(z) == 0).all(axis=0).sum() for z in hidden] + [0]

    np.testing.assert_array_equal(got["dead_units"], dead(params))
    assert got["dead_units"].dtype == np.int32
    killed = jax.tree.map(np.copy, params)
    killed["layer_1"]["bias"][[0, 3]] = -100
    killed["layer_2"]["bias"][1] = -1000
    want = dead(killed)
    assert want[0] >= 2
    assert want[1] >= 1
    now = _measured("relu", "softmax", killed)
    np.testing.assert_array_equal(now["dead_units"], want)


@pytest.mark.quick
def test_distinct_units_are_counted_with_their_outgoing_weights():
    params = jax.tree.map(lambda leaf: np.full_like(leaf, 0.1), _params(4))

    def count(params):
        counts = _measured("relu", "softmax", params)["distinct_units"]
        assert counts.dtype == np.int32
        return counts.tolist()

    assert count(params) == [1, 1, 1]
    params["layer_1"]["bias"][2] = 0.3
    assert count(params) == [2, 1, 1]
    params["layer_2"]["weight"][4, 1] = np.nextafter(np.float32(0.1), np.float32(1))
    # Row 4 tells a unit of layer_1 apart, column 1 one of layer_2.
    assert count(params) == [3, 2, 1]
    params["layer_3"]["weight"][0, 3] = -0.1
    assert count(params) == [3, 3, 2]
    assert count(_params(4)) == [5, 6, 4]


@pytest.mark.quick
def test_unit_spread_looks_only_at_units_that_started_identical():
    start = jax.tree.map(lambda leaf: np.full_like(leaf, 0.5), _params(4))
    start["layer_1"]["bias"][0] = 2.0

    def spread(params):
        return _measured("relu", "softmax", params, start)["unit_spread"]

    np.testing.assert_array_equal(spread(start), [0, 0, 0])
    now = jax.tree.map(np.copy, start)
    now["layer_1"]["bias"][0] = 90.0  # it was apart from the start
    np.testing.assert_array_equal(spread(now), [0, 0, 0])
    now["layer_1"]["bias"][2] = 0.75
    now["layer_2"]["weight"][3, 5] = 1.5  # row 3 is layer_1's, column 5 layer_2's
    now["layer_3"]["bias"][1] = 0.4
    np.testing.assert_allclose(spread(now), [1.0, 1.0, 0.1], rtol=1e-6)


@pytest.mark.quick
@EACH_MODEL
@EACH_PROBE
def test_names_shapes_and_dtypes(name, activation, objective):
    _, _, got = _model(activation, objective)
    _, names, each_layer = TABLE[name]
    for key in names if each_layer else [*names, f"test_{names[0]}"]:
        assert key in probes.LONG_NAMES
        assert got[key].shape == ((LAYERS,) if each_layer else ())
        counts = key in ("distinct_units", "dead_units")
        assert got[key].dtype == (np.int32 if counts else np.float32)


@functools.cache
def _mapped():
    """Three runs at once, the last of them diverged: NaN in one weight, infinity in another."""
    runs = [_params(1, seed) for seed in range(3)]
    runs[2]["layer_1"]["weight"][0, 0] = np.nan
    runs[2]["layer_3"]["weight"][1, 0] = np.inf
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *runs)
    return runs, jax.vmap(_program("tanh", "binary"))(stacked, stacked)


@EACH_PROBE
def test_vmap_is_a_loop_and_nan_does_not_raise(name):
    runs, said = _mapped()
    got = said[name]
    for n, params in enumerate(runs):
        alone = _program("tanh", "binary")(params, params)[name]
        assert list(alone) == list(got) == [TABLE[name][1][0], *list(got)[1:]]
        for key in got:
            np.testing.assert_allclose(got[key][n], alone[key], rtol=1e-5, atol=1e-6)
    if name in ("loss", "weight_norm", "gradient_norm"):
        assert not np.isfinite(got[name][2]).all()
        assert np.isfinite(got[name][:2]).all()


@EACH_PROBE
def test_logistic_regression_has_one_layer(name):
    # Without a compiler, as in a notebook, and on params that are all NaN.
    params = jax.tree.map(lambda spec: np.full(spec.shape, np.nan, spec.dtype), LOGISTIC.specs)
    probe, names, each_layer = TABLE[name]
    got = probe(LOGISTIC, params, _batch("binary", params))
    for key in names:
        assert got[key].shape == ((1,) if each_layer else ())


def test_long_names_say_something_else_for_each():
    assert len(set(probes.LONG_NAMES.values())) == len(probes.LONG_NAMES)
    assert math.isclose(probes.SATURATED_SLOPE, 0.01)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_a_norm_neither_underflows_nor_overflows(size):
    network = networks.mlp((2, 2, 1), jnp.tanh)
    params = jax.tree.map(lambda spec: jnp.full(spec.shape, size), network.specs)
    batch = Batch(jnp.ones((4, 2)), jnp.ones(4), None, None, objectives.binary, params)
    norms = probes.weight_norm(network, params, batch)["weight_norm"]
    np.testing.assert_allclose(norms, [2 * size, 2**0.5 * size], rtol=1e-5)


def test_a_diverged_run_is_neither_unsaturated_nor_half_right():
    network = networks.mlp((2, 2, 1), jnp.tanh)
    params = jax.tree.map(lambda spec: jnp.full(spec.shape, jnp.nan), network.specs)
    batch = Batch(jnp.ones((4, 2)), jnp.ones(4), None, None, objectives.binary, params)
    assert np.isnan(probes.saturation(network, params, batch)["saturation"]).all()
    assert np.isnan(probes.accuracy(network, params, batch)["accuracy"])
