"""Input validation of the deep networks: descriptions, inputs and params; stacked draws."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deep_networks import CASES, start

import initlab
from initlab import checks, networks
from initlab.initializers import by_role, normal, orthogonal
from initlab.networks.layer_params import layer_leaves, layer_names
from initlab.types import Network, ParamSpec, Role, Task

# Any: arguments that no type checker would let through are the point.
residual_mlp: Any = functools.partial(networks.residual_mlp, activation=jnp.tanh)
convnet: Any = functools.partial(networks.convnet, activation=jnp.tanh)
transformer: Any = functools.partial(
    networks.transformer, depth=1, activation=jnp.tanh, heads=2, length=3
)


def _of_two(z, y):
    return z + y


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: residual_mlp((2, 1), 1),
            ValueError,
            "sizes must be (inputs, width, outputs), got",
        ),
        (lambda: residual_mlp((2, 0, 1), 1), ValueError, "sizes[1] must be at least 1, got 0"),
        (lambda: residual_mlp((2, 4, 1), 0), ValueError, "depth must be at least 1, got 0"),
        (lambda: residual_mlp((2, 4, 1), 1.0), TypeError, "depth must be an integer, got 1.0"),
        (
            lambda: residual_mlp((2, 4, 1), 1, branch_layers=0),
            ValueError,
            "branch_layers must be at least 1, got 0",
        ),
        (
            lambda: residual_mlp((2, 4, 1), 1, activation="tanh"),
            TypeError,
            "activation must be a function, got 'tanh'",
        ),
        (
            lambda: residual_mlp((2, 4, 1), 1, activation=_of_two),
            TypeError,
            "activation must be a function of one array, got _of_two, which takes (z, y)",
        ),
        (
            lambda: networks.mlp((2, 4, 1), jnp.sum),
            TypeError,
            "activation must give an array of its argument's shape, got",
        ),
        (
            lambda: residual_mlp((2, 4, 1), 1, dtype=np.float64),
            ValueError,
            "dtype float64 requires jax_enable_x64, which is off",
        ),
        (lambda: residual_mlp((2, 4, 1), 1, dtype=int), TypeError, "dtype must be floating, got"),
        (lambda: convnet((8,), 4, 1, 1), ValueError, "shape must be (length, channels) or (height"),
        (lambda: convnet((8, 0), 4, 1, 1), ValueError, "shape[1] must be at least 1, got 0"),
        (lambda: convnet((8, 1), 4.0, 1, 1), TypeError, "channels must be an integer, got 4.0"),
        (lambda: convnet((8, 2, 1), 4, 1, 1), ValueError, "window must be at most 2, got 3"),
        (
            lambda: convnet((8, 1), 4, 1, 1, gate=True),
            ValueError,
            "gate and branch_layers are a residual network's; set residual=True",
        ),
        (
            lambda: transformer((5, 6, 5), heads=4),
            ValueError,
            "heads must divide the width 6, got 4",
        ),
        (
            lambda: transformer((5, 6)),
            ValueError,
            "sizes must be (inputs, width, outputs), got (5, 6)",
        ),
        (lambda: transformer((5, 6, 5), length=0), ValueError, "length must be at least 1, got 0"),
        (lambda: transformer((5, 6, 5), hidden=0), ValueError, "hidden must be at least 1, got 0"),
        (lambda: transformer((5, 6, 4), tied=True), ValueError, "tied requires tokens and as many"),
        (
            lambda: transformer((5, 6, 5), tied=True, tokens=False),
            ValueError,
            "tied requires tokens and as many outputs as inputs, got tokens=False",
        ),
        (
            lambda: transformer((5, 6, 5), norm=None, norm_at="post"),
            ValueError,
            "norm_at='post' requires a norm, got norm=None",
        ),
        (
            lambda: transformer((5, 6, 5), norm="batch"),
            ValueError,
            "norm must be one of 'layer', 'rms', None, got 'batch'",
        ),
        (
            lambda: transformer((5, 8, 5), heads=4, kv_heads=3),
            ValueError,
            "kv_heads must divide heads 4, got 3",
        ),
        (
            lambda: transformer((5, 6, 5), positions="rotary"),
            ValueError,
            "positions='rotary' requires an even number of features in a head, got 3 = 6 / 2",
        ),
        (
            lambda: transformer((5, 6, 5), attention_scale="d"),
            ValueError,
            "attention_scale must be one of '1/sqrt(d)', '1/d', a number, got 'd'",
        ),
        (
            lambda: transformer((5, 6, 5), softcap=0.0),
            ValueError,
            "softcap must be over 0, or None for none, got 0.0",
        ),
        (
            lambda: transformer((5, 6, 5), branch_scale=np.ones(2)),
            TypeError,
            "branch_scale must be a number, got array([1., 1.])",
        ),
    ],
)
def test_descriptions_that_do_not_fit(make, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("network", "x", "error", "message"),
    [
        (residual_mlp((2, 4, 1), 1), np.zeros((3, 4)), ValueError, "x must have 2 columns, got"),
        (
            convnet((4, 4, 2), 4, 1, 1),
            np.zeros((3, 4, 4)),
            ValueError,
            "x must have shape [B, 4, 4, 2] or [B, 32], got (3, 4, 4)",
        ),
        (
            convnet((4, 4, 2), 4, 1, 1),
            np.zeros((0, 32)),
            ValueError,
            "x must have shape [B, 4, 4, 2]",
        ),
        (
            convnet((4, 2), 4, 1, 1),
            np.zeros((3, 8), complex),
            TypeError,
            "x must hold real numbers, got complex128",
        ),
        (
            transformer((5, 6, 5)),
            np.zeros((3, 4), int),
            ValueError,
            "x must have shape [B, 1 to 3], got (3, 4)",
        ),
        (
            transformer((5, 6, 5)),
            np.zeros((3, 2)),
            TypeError,
            "x must hold tokens as integers, got",
        ),
        (
            transformer((5, 6, 5)),
            np.array([[0, 5]]),
            ValueError,
            "x must hold tokens from 0 to 4, got 0 to 5",
        ),
        (
            transformer((2, 6, 5), tokens=False),
            np.zeros((3, 4)),
            ValueError,
            "x must have shape [B, 1 to 3, 2] or [B, 6], got (3, 4)",
        ),
    ],
)
def test_inputs_that_do_not_fit(network, x, error, message):
    params = start(network)
    for function in (network.apply, network.layers):
        with pytest.raises(error, match="^" + re.escape(message)):
            function(params, x)


def test_params_that_do_not_fit():
    network = residual_mlp((2, 4, 1), 3, scanned=True)
    params = start(network)
    wrong = params | {"blocks": jax.tree.map(lambda leaf: leaf[:2], params["blocks"])}
    for function in (network.apply, network.layers):
        message = "params['blocks/layer_1/bias'] must have shape (3, 4), got (2, 4)"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            function(wrong, np.zeros((5, 2)))
        with pytest.raises(ValueError, match=r"^params lack \['readout/bias', 'readout/weight'\]"):
            function({key: params[key] for key in ("stem", "blocks")}, np.zeros((5, 2)))


def test_tokens_out_of_range_are_nan_where_they_cannot_be_looked_at():
    network = transformer((5, 6, 5))
    logits = jax.jit(lambda x: network.apply(start(network), x))(np.array([[1, 2], [1, 7]]))
    assert np.isfinite(logits[0]).all()
    assert np.isnan(logits[1]).any()


def test_a_task_requires_one_row_of_logits_for_each_example():
    x = np.zeros((4, 3), int)
    task = Task(x, np.zeros(4, int), initlab.objectives.binary)
    with pytest.raises(ValueError, match=r"^the network must give logits \[B, K\], got"):
        initlab.make_loss(transformer((5, 6, 1)), task)


SPECS_ROLES = {
    "residual_mlp": {
        "stem/weight": (Role.INPUT, 3, 18),
        "block_1/norm/scale": (Role.NORM_SCALE, 1, 1),
        "block_1/norm/bias": (Role.NORM_BIAS, 1, 1),
        "block_2/layer_1/weight": (Role.WEIGHT, 18, 18),
        "block_2/layer_2/weight": (Role.RESIDUAL, 18, 18),
        "block_2/layer_2/bias": (Role.BIAS, 18, 18),
        "block_2/gate": (Role.GATE, 1, 1),
        "readout/weight": (Role.READOUT, 18, 2),
    },
    "convnet": {
        "stem/weight": (Role.INPUT, 9 * 2, 9 * 4),
        "block_1/weight": (Role.WEIGHT, 9 * 4, 9 * 4),
        "block_2/bias": (Role.BIAS, 9 * 4, 9 * 4),
        "readout/weight": (Role.READOUT, 4, 2),
    },
    "convnet, normed": {
        "stem/weight": (Role.INPUT, 2 * 2, 2 * 4),
        "readout/weight": (Role.READOUT, 6 * 4, 2),
    },
    "transformer": {
        "embedding/table": (Role.EMBEDDING, 1, 8),
        "embedding/position": (Role.EMBEDDING, 1, 8),
        "block_1/attention/query/weight": (Role.WEIGHT, 8, 8),
        "block_1/attention/output/weight": (Role.RESIDUAL, 8, 8),
        "block_2/mlp/layer_1/weight": (Role.WEIGHT, 8, 32),
        "block_2/mlp/layer_2/weight": (Role.RESIDUAL, 32, 8),
        "readout/weight": (Role.READOUT, 8, 3),
    },
}


@pytest.mark.parametrize("name", SPECS_ROLES)
def test_the_specs_tell_roles_and_fans(name):
    make, _, _ = CASES[name]
    by_path = {
        checks.path_name(path): spec
        for path, spec in jax.tree_util.tree_flatten_with_path(make().specs)[0]
    }
    known = SPECS_ROLES[name]
    assert {
        path: (by_path[path].role, by_path[path].fan_in, by_path[path].fan_out) for path in known
    } == known


def test_stacked_draws_are_the_unrolled_ones():
    unrolled, scanned = (residual_mlp((2, 6, 1), 2, scanned=s) for s in (False, True))
    draw = by_role(orthogonal(), input=normal(0.3), bias=normal(1.0))
    one, other = (
        jax.jit(
            lambda key, specs=network.specs: initlab.initialize(key, specs, draw),
            compiler_options={"xla_backend_optimization_level": 0},
        )(jax.random.key(4))
        for network in (unrolled, scanned)
    )
    np.testing.assert_array_equal(other["stem"]["weight"], one["stem"]["weight"])
    for n in range(2):
        for layer in ("layer_1", "layer_2"):
            stacked = jax.tree.map(lambda leaf, n=n: leaf[n], other["blocks"][layer])
            alone = one[f"block_{n + 1}"][layer]
            np.testing.assert_array_equal(stacked["bias"], alone["bias"])
            # The library's QR of many matrices rounds otherwise than that of one.
            np.testing.assert_allclose(stacked["weight"], alone["weight"], atol=1e-6)


def test_leaves_by_layer():
    network = residual_mlp((2, 4, 1), 2, scanned=True)
    params = start(network)
    leaves = layer_leaves(network, params)
    assert list(leaves) == list(layer_names(network)) == ["stem", "block_1", "block_2", "readout"]
    assert [len(each) for each in leaves.values()] == [2, 4, 4, 2]
    for n, name in enumerate(("block_1", "block_2")):
        (_, bias), *_ = leaves[name]
        np.testing.assert_array_equal(bias, params["blocks"]["layer_1"]["bias"][n])
    tied = transformer((5, 6, 5), tied=True, norm_at="post")
    assert layer_leaves(tied, start(tied))["readout"] == []
    foreign = Network({"a": {"w": ParamSpec((1,), 1, 1)}}, tied.apply, tied.layers)
    assert layer_names(foreign) == ("a",)
