"""The symmetry instrument: where units lie, which are the same, and the invariant as assertion."""

import functools
import itertools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import networks
from initlab import symmetry as sy

SIZES = (2, 5, 4, 3)
NETWORK = networks.mlp(SIZES, jnp.tanh)
GROUPS = sy.mlp_groups(NETWORK.specs)
quick = settings(max_examples=60, deadline=None)


def _random(seed=0, sizes=SIZES, values=None):
    """Params of an mlp: Gaussian, or integers in [0, values)."""
    rng = np.random.default_rng(seed)

    def leaf(*shape):
        draw = rng.standard_normal(shape) if values is None else rng.integers(0, values, shape)
        return draw.astype(np.float32)

    return {
        f"layer_{n}": {"weight": leaf(i, j), "bias": leaf(j)}
        for n, (i, j) in enumerate(itertools.pairwise(sizes), start=1)
    }


def _constant(value=0.5, sizes=SIZES):
    return jax.tree.map(lambda leaf: np.full_like(leaf, value), _random(sizes=sizes))


# --- where the units lie ---


@pytest.mark.parametrize("params", [NETWORK.specs, _random()], ids=["specs", "arrays"])
def test_the_groups_of_an_mlp(params):
    assert sy.mlp_groups(params) == tuple(
        sy.UnitGroup(
            f"layer_{n}",
            size,
            (
                sy.UnitAxis(f"['layer_{n}']['weight']", 1),
                sy.UnitAxis(f"['layer_{n}']['bias']", 0),
                sy.UnitAxis(f"['layer_{n + 1}']['weight']", 0),
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
        paths = (f"['layer_{n}']['weight']", f"['layer_{n}']['bias']")
        assert group.axes == (sy.UnitAxis(paths[0], 1), sy.UnitAxis(paths[1], 0))


def test_layers_are_in_order_of_their_numbers():
    params = _random(sizes=(2,) + (3,) * 11)
    assert [group.name for group in sy.mlp_units(params)] == [f"layer_{n}" for n in range(1, 12)]


def test_a_network_without_hidden_layers_has_no_hidden_units():
    params = _random(sizes=(2, 3))
    assert sy.mlp_groups(params) == ()
    assert [group.size for group in sy.mlp_units(params)] == [3]
    sy.assert_units_identical(params)


@pytest.mark.parametrize("function", [sy.mlp_groups, sy.mlp_units, sy.assert_units_identical])
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"layer_2": _random()["layer_1"]},
            "an mlp's params are a dict of layer_1, layer_2, ..., got ['layer_2']",
        ),
        (
            {"layer_1": _random()["layer_1"], "head": _random()["layer_2"]},
            "an mlp's params are a dict of layer_1, layer_2, ..., got ['head', 'layer_1']",
        ),
        (
            {"layer_1": {"weight": np.zeros((2, 3))}},
            "params['layer_1'] must hold a weight [i, j] and a bias [j], got shapes ",
        ),
        (
            {"layer_1": {"weight": np.zeros((2, 3)), "bias": np.zeros(3), "gain": np.ones(3)}},
            "params['layer_1'] must hold a weight [i, j] and a bias [j], got shapes ",
        ),
        (
            {"layer_1": {"weight": np.zeros((3, 3, 2, 3)), "bias": np.zeros(3)}},
            "params['layer_1'] must hold a weight [i, j] and a bias [j], got shapes ",
        ),
    ],
)
def test_params_that_are_no_mlps(function, params, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        function(params)


def _np_rows(params, group):
    """Columns, biases and outgoing rows of a hidden layer's units."""
    n = int(group.name.removeprefix("layer_"))
    layer, after = params[f"layer_{n}"], params[f"layer_{n + 1}"]
    return np.concatenate([layer["weight"].T, layer["bias"][:, None], after["weight"]], axis=1)


def test_the_rows_of_an_mlp_are_all_that_belongs_to_a_unit():
    params = _random()
    for group in GROUPS:
        np.testing.assert_array_equal(sy.unit_rows(params, group), _np_rows(params, group))
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
    group = sy.UnitGroup("units", size, (sy.UnitAxis("['a'][0]", axis, outer, inner),))
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


def test_blocks_have_the_units_on_the_axis_that_they_name():
    leaf = np.arange(2 * 24 * 3).reshape(2, 24, 3)
    group = sy.UnitGroup("units", 4, (sy.UnitAxis("['w']", 1, 2, 3), sy.UnitAxis("['b']", 0)))
    bias = np.arange(4)
    (blocks, axis), (biases, bias_axis) = sy.unit_blocks({"w": leaf, "b": bias}, group)
    second = np.take(np.asarray(blocks), 1, axis)
    np.testing.assert_array_equal(second.ravel(), leaf[:, [3, 4, 5, 15, 16, 17]].ravel())
    assert blocks.shape[axis] == biases.shape[bias_axis] == 4
    np.testing.assert_array_equal(np.ravel(biases), bias)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (sy.UnitAxis("['b']", 0), "group 'units' wants ['b']; params hold [\"['w']\"]"),
        (
            sy.UnitAxis("['w']", 1),
            "group 'units' wants length 4 on axis 1 of ['w'], got shape (4, 6)",
        ),
        (
            sy.UnitAxis("['w']", 0, 2),
            "group 'units' wants length 8 on axis 0 of ['w'], got shape (4, 6)",
        ),
        (
            sy.UnitAxis("['w']", 1, 1, 2),
            "group 'units' wants length 8 on axis 1 of ['w'], got shape (4, 6)",
        ),
    ],
)
def test_groups_that_do_not_fit(place, message):
    group = sy.UnitGroup("units", 4, (place,))
    for function in (sy.unit_rows, sy.unit_classes):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            function({"w": np.zeros((4, 6))}, group)


