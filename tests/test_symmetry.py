"""Where the units lie: the groups of an mlp, rows and blocks of a group, what is refused."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from symmetry_oracles import GROUPS, NETWORK, numpy_rows, random_params

from initlab import symmetry as sy


@pytest.mark.quick
@pytest.mark.parametrize("params", [NETWORK.specs, random_params()], ids=["specs", "arrays"])
def test_the_groups_of_an_mlp(params):
    assert sy.mlp_groups(params) == tuple(
        sy.UnitGroup(
            f"layer_{n}",
            size,
            (
                sy.UnitAxis(f"layer_{n}/weight", 1),
                sy.UnitAxis(f"layer_{n}/bias", 0),
                sy.UnitAxis(f"layer_{n + 1}/weight", 0),
            ),
        )
        for n, size in ((1, 5), (2, 4))
    )
    units = sy.mlp_units(params)
    assert [(group.name, group.size) for group in units] == [
        ("layer_1", 5),
        ("layer_2", 4),
        ("layer_3", 3),
    ]
    for n, group in enumerate(units, start=1):
        paths = (f"layer_{n}/weight", f"layer_{n}/bias")
        assert group.axes == (sy.UnitAxis(paths[0], 1), sy.UnitAxis(paths[1], 0))


@pytest.mark.quick
def test_layers_are_in_order_of_their_numbers():
    params = random_params(sizes=(2,) + (3,) * 11)
    assert [group.name for group in sy.mlp_units(params)] == [f"layer_{n}" for n in range(1, 12)]


def test_a_network_without_hidden_layers_has_no_hidden_units():
    params = random_params(sizes=(2, 3))
    assert sy.mlp_groups(params) == ()
    assert [group.size for group in sy.mlp_units(params)] == [3]
    sy.assert_units_identical(params)


@pytest.mark.quick
@pytest.mark.parametrize("function", [sy.mlp_groups, sy.mlp_units, sy.assert_units_identical])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"layer_2": random_params()["layer_1"]},
            "an mlp's params are a dict of layer_1, layer_2, ..., got ['layer_2']",
        ),
        (
            {"layer_1": random_params()["layer_1"], "head": random_params()["layer_2"]},
            "an mlp's params are a dict of layer_1, layer_2, ..., got ['head', 'layer_1']",
        ),
        (
            {"layer_1": {"bias": np.zeros(3)}},
            "params['layer_1'] must hold a weight [i, j] and at most a bias [j], got shapes ",
        ),
        (
            {"layer_1": {"weight": np.zeros((2, 3)), "bias": np.zeros(3), "gain": np.ones(3)}},
            "params['layer_1'] must hold a weight [i, j] and at most a bias [j], got shapes ",
        ),
        (
            {"layer_1": {"weight": np.zeros((3, 3, 2, 3)), "bias": np.zeros(3)}},
            "params['layer_1'] must hold a weight [i, j] and at most a bias [j], got shapes ",
        ),
    ],
)
def test_params_that_are_no_mlps(function, params, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        function(params)


@pytest.mark.quick
def test_the_rows_of_an_mlp_are_all_that_belongs_to_a_unit():
    params = random_params()
    for group in GROUPS:
        np.testing.assert_array_equal(sy.unit_rows(params, group), numpy_rows(params, group))
    last = params["layer_3"]
    np.testing.assert_array_equal(
        sy.unit_rows(params, sy.mlp_units(params)[2]),
        np.concatenate([last["weight"].T, last["bias"][:, None]], axis=1),
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("outer", "inner"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_blocks_of_an_axis(axis, outer, inner):
    size = 4
    shape = [2, 2, 2]
    shape[axis] = outer * size * inner
    leaf = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    group = sy.UnitGroup("units", size, (sy.UnitAxis("a/0", axis, outer, inner),))
    got = np.asarray(sy.unit_rows({"a": [leaf]}, group))
    assert got.shape == (size, leaf.size // size)
    for unit in range(size):
        # Place o * (size * inner) + unit * inner + i of the axis is entry (o, i) of the unit.
        places = [o * size * inner + unit * inner + i for o in range(outer) for i in range(inner)]
        want = np.take(leaf, places, axis=axis)
        np.testing.assert_array_equal(np.sort(got[unit]), np.sort(want.ravel()))
    # Entries correspond: units that hold the same blocks have the same rows.
    block = np.take(leaf, [o * size * inner + i for o in range(outer) for i in range(inner)], axis)
    split = np.split(block, outer, axis)
    tiled = np.concatenate([part for part in split for _ in range(size)], axis)
    rows = np.asarray(sy.unit_rows({"a": [tiled]}, group))
    np.testing.assert_array_equal(rows, np.broadcast_to(rows[:1], rows.shape))
    np.testing.assert_array_equal(rows[0], got[0])


@pytest.mark.quick
def test_tensors_have_the_units_on_their_first_axis():
    leaf = np.arange(2 * 24 * 3).reshape(2, 24, 3)
    group = sy.UnitGroup("units", 4, (sy.UnitAxis("w", 1, 2, 3), sy.UnitAxis("b", 0)))
    bias = np.arange(4)
    weights, biases = sy.unit_tensors({"w": leaf, "b": bias}, group)
    np.testing.assert_array_equal(
        weights[1].reshape(2, 2, 3, 3), leaf[:, [3, 4, 5, 15, 16, 17]].reshape(2, 2, 3, 3)
    )
    assert weights.shape == (4, 2 * 2 * 3 * 3)
    np.testing.assert_array_equal(biases, bias[:, None])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (sy.UnitAxis("b", 0), "group 'units' requires the leaf 'b', params hold ['w']"),
        (
            sy.UnitAxis("w", 1),
            "group 'units' requires length 4 on axis 1 of 'w', got shape (4, 6)",
        ),
        (
            sy.UnitAxis("w", 0, 2),
            "group 'units' requires length 8 on axis 0 of 'w', got shape (4, 6)",
        ),
        (
            sy.UnitAxis("w", 1, 1, 2),
            "group 'units' requires length 8 on axis 1 of 'w', got shape (4, 6)",
        ),
    ],
)
def test_groups_that_do_not_fit(place, message):
    group = sy.UnitGroup("units", 4, (place,))
    for function in (sy.unit_rows, sy.unit_classes):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            function({"w": np.zeros((4, 6))}, group)


@pytest.mark.parametrize(
    "params",
    [
        {},
        None,
        [{"weight": np.ones((2, 1)), "bias": np.ones(1)}],
        {"layer_1": 3},
        {"layer_1": np.ones(2)},
        {"layer_1": {"weight": np.ones((2, 1)), "bias": np.ones(2)}},
    ],
)
def test_what_is_no_mlp_is_refused(params):
    with pytest.raises(ValueError, match=r"mlp's params|must hold a weight"):
        sy.mlp_groups(params)


def test_an_axis_beyond_the_leaf_is_refused():
    group = sy.UnitGroup("hidden", 2, (sy.UnitAxis("w", 2),))
    with pytest.raises(ValueError, match="on axis 2"):
        sy.unit_rows({"w": jnp.ones((2, 2))}, group)


def test_a_path_that_two_leaves_share_is_refused():
    params = {"a/b": np.zeros((3,)), "a": {"b": np.zeros((3,))}}
    group = sy.UnitGroup("units", 3, (sy.UnitAxis("a/b", 0),))
    with pytest.raises(ValueError, match="a path for each leaf, got two leaves 'a/b'"):
        sy.unit_rows(params, group)
    with pytest.raises(ValueError, match="a path for each leaf, got two leaves 'a/b'"):
        sy.find_groups(lambda p, x: p["a"]["b"] + p["a/b"] + x, params, np.zeros((3,)))
