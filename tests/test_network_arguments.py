"""Input validation of the perceptron: descriptions, inputs and params that do not fit."""

import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from network_data import draw_data

from initlab import networks, symmetry


@pytest.mark.parametrize(
    ("sizes", "activation", "dtype", "error", "message"),
    [
        ((), jnp.tanh, np.float32, ValueError, "sizes must hold at least inputs and outputs, got"),
        ((2,), jnp.tanh, np.float32, ValueError, "sizes must hold at least .* got (2,)"),
        ((2, 0, 1), jnp.tanh, np.float32, ValueError, "sizes[1] must be at least 1, got 0"),
        ((-2, 1), jnp.tanh, np.float32, ValueError, "sizes[0] must be at least 1, got -2"),
        ((2, 4.0, 1), jnp.tanh, np.float32, TypeError, "sizes[1] must be an integer, got 4.0"),
        ((2, 4, True), jnp.tanh, np.float32, TypeError, "sizes[2] must be an integer, got True"),
        ((2, None, 1), jnp.tanh, np.float32, TypeError, "sizes[1] must be an integer, got None"),
        ((2, 1), "tanh", np.float32, TypeError, "activation must be a function, got 'tanh'"),
        ((2, 1), None, np.float32, TypeError, "activation must be a function, got None"),
        (
            (2, 1),
            jnp.tanh,
            np.int32,
            TypeError,
            "dtype must be floating, got <class 'numpy.int32'>",
        ),
        ((2, 1), jnp.tanh, np.complex64, TypeError, "dtype must be floating, got"),
        ((2, 1), jnp.tanh, bool, TypeError, "dtype must be floating, got <class 'bool'>"),
        (
            (2, 1),
            jnp.tanh,
            np.ones(2, np.float32),
            TypeError,
            "dtype must be floating, as jnp.float32, got an array: give its .dtype",
        ),
    ],
)
def test_descriptions_that_do_not_fit(sizes, activation, dtype, error, message):
    with pytest.raises(error, match="^" + re.escape(message).replace(r"\.\*", ".*")):
        networks.mlp(sizes, activation, dtype=dtype)


@pytest.mark.parametrize("function", ["apply", "layers"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2,), "x must have shape [B, 2], got (2,)"),
        ((0, 2), "x must have shape [B, 2], got (0, 2)"),
        ((4, 2, 1), "x must have shape [B, 2], got (4, 2, 1)"),
        ((4, 3), "x must have 2 columns, got shape (4, 3)"),
    ],
)
def test_inputs_that_do_not_fit(function, shape, message):
    network = networks.mlp((2, 3, 1), jnp.tanh)
    params, _, _ = draw_data((2, 3, 1), 4, np.float32)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        getattr(network, function)(params, np.zeros(shape, np.float32))


def _changed(layer, **leaves):
    params, _, _ = draw_data((2, 3, 1), 4, np.float32)
    changed = {name: leaf for name, leaf in (params[layer] | leaves).items() if leaf is not None}
    return params | {layer: changed}


@pytest.mark.parametrize("function", ["apply", "layers"])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            _changed("layer_1", weight=np.zeros((3, 2), np.float32)),
            "params['layer_1/weight'] must have shape (2, 3), got (3, 2)",
        ),
        (
            _changed("layer_2", bias=np.zeros(2, np.float32)),
            "params['layer_2/bias'] must have shape (1,), got (2,)",
        ),
        (
            _changed("layer_2", bias=np.zeros(1, np.int32)),
            "params['layer_2/bias'] must be float32, got int32",
        ),
        (
            _changed("layer_1", bias=np.zeros(3, jnp.bfloat16)),
            "params['layer_1/bias'] must be float32, got bfloat16",
        ),
        (_changed("layer_1", bias=None), "params lack ['layer_1/bias']; they must hold ["),
        (
            _changed("layer_1", gain=np.ones(3, np.float32)),
            "params hold ['layer_1/gain'], which the network lacks; it has [",
        ),
        (
            {"layer_1": _changed("layer_1")["layer_1"]},
            "params lack ['layer_2/bias', 'layer_2/weight']; they must hold [",
        ),
        (
            _changed("layer_1") | {"layer_3": _changed("layer_2")["layer_2"]},
            "params hold ['layer_3/bias', 'layer_3/weight'], which the network lacks",
        ),
    ],
)
def test_params_that_do_not_fit(function, params, message):
    network = networks.mlp((2, 3, 1), jnp.tanh)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        getattr(network, function)(params, np.zeros((4, 2), np.float32))


def test_inputs_are_cast_to_the_networks_dtype():
    network = networks.mlp((2, 3, 1), jnp.tanh)
    params, _, _ = draw_data((2, 3, 1), 4, np.float32)
    x = np.array([[1, -2], [0, 3]])
    want = network.apply(params, x.astype(np.float32))
    for given_x in (x, x.astype(np.float64), jnp.asarray(x, jnp.bfloat16)):
        np.testing.assert_array_equal(network.apply(params, given_x), want)


def test_a_dtype_must_be_named():
    with pytest.raises(TypeError, match="dtype must be floating, got None"):
        networks.mlp((2, 1), jnp.tanh, dtype=None)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("bias", "error", "message"),
    [
        (None, TypeError, "bias must be True, False, or a sequence of these for each layer, got N"),
        (1, TypeError, "bias must be True, False, or"),
        ((True, 0), TypeError, "bias must be True, False, or"),
        ("no", TypeError, "bias must be True, False, or"),
        ([True], ValueError, "bias must have an entry for each of the 2 layers, got 1"),
    ],
)
def test_biases_that_do_not_fit(bias, error, message):
    with pytest.raises(error, match=f"^{message}"):
        networks.mlp((2, 3, 1), jnp.tanh, bias=bias)


def test_a_branch_scale_is_one_finite_number():
    cases: list[tuple[Any, type[Exception]]] = [
        (np.nan, ValueError),
        ("1", TypeError),
        (np.ones(2), TypeError),
    ]
    for scale, error in cases:
        with pytest.raises(error, match="branch_scale must be"):
            networks.residual_mlp((2, 3, 1), 2, jnp.tanh, branch_scale=scale)


def test_one_scan_runs_layers_that_are_alike():
    for sizes in ((3, 1), (3, 5, 1)):
        network = networks.mlp(sizes, jnp.tanh, scanned=True)
        assert network.specs == networks.mlp(sizes, jnp.tanh).specs
    with pytest.raises(ValueError, match=r"scanned mlp must have one width, got \(5, 4\); without"):
        networks.mlp((3, 5, 4, 1), jnp.tanh, scanned=True)
    with pytest.raises(ValueError, match=r"one for all layers between .* got \(True, False\)"):
        networks.mlp((3, 4, 4, 4, 1), jnp.tanh, bias=(True, True, False, True), scanned=True)
    groups = symmetry.mlp_groups(networks.mlp((3, 17, 17, 17, 2), jnp.tanh, scanned=True).specs)
    assert [group.name for group in groups] == ["layer_1", "layer_2", "layer_3"]
    assert [axis.at for axis in groups[1].axes] == [(0,), (0,), (1,)]
