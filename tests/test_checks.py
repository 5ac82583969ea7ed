"""Input validation: what each check accepts, and its error for the rest."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import checks
from initlab.types import ParamSpec, Role

pytestmark = pytest.mark.quick

SPECS = {
    "layer_1": {"weight": ParamSpec((2, 3), 2, 3), "bias": ParamSpec((3,), 2, 3, Role.BIAS)},
    "layer_2": {"weight": ParamSpec((3, 1), 3, 1, Role.READOUT)},
}


def _params(**changes):
    """Params that fit SPECS, but for the given leaves of layer_1; None takes a leaf out."""
    layer = {"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(3, np.float32)} | changes
    layer = {name: leaf for name, leaf in layer.items() if leaf is not None}
    return {"layer_1": layer, "layer_2": {"weight": np.zeros((3, 1), np.float32)}}


def test_only_a_tracer_is_not_concrete():
    seen = []

    def look(value):
        seen.append(checks.is_concrete(value))
        return value

    for transform in (jax.jit, jax.vmap, jax.grad):
        transform(look)(jnp.ones(3) if transform is jax.vmap else 1.0)
    assert seen == [False] * 3
    for value in (1.0, np.ones(2), jnp.ones(2), "text", None):
        assert checks.is_concrete(value)


def test_path_names_join_keys_and_positions():
    tree = {"layer_1": {"weight": 0}, "more": [1, (2,)]}
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    paths = [checks.path_name(path) for path, _ in leaves]
    assert paths == ["layer_1/weight", "more/0", "more/1/0"]


@pytest.mark.parametrize("value", [len, jnp.tanh, lambda: None, dict])
def test_callables_pass(value):
    assert checks.check_callable("activation", value) is None


@pytest.mark.parametrize("value", [None, "tanh", 1.0, [len]])
def test_other_things_are_no_callables(value):
    with pytest.raises(
        TypeError, match="^activation must be a function, got " + re.escape(repr(value))
    ):
        checks.check_callable("activation", value)


@pytest.mark.parametrize("value", [2, 3, 2**32 - 1, np.int64(2), np.uint8(200)])
def test_counts_pass(value):
    assert checks.check_count("steps", value, 2) is None


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1, ValueError, "steps must be at least 2, got 1"),
        (-5, ValueError, "steps must be at least 2, got -5"),
        (10**30, ValueError, f"steps must be under 2^32, got {10**30}"),
        (np.int32(0), ValueError, "steps must be at least 2, got 0"),
        (True, TypeError, "steps must be an integer, got True"),
        (2.0, TypeError, "steps must be an integer, got 2.0"),
        (math.nan, TypeError, "steps must be an integer, got nan"),
        ("3", TypeError, "steps must be an integer, got '3'"),
        (None, TypeError, "steps must be an integer, got None"),
        (np.array([3]), TypeError, "steps must be an integer, got array([3])"),
    ],
)
def test_counts_that_do_not_fit(value, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        checks.check_count("steps", value, 2)


NUMBERS = [0, 3, 0.0, 1e300, 5e-324, np.float32(2), np.float64(0.1), np.int8(3), np.array(1.5)]


@pytest.mark.parametrize("check", [checks.check_number, checks.check_scale])
@pytest.mark.parametrize("value", [*NUMBERS, jnp.asarray(2), jnp.asarray(0.5)], ids=repr)
def test_finite_numbers_pass(check, value):
    assert check("std", value) is None


@pytest.mark.parametrize("check", [checks.check_number, checks.check_scale])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (math.nan, ValueError, "std must be finite, got nan"),
        (math.inf, ValueError, "std must be finite, got inf"),
        (np.float32("-inf"), ValueError, "std must be finite, got -inf"),
        (np.array(np.nan), ValueError, "std must be finite, got nan"),
        (jnp.asarray(np.inf), ValueError, "std must be finite, got inf"),
        (True, TypeError, "std must be a number, got True"),
        (np.False_, TypeError, "std must be a number, got np.False_"),
        (jnp.asarray(True), TypeError, "std must be a number, got Array(True, dtype=bool)"),
        ("0.5", TypeError, "std must be a number, got '0.5'"),
        (None, TypeError, "std must be a number, got None"),
        (1j, TypeError, "std must be a number, got 1j"),
        ((0.5,), TypeError, "std must be a number, got (0.5,)"),
        (np.ones(1), TypeError, "std must be a number, got array([1.])"),
    ],
)
def test_numbers_that_do_not_fit(check, value, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        check("std", value)


@pytest.mark.parametrize("value", [-1, -5e-324, np.float32(-0.5), np.array(-2), jnp.asarray(-0.5)])
def test_only_a_scale_is_not_negative(value):
    checks.check_number("std", value)
    with pytest.raises(ValueError, match=f"^std must be at least 0, got {value}$"):
        checks.check_scale("std", value)


@pytest.mark.parametrize("check", [checks.check_number, checks.check_scale])
def test_traced_numbers_are_taken_on_trust_and_traced_arrays_are_not(check):
    def checked(value):
        check("std", value)
        return value

    assert jax.jit(checked)(-1.0) == -1.0
    assert np.isnan(jax.jit(checked)(np.nan))
    assert jax.vmap(checked)(jnp.ones(2)).shape == (2,)
    with pytest.raises(TypeError, match=r"std must be a number, got an array of shape \(2,\)"):
        jax.jit(checked)(jnp.ones(2))


def test_ranks():
    spec = ParamSpec((2, 3), 2, 3, path="layer_1/weight")
    checks.check_rank_at_least("sparse", spec, 1)
    checks.check_rank_at_least("sparse", spec, 2)
    with pytest.raises(
        ValueError,
        match=r"sparse requires at least 3 axes, got shape \(2, 3\) for 'layer_1/weight'",
    ):
        checks.check_rank_at_least("sparse", spec, 3)


@pytest.mark.parametrize("value", [np.zeros((1, 2)), jnp.zeros((5, 2)), [[1, 2], [3, 4]]])
def test_matrices_pass(value):
    np.testing.assert_array_equal(checks.check_matrix("x", value, 2), value)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), "x must have shape [B, 2], got ()"),
        ((2,), "x must have shape [B, 2], got (2,)"),
        ((0, 2), "x must have shape [B, 2], got (0, 2)"),
        ((3, 2, 1), "x must have shape [B, 2], got (3, 2, 1)"),
        ((2, 3), "x must have 2 columns, got shape (2, 3)"),
        ((3, 0), "x must have 2 columns, got shape (3, 0)"),
    ],
)
def test_matrices_that_do_not_fit(shape, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        checks.check_matrix("x", np.zeros(shape), 2)


def test_params_that_fit_pass_concrete_and_traced():
    assert checks.check_params(_params(), SPECS) is None
    assert jax.jit(lambda params: checks.check_params(params, SPECS))(_params()) is None
    assert checks.check_array("layer_1/bias", jnp.ones(3), SPECS["layer_1"]["bias"]) is None


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            _params(weight=np.zeros((3, 2), np.float32)),
            ValueError,
            "params['layer_1/weight'] must have shape (2, 3), got (3, 2)",
        ),
        (
            _params(bias=np.zeros((3, 1), np.float32)),
            ValueError,
            "params['layer_1/bias'] must have shape (3,), got (3, 1)",
        ),
        (
            _params(bias=np.zeros(3)),
            ValueError,
            "params['layer_1/bias'] must be float32, got float64",
        ),
        (
            _params(bias=np.zeros(3, jnp.bfloat16)),
            ValueError,
            "params['layer_1/bias'] must be float32, got bfloat16",
        ),
        (
            _params(bias=0.0),
            TypeError,
            "params['layer_1/bias'] must be an array, got float",
        ),
        (
            _params(bias=None),
            ValueError,
            "params lack ['layer_1/bias']; they must hold "
            "['layer_1/bias', 'layer_1/weight', 'layer_2/weight']",
        ),
        (
            _params(gain=np.ones(3, np.float32)),
            ValueError,
            "params hold ['layer_1/gain'], which the network lacks; it has "
            "['layer_1/bias', 'layer_1/weight', 'layer_2/weight']",
        ),
        (
            {"layer_2": _params()["layer_2"]},
            ValueError,
            "params lack ['layer_1/bias', 'layer_1/weight']; they must hold "
            "['layer_1/bias', 'layer_1/weight', 'layer_2/weight']",
        ),
    ],
)
def test_params_that_do_not_fit(params, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        checks.check_params(params, SPECS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, jnp.bfloat16])
def test_floating_params_are_given_by_path(dtype):
    params = _params(bias=np.ones(3, dtype))
    leaves = checks.check_floating_params(params)
    assert [path for path, _ in leaves] == ["layer_1/bias", "layer_1/weight", "layer_2/weight"]
    assert leaves[0][1] is params["layer_1"]["bias"]
    abstract = jax.ShapeDtypeStruct((2,), dtype)
    assert checks.check_floating_params([abstract]) == [("0", abstract)]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, ValueError, "params must hold at least one array, got none"),
        (_params(bias=0.0), TypeError, "params['layer_1/bias'] must be an array, got float"),
        (
            _params(bias=np.zeros(3, np.int32)),
            TypeError,
            "params['layer_1/bias'] must be floating, got int32",
        ),
        (
            _params(bias=np.zeros(3, np.complex64)),
            TypeError,
            "params['layer_1/bias'] must be floating, got complex64: "
            "give its real and imaginary parts as two parameters",
        ),
    ],
)
def test_params_that_are_not_floating(params, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        checks.check_floating_params(params)