# --- which units are the same ---


def _np_classes(rows, atol=0.0):
    """The first row that equals each row, pair by pair and entry by entry."""

    def equal(a, b):
        if np.isnan(a) or np.isnan(b):
            return bool(np.isnan(a) and np.isnan(b))
        return a == b or (np.isfinite(a) and np.isfinite(b) and abs(a - b) <= atol)

    labels = []
    for row in rows:
        same = (all(map(equal, row, other)) for other in rows)
        labels.append(next(number for number, each in enumerate(same) if each))
    return labels


entries = st.sampled_from([0.0, -0.0, 1.0, 2.0, np.nan, np.inf, -np.inf])
row_arrays = hnp.arrays(np.float32, (6, 2), elements=entries)
CLASSES = jax.jit(sy.row_classes)
MAPPED = jax.jit(jax.vmap(sy.row_classes))


@quick
@given(row_arrays)
def test_classes_are_those_of_all_pairs(rows):
    labels = CLASSES(rows)
    assert labels.dtype == np.int32
    want = _np_classes(rows)
    np.testing.assert_array_equal(labels, want)
    assert sy.count_classes(labels) == len(set(want))
    np.testing.assert_array_equal(MAPPED(np.stack([rows, rows[::-1]]))[1], _np_classes(rows[::-1]))


@quick
@given(hnp.arrays(np.float32, (6, 2), elements=st.integers(0, 20).map(float)), st.data())
def test_classes_within_a_tolerance(rows, data):
    atol = data.draw(st.sampled_from([0.5, 1.0, 3.0, 100.0]))
    labels = TOLERANT(rows, atol)
    np.testing.assert_array_equal(labels, _np_classes(rows, atol))


TOLERANT = jax.jit(lambda rows, atol: sy.row_classes(rows, atol=atol))


def test_one_bit_is_a_difference():
    rows = np.full((3, 4), 0.1, np.float32)
    rows[1, 2] = np.nextafter(rows[1, 2], np.float32(1))
    np.testing.assert_array_equal(sy.row_classes(jnp.asarray(rows)), [0, 1, 0])
    np.testing.assert_array_equal(sy.row_classes(jnp.asarray(rows), atol=1e-7), [0, 0, 0])


@functools.partial(jax.jit, static_argnums=1)
def _widths(params, groups):
    return sy.effective_width(params, groups)


@functools.partial(jax.jit, static_argnums=1)
def _labels(params, groups):
    return {group.name: sy.unit_classes(params, group) for group in groups}


@quick
@given(st.integers(0, 2**31), st.integers(1, 2))
def test_the_effective_width_is_the_number_of_unique_rows(seed, values):
    params = _random(seed, values=values)
    widths = _widths(params, GROUPS)
    assert list(widths) == ["layer_1", "layer_2"]
    for group in GROUPS:
        rows = np.asarray(sy.unit_rows(params, group))
        assert widths[group.name] == len(np.unique(rows, axis=0))
        assert widths[group.name].dtype == np.int32


