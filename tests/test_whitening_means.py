"""Whitening where the mean is larger than the spread, and where all units vary alike."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_calibration import KEY

from initlab.calibration import layerwise_whitening
from initlab.compilation import compile_fast
from initlab.taps import read_model, unit_factors

SHIFTED = 1 + 0.05 * np.random.default_rng(7).normal(size=(24, 6)).astype(np.float32)


class Layers(nn.Module):
    """Two layers, with a bias each or without."""

    use_bias: bool

    @nn.compact
    def __call__(self, x):
        dense = functools.partial(nn.Dense, use_bias=self.use_bias)
        return dense(2)(nn.tanh(dense(8)(nn.relu(dense(8)(x)))))


def _scaled_bias(params, x):
    """A bias times a constant is none that can be shifted: its weight's mean is divided by."""
    z = x @ params["weight"] + jnp.broadcast_to(0.01 * params["bias"], (24, 8))
    return jnp.tanh(z) @ params["out"]


def _stacked_layers(params, x):
    def layer(h, given):
        weight, bias = given
        return jax.nn.relu(h @ weight + jnp.broadcast_to(bias, (24, 6))), None

    return jax.lax.scan(layer, x, (params["weight"], params["bias"]))[0]


def _drawn(shapes):
    stream = np.random.default_rng(8)
    return {
        name: (stream.normal(size=shape) * (name != "bias")).astype(np.float32)
        for name, shape in shapes.items()
    }


def _flax(use_bias):
    model = Layers(use_bias)
    return lambda p, x: model.apply(p, x), jax.jit(model.init)(KEY, SHIFTED)


MEANS = {
    "biases take it": lambda: _flax(True),
    "no biases": lambda: _flax(False),
    "a bias times a constant": lambda: (
        _scaled_bias,
        _drawn({"weight": (6, 8), "bias": (8,), "out": (8, 2)}),
    ),
    "layers in a loop": lambda: (_stacked_layers, _drawn({"weight": (3, 6, 6), "bias": (3, 6)})),
}


@pytest.mark.parametrize("name", MEANS)
def test_a_mean_beyond_the_spread_is_not_made_large(name):
    apply, params = MEANS[name]()
    whitened = jax.jit(lambda params: layerwise_whitening(KEY, apply, params, SHIFTED))(params)
    outputs = np.asarray(apply(whitened, SHIFTED), np.float64)
    # Either the spread or the mean is 1, and the other one less.
    assert np.sqrt(np.mean(outputs**2, axis=0)).max() < 1.5
    if name == "biases take it":
        kernel, bias = (np.asarray(whitened["params"]["Dense_2"][n]) for n in ("kernel", "bias"))
        z = SHIFTED.astype(np.float64) @ kernel + bias
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-3)
        assert np.abs(z.mean(axis=0)).max() < 1.01


@pytest.mark.parametrize("features", ["one", "one that varies", "copies of one"])
def test_units_of_one_input_are_not_made_equal(features):
    stream = np.random.default_rng(9)
    x = stream.normal(size=(16, 1)).astype(np.float32)
    if features == "one that varies":
        x = np.concatenate([x, np.ones_like(x)], axis=1)
    elif features == "copies of one":
        x = np.repeat(x, 3, axis=1)
    params = _drawn({"weight": (x.shape[1], 8), "bias": (8,), "out": (8, 2)})

    def apply(params, x):
        z = x @ params["weight"] + jnp.broadcast_to(params["bias"], (16, 8))
        return jnp.tanh(z) @ params["out"]

    whitened = layerwise_whitening(KEY, apply, params, x)
    spread = np.std(x.astype(np.float64) @ np.asarray(whitened["weight"]), axis=0)
    before = np.std(x.astype(np.float64) @ params["weight"], axis=0)
    np.testing.assert_allclose(spread / before, (spread / before)[0], rtol=1e-4)
    assert 0.3 < np.sqrt(np.mean(spread**2)) < 1.1
    outputs = np.asarray(apply(whitened, x), np.float64)
    assert 0.3 < np.sqrt(np.mean(outputs**2)) < 1.5


def _biased_by_ones(params, x):
    """The offset is the weight of an input that is always 1."""
    h = jnp.tanh(x + jnp.ones((12, 1)) @ params["offset"][None])
    return h @ params["weight"] + jnp.broadcast_to(params["bias"], (12, 3))


def test_factors_are_those_of_numpy_eager_compiled_and_batched():
    """A unit whose spread is rounding; one whose mean is its spread; one with a mean beyond it."""
    stream = np.random.default_rng(10)
    x = np.stack([stream.normal(size=12), np.full(12, 0.1), np.arange(12) % 2], axis=1)
    x, weight = x.astype(np.float32), np.array([[0, 0, 0.3], [0.7, 0, 2], [0, 0.7, 0]], "f")
    offset = np.array([0.5, 0.3, 0], "f")
    params = {"bias": np.zeros(3, np.float32), "offset": offset, "weight": weight}
    model = read_model(_biased_by_ones, params, x)

    def find(params):
        factors, shifts = unit_factors(model, params, x)
        return dict(zip(params, factors, strict=True)), dict(zip(params, shifts, strict=True))

    z = np.tanh(x.astype(np.float64) + offset) @ weight
    factor = np.append(1, 1 / z[:, 1:].std(axis=0))
    means = (z * factor).mean(axis=0)
    np.testing.assert_allclose(means[1], 1, rtol=1e-6)
    assert means[2] > 1.1
    wanted = {"weight": np.tile(factor, (3, 1)), "bias": 1, "offset": 1}
    moved = {"weight": 0, "bias": np.array([-means[0], 0, -means[2]]), "offset": 0}
    pair = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), params)
    run = jax.jit(lambda params, pair: (find(params), jax.vmap(find)(pair)))
    compiled, both = compile_fast(run.lower(params, pair))(params, pair)
    batched = jax.tree.map(lambda leaf: leaf[1], both)
    for found in (find(params), compiled, batched):
        for one, other in zip(found, (wanted, moved), strict=True):
            for name in params:
                np.testing.assert_allclose(one[name], other[name], 1e-4, 1e-6, err_msg=name)
