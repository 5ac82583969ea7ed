"""Which units are the same: classes, effective width, and how far a class has drifted apart."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from symmetry_oracles import GROUPS, NETWORK, constant_params, numpy_classes, random_params

from initlab import symmetry as sy

few_examples = settings(max_examples=60, deadline=None)
entries = st.sampled_from([0.0, -0.0, 1.0, 2.0, np.nan, np.inf, -np.inf])
row_arrays = hnp.arrays(np.float32, (6, 2), elements=entries)
CLASSES = jax.jit(sy.row_classes)
MAPPED = jax.jit(jax.vmap(sy.row_classes))


@few_examples
@given(row_arrays)
def test_classes_are_those_of_all_pairs(rows):
    labels = CLASSES(rows)
    assert labels.dtype == np.int32
    want = numpy_classes(rows)
    np.testing.assert_array_equal(labels, want)
    assert sy.count_classes(labels) == len(set(want))
    np.testing.assert_array_equal(
        MAPPED(np.stack([rows, rows[::-1]]))[1], numpy_classes(rows[::-1])
    )


@few_examples
@given(hnp.arrays(np.float32, (6, 2), elements=st.integers(0, 20).map(float)), st.data())
def test_classes_within_a_tolerance(rows, data):
    atol = data.draw(st.sampled_from([0.5, 1.0, 3.0, 100.0]))
    labels = TOLERANT(rows, atol)
    np.testing.assert_array_equal(labels, numpy_classes(rows, atol))


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


@few_examples
@given(st.integers(0, 2**31), st.integers(1, 2))
def test_the_effective_width_is_the_number_of_unique_rows(seed, values):
    params = random_params(seed, values=values)
    widths = _widths(params, GROUPS)
    assert list(widths) == ["layer_1", "layer_2"]
    for group in GROUPS:
        rows = np.asarray(sy.unit_rows(params, group))
        assert widths[group.name] == len(np.unique(rows, axis=0))
        assert widths[group.name].dtype == np.int32


def test_effective_width_under_vmap():
    runs = [random_params(seed, values=2) for seed in range(3)] + [
        constant_params(),
        random_params(),
    ]
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


@few_examples
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
    params = random_params(seed, values=2)
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


def test_rows_that_differ_by_less_than_a_normal_number_are_two_classes():
    value = np.float32(1e-33)
    rows = jnp.asarray([[value], [np.nextafter(value, np.float32(1))]])
    assert sy.row_classes(rows).tolist() == [0, 1]


def test_infinite_units_have_not_drifted_apart():
    rows = jnp.full((2, 3), jnp.inf)
    assert sy.class_spread(rows, jnp.zeros(2, jnp.int32)) == 0


def test_what_no_class_or_tolerance_is():
    with pytest.raises(TypeError, match="labels must be a row of integers"):
        sy.count_classes(jnp.asarray(0.5))
    assert sy.row_classes(jnp.asarray([[1.0], [2.0]]), atol=2**70).tolist() == [0, 0]