def test_effective_width_under_vmap():
    runs = [_random(seed, values=2) for seed in range(3)] + [_constant(), _random()]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)
    widths = jax.jit(jax.vmap(lambda params: sy.effective_width(params, GROUPS)))(stacked)
    for n, params in enumerate(runs):
        alone = _widths(params, GROUPS)
        assert {name: int(width[n]) for name, width in widths.items()} == {
            name: int(width) for name, width in alone.items()
        }
    assert [int(width[3]) for width in widths.values()] == [1, 1]
    assert [int(width[4]) for width in widths.values()] == [5, 4]


def _np_spread(rows, labels):
    differences = [0.0]
    for a, b in itertools.combinations(range(len(rows)), 2):
        if labels[a] == labels[b]:
            differences.append(np.abs(rows[a] - rows[b]).max())
    return max(differences)


SPREAD = jax.jit(sy.class_spread)


@quick
@given(
    hnp.arrays(np.float32, (6, 2), elements=st.integers(0, 1).map(float)),
    hnp.arrays(np.float32, (6, 2), elements=st.floats(-100, 100, width=32)),
)
def test_the_spread_is_that_of_all_pairs(start, now):
    labels = CLASSES(start)
    spread = SPREAD(now, labels)
    assert spread.shape == ()
    assert spread.dtype == np.float32
    # Compiled code may take a subnormal difference for 0.
    want = _np_spread(now, np.asarray(labels))
    np.testing.assert_allclose(spread, want, rtol=1e-6, atol=1e-37)
    assert SPREAD(start, labels) == 0
    # Classes that only share a position with another class's label do not mix.
    assert SPREAD(now, np.arange(6, dtype=np.int32)) == 0


def test_the_spread_of_a_last_bit_and_under_vmap():
    rows = np.full((6, 2), 0.1, np.float32)
    drifted = rows.copy()
    drifted[4, 1] = np.nextafter(rows[4, 1], np.float32(1))
    labels = np.zeros(6, np.int32)
    both = jnp.asarray(np.stack([rows, drifted])), jnp.asarray(np.stack([labels, labels]))
    spreads = jax.vmap(sy.class_spread)(*both)
    np.testing.assert_array_equal(spreads, [0, drifted[4, 1] - rows[4, 1]])
    assert spreads[1] > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.permutations(range(5)), st.permutations(range(4)))
def test_an_exchange_of_units_changes_neither_classes_nor_function(seed, first, second):
    params = _random(seed, values=2)
    order = {0: [0, 1], 1: list(first), 2: list(second), 3: [0, 1, 2]}
    exchanged = {
        f"layer_{n}": {
            "weight": params[f"layer_{n}"]["weight"][np.ix_(order[n - 1], order[n])],
            "bias": params[f"layer_{n}"]["bias"][order[n]],
        }
        for n in (1, 2, 3)
    }
    before, after = _labels(params, GROUPS), _labels(exchanged, GROUPS)
    for n, name in enumerate(before, start=1):
        old = np.asarray(before[name])[order[n]]
        new = np.asarray(after[name])
        # The partition moves along with the units; labels name the first of each class anew.
        np.testing.assert_array_equal(old[:, None] == old[None, :], new[:, None] == new[None, :])
        assert (new[new] == new).all()
    x = np.random.default_rng(0).standard_normal((16, 2)).astype(np.float32)
    np.testing.assert_allclose(
        NETWORK.apply(params, x), NETWORK.apply(exchanged, x), rtol=1e-5, atol=1e-5
    )


# --- the assertion ---


def _plain(params):
    sy.assert_units_identical(params)


def _asserted(params, _=None):
    sy.assert_units_identical(params)
    return params, None


STEP = chex.chexify(jax.jit(_asserted), async_check=False)
RUNS = chex.chexify(
    jax.jit(jax.vmap(lambda params: jax.lax.scan(_asserted, params, length=3)[0])),
    async_check=False,
)


def _under_jit(params):
    STEP(params)


