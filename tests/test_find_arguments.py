"""What `find_groups` and `permute` are given, and what they say where it is wrong."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback
from known_groups import groups_as_read, read_groups

from initlab import symmetry as sy
from initlab.bilinear import define_bilinear
from initlab.symmetry import Coverage, UnitGroup

PARAMS = {"in": np.ones((3, 8), np.float32), "out": np.ones((8, 2), np.float32)}
X = np.ones((5, 3), np.float32)
HIDDEN = "8: in 1, out 0"


def mlp(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


def _printing(params, x):
    jax.debug.print("{}", jnp.sum(x))
    return mlp(params, x)


def _logging(params, x):
    io_callback(lambda _: None, None, x)
    return mlp(params, x)


def _remembering(params, x):
    memory = jax.new_ref(jnp.zeros((5, 2)))
    memory[...] = mlp(params, x)
    return memory[...]


PURE = "apply must be pure, got a function with side effects: "
VALUES = "apply must not look at values in Python (branches, loops, NumPy): "
TAKES = "apply must be a function of (params, batch), got <lambda>, which takes "
CALL = "apply must be a function of (params, x), params first; calling it on their shapes raised "


@pytest.mark.parametrize(
    ("apply", "error", "message"),
    [
        ("mlp", TypeError, "apply must be a function, got 'mlp'"),
        (lambda x, params: mlp(params, x), TypeError, "params and batch are exchanged: "),
        (lambda params: params["in"], TypeError, TAKES + "(params)"),
        (lambda params, x, key: x, TypeError, TAKES + "(params, x, key)"),
        (lambda params, x: 1 / 0, TypeError, CALL + "ZeroDivisionError: division by zero"),
        (lambda params, x: "y", TypeError, CALL + "TypeError: "),
        (_remembering, ValueError, PURE),
        (lambda params, x: x if params["in"].sum() > 0 else -x, ValueError, VALUES),
        (lambda params, x: x * range(params["in"].sum().astype(int))[0], ValueError, VALUES),
        (lambda params, x: x * float(params["in"].sum()), ValueError, VALUES),
        (lambda params, x: x * params["in"].sum().item(), ValueError, VALUES),
        (lambda params, x: x @ np.asarray(params["in"]), ValueError, VALUES),
        (lambda params, x: params["in"][params["in"] > 0], ValueError, VALUES),
        (lambda params, x: x, ValueError, "apply does not use its params: it must take them first"),
        (lambda params, x: 0.0, ValueError, "apply does not use its params: it must take them"),
        (lambda params, x: None, ValueError, "apply must return at least one entry, got arrays of"),
        (lambda params, x: mlp(params, x[:0]), ValueError, "apply must return at least one entry"),
    ],
)
def test_what_is_no_pure_function_of_params_and_inputs(apply, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        sy.find_groups(apply, PARAMS, X)


@pytest.mark.parametrize("apply", [_printing, _logging])
def test_what_prints_has_the_groups_of_what_does_not(apply):
    assert groups_as_read(sy.find_groups(apply, PARAMS, X)) == read_groups(HIDDEN)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.int32(3), "params['leaf'] must be floating, got int32"),
        (np.ones(8, bool), "params['leaf'] must be floating, got bool"),
        (3, "params['leaf'] must be an array, got int"),
        (0.5, "params['leaf'] must be an array, got float"),
        ("relu", "params['leaf'] must be an array, got str"),
        (jax.nn.relu, "params['leaf'] must be an array, got "),
        (jax.ShapeDtypeStruct((2,), jnp.uint32), "params['leaf'] must be floating, got uint32"),
        (jax.random.key(0), "params['leaf'] must be floating, got key<fry>"),
    ],
)
def test_leaves_that_are_no_parameters(leaf, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        sy.find_groups(mlp, {**PARAMS, "leaf": leaf}, X)


@pytest.mark.parametrize("params", [{}, None, [], {"layer": {}}])
def test_params_without_a_leaf(params):
    with pytest.raises(ValueError, match=r"^params must hold at least one array, got none$"):
        sy.find_groups(lambda params, x: x, params, X)


@pytest.mark.parametrize(
    ("apply", "params", "x"),
    [
        (mlp, PARAMS, X),
        (mlp, jax.tree.map(jnp.asarray, PARAMS), jnp.asarray(X)),
        (mlp, jax.eval_shape(lambda: PARAMS), jax.ShapeDtypeStruct(X.shape, X.dtype)),
        (mlp, {**PARAMS, "unused": np.ones(8, np.float32), "absent": None}, X),
        (mlp, {**PARAMS, "empty": np.ones((0, 8), np.float32)}, X),
        (jax.jit(mlp), PARAMS, X),
        (jax.vmap(mlp, (None, 0)), PARAMS, X),
        (
            lambda params, x: mlp(params, x["image"]) * x["scale"],
            PARAMS,
            {"image": X, "scale": 2.0},
        ),
        (lambda params, x: {"out": [mlp(params, x[0]), x[1]]}, PARAMS, (X, X[0])),
        (
            lambda params, key: mlp(params, jax.random.normal(key, (5, 3))),
            PARAMS,
            jax.random.key(0),
        ),
        (lambda params, _: mlp(params, X + np.arange(3, dtype=np.float32)[None]), PARAMS, None),
    ],
)
def test_the_forms_that_params_and_inputs_may_take(apply, params, x):
    assert groups_as_read(sy.find_groups(apply, params, x)) == read_groups(HIDDEN)


def test_arrays_closed_over_fix_the_axes_along_which_they_vary():
    def scaled(scale):
        return lambda params, x: (jnp.tanh(x @ params["in"]) * scale[None]) @ params["out"]

    alike, varying = np.full(8, 0.5, np.float32), np.arange(8, dtype=np.float32)
    signs = np.where(varying > 3, 0.0, -0.0).astype(np.float32)
    unknown = np.full(8, np.nan, np.float32)
    for scale, wanted in ((alike, HIDDEN), (varying, ""), (signs, ""), (unknown, HIDDEN)):
        assert groups_as_read(sy.find_groups(scaled(scale), PARAMS, X)) == read_groups(wanted)
    # An array that is being traced itself may vary.
    found = []
    jax.jit(lambda scale: found.append(sy.find_groups(scaled(scale), PARAMS, X)))(alike)
    assert found == [()]


_mystery = define_bilinear("mystery", jnp.multiply, jnp.multiply, jnp.multiply)


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        (lambda z: _mystery(z, z), ("mystery",)),
        (lambda z: z @ jnp.linalg.cholesky(z.T @ z), ("cholesky",)),
        (lambda z: jax.pure_callback(np.tanh, z, z), ("pure_callback",)),
        (lambda z: jax.lax.map(lambda row: _mystery(row, row), z), ("mystery",)),
    ],
)
def test_what_has_no_rule_is_told_and_fixes_what_it_touches(operation, names):
    params = {**PARAMS, "in2": PARAMS["in"], "out2": PARAMS["out"]}

    def apply(params, x):
        return mlp(params, x) + operation(jnp.tanh(x @ params["in2"])) @ params["out2"]

    groups, coverage = sy.find_groups(apply, params, X, report=True)
    assert groups_as_read(groups) == read_groups(HIDDEN)
    # Of eight axes, the units that go in and those that come out.
    assert coverage == Coverage(names, 2 / 8, ())
    assert sy.find_groups(apply, params, X) == groups


def test_params_that_only_an_operation_without_a_rule_looks_at():
    def apply(params, x):
        return jnp.sum(x) * _mystery(params["w"], params["w"])

    groups, coverage = sy.find_groups(apply, {"w": np.ones(4, np.float32)}, X, report=True)
    assert groups == ()
    assert coverage == Coverage(("mystery",), 1.0, ())


def test_units_in_a_layout_that_an_axis_cannot_tell_are_told():
    def apply(params, x):
        # The axis holds [b | c] twice over: the units of b do not lie [outer, size, inner].
        joined = jnp.concatenate([params["b"], params["c"]])
        return jnp.sum(x) * jnp.sum(jnp.tanh(jnp.tile(joined, 2)) * params["w"])

    params = {"b": np.ones(2, np.float32), "c": np.ones(3, np.float32)}
    params["w"] = np.ones(10, np.float32)
    groups, coverage = sy.find_groups(apply, params, X, report=True)
    assert groups_as_read(groups) == read_groups("2: w 0[1,2,5]")
    assert coverage == Coverage((), 0.0, ("w 0",))


(GROUP,) = sy.find_groups(mlp, PARAMS, X)
EACH = "permutation must hold each of 0 ... 7 once for group 'in', got "


@pytest.mark.parametrize(
    ("permutation", "error", "message"),
    [
        ([0] * 8, ValueError, EACH + "[0, 0, 0, 0, 0, 0, 0, 0]"),
        (np.arange(7), ValueError, EACH + "[0 1 2 3 4 5 6]"),
        (np.arange(8) - 1, ValueError, EACH + "[-1  0  1  2  3  4  5  6]"),
        (np.arange(8)[None], ValueError, EACH + "[[0 1 2 3 4 5 6 7]]"),
        (np.arange(8.0), TypeError, "permutation must hold integers, got float32"),
        ([True] * 8, TypeError, "permutation must hold integers, got bool"),
        ([2**70], ValueError, "permutation must hold indices, got [1180591620717411303424]"),
    ],
)
def test_what_is_no_permutation_of_the_units(permutation, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        sy.permute(PARAMS, GROUP, permutation)


@pytest.mark.parametrize(
    "use",
    [lambda params, group: sy.permute(params, group, np.arange(8)), sy.unit_classes, sy.unit_rows],
)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"w": np.ones((3, 8))}, "group 'in' requires the leaf 'in', params hold ['w']"),
        (
            {"in": np.ones((3, 9)), "out": np.ones((9, 2))},
            "group 'in' requires length 8 on axis 1 of 'in', got shape (3, 9)",
        ),
        (
            {"in": np.ones(8), "out": np.ones((8, 2))},
            "group 'in' requires length 8 on axis 1 of 'in', got shape (8,)",
        ),
    ],
)
def test_groups_of_another_model(use, params, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        use(params, GROUP)


@pytest.mark.parametrize("use", [sy.unit_classes, sy.unit_rows, sy.permute])
def test_what_is_no_group(use):
    order = [np.arange(8)] if use is sy.permute else []
    with pytest.raises(TypeError, match=r"^group must be an initlab UnitGroup, got 'hidden'$"):
        use(PARAMS, "hidden", *order)


def test_a_permutation_of_found_units_under_jit():
    assert isinstance(GROUP, UnitGroup)
    params = jax.tree.map(
        lambda leaf: np.random.default_rng(0).standard_normal(leaf.shape).astype(leaf.dtype), PARAMS
    )
    order = np.random.default_rng(1).permutation(8)
    moved = jax.jit(sy.permute, static_argnums=1)(params, GROUP, order)
    np.testing.assert_array_equal(moved["in"], params["in"][:, order])
    np.testing.assert_array_equal(moved["out"], params["out"][order])