def _under_vmap_and_scan(params):
    """Two runs of three steps; only the second run holds the given params."""
    RUNS(jax.tree.map(lambda leaf: np.stack([np.full_like(leaf, 0.5), leaf]), params))


FORMS = pytest.mark.parametrize("form", [_plain, _under_jit, _under_vmap_and_scan])


@FORMS
@pytest.mark.parametrize("value", [0.0, 0.1, np.nan, np.inf])
def test_constant_params_are_identical(form, value):
    form(_constant(value))


@FORMS
@pytest.mark.parametrize(
    ("layer", "leaf", "place", "group"),
    [
        ("layer_1", "weight", (1, 4), "layer_1"),
        ("layer_1", "bias", (0,), "layer_1"),
        ("layer_2", "weight", (3, 2), "layer_1"),
        ("layer_2", "bias", (3,), "layer_2"),
        ("layer_3", "weight", (0, 1), "layer_2"),
    ],
)
def test_one_bit_in_one_place_is_found(form, layer, leaf, place, group):
    params = _constant(0.1)
    params[layer][leaf][place] = np.nextafter(params[layer][leaf][place], np.float32(1))
    with pytest.raises(AssertionError, match=group):
        form(params)


DIFFERING = jax.jit(sy.groups_differing)


@quick
@given(st.integers(0, 2**31), st.integers(1, 2), st.sampled_from([0.0, np.nan, np.inf]))
def test_groups_differ_that_have_more_than_one_class(seed, values, value):
    params = _random(seed, values=values)
    params["layer_2"]["weight"][seed % 5, seed % 4] = value
    differing = DIFFERING(params)
    classes = {group.name: len(set(_np_classes(_np_rows(params, group)))) for group in GROUPS}
    assert {name: bool(each) for name, each in differing.items()} == {
        name: count > 1 for name, count in classes.items()
    }
    assert bool(sy.units_identical(params)) == (max(classes.values()) == 1)


def test_which_runs_are_identical_under_vmap():
    runs = [_constant(0.1), _random(), _constant(np.nan), _constant(0.1)]
    runs[3]["layer_2"]["bias"][1] = np.nextafter(np.float32(0.1), np.float32(1))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)

    def told(params):
        return sy.units_identical(params), sy.units_identical(params, GROUPS[:1])

    both, first = jax.jit(jax.vmap(told))(stacked)
    np.testing.assert_array_equal(both, [True, False, True, False])
    np.testing.assert_array_equal(first, [True, False, True, True])


@FORMS
def test_the_output_units_may_differ(form):
    params = _constant(0.1)
    params["layer_3"]["bias"][:] = [1, 2, 3]
    params["layer_3"]["weight"][:] = [1, 2, 3]
    params["layer_1"]["weight"][0] = 7
    form(params)


def test_groups_may_be_given():
    params = _constant(0.1)
    params["layer_1"]["bias"][2] = 0.2
    sy.assert_units_identical(params, GROUPS[1:])
    with pytest.raises(AssertionError, match="layer_1"):
        sy.assert_units_identical(params, GROUPS[:1])
    sy.assert_units_identical(params, ())


def test_layers_that_do_not_fit_each_other():
    params = _constant()
    params["layer_2"]["weight"] = params["layer_2"]["weight"][:3]
    message = r"group 'layer_1' wants length 5 on axis 0 of \['layer_2'\]\['weight'\]"
    with pytest.raises(ValueError, match=message):
        sy.assert_units_identical(params)


def test_rows_that_differ_by_less_than_a_normal_number_are_two_classes():
    value = np.float32(1e-33)
    rows = jnp.asarray([[value], [np.nextafter(value, np.float32(1))]])
    assert sy.row_classes(rows).tolist() == [0, 1]


def test_infinite_units_have_not_drifted_apart():
    rows = jnp.full((2, 3), jnp.inf)
    assert sy.class_spread(rows, jnp.zeros(2, jnp.int32)) == 0


def test_a_network_without_hidden_units_has_none_that_differ():
    params = {"layer_1": {"weight": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}
    assert sy.units_identical(params)
    sy.assert_units_identical(params)


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
    group = sy.UnitGroup("hidden", 2, (sy.UnitAxis("['w']", 2),))
    with pytest.raises(ValueError, match="on axis 2"):
        sy.unit_rows({"w": jnp.ones((2, 2))}, group)
