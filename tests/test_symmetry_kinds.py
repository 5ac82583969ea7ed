"""Classes where a leaf has its units on two axes, kinds of likeness, averages and exchanges."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initlab import symmetry as sy

SIZE = 4
RECURRENT = sy.UnitGroup(
    "hidden",
    SIZE,
    (
        sy.UnitAxis("in", 1),
        sy.UnitAxis("again", 0, start=2),
        sy.UnitAxis("again", 1, outer=2),
        sy.UnitAxis("out", 0, inner=3),
    ),
)


def recurrent_params(seed, values=None):
    rng = np.random.default_rng(seed)

    def leaf(*shape):
        drawn = rng.standard_normal(shape) if values is None else rng.integers(0, values, shape)
        return drawn.astype(np.float32)

    return {
        "in": leaf(2, SIZE),
        "again": leaf(2 + SIZE, 2 * SIZE),
        "out": leaf(3 * SIZE, 1),
        "other": leaf(5),
    }


def numpy_permute(params, order):
    """By index, without a reshape."""
    rows = [0, 1, *(2 + each for each in order)]
    columns = [block * SIZE + each for block in range(2) for each in order]
    outgoing = [3 * each + inner for each in order for inner in range(3)]
    return {
        "in": params["in"][:, list(order)],
        "again": params["again"][rows][:, columns],
        "out": params["out"][outgoing],
        "other": params["other"],
    }


PERMUTE = jax.jit(sy.permute, static_argnums=1)
CLASSES = jax.jit(sy.unit_classes, static_argnums=1)
PART = jax.jit(lambda params: sy.symmetric_part(params, [RECURRENT]))


@given(seed=st.integers(0, 10**6), order=st.permutations(range(SIZE)))
@settings(max_examples=25, deadline=None)
def test_permute_moves_all_axes_at_once(seed, order):
    params = recurrent_params(seed)
    wanted = numpy_permute(params, order)
    for got in (sy.permute(params, RECURRENT, order), PERMUTE(params, RECURRENT, np.array(order))):
        jax.tree.map(np.testing.assert_array_equal, got, wanted)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_units_of_a_recurrent_net_share_a_class_if_their_exchange_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    params = recurrent_params(seed, values=2)
    # Few entries differ, so that exchanges often leave params alone.
    params = {
        name: np.where(rng.random(leaf.shape) < 0.9, 0, leaf) for name, leaf in params.items()
    }
    labels = CLASSES(params, RECURRENT).tolist()
    for one, other in itertools.combinations(range(SIZE), 2):
        order = list(range(SIZE))
        order[one], order[other] = other, one
        moved = numpy_permute(params, order)
        alone = all(np.array_equal(moved[name], params[name]) for name in params)
        assert (labels[one] == labels[other]) == alone
    assert bool(sy.units_identical(params, [RECURRENT])) == (len(set(labels)) == 1)


def test_a_leaf_with_units_on_three_axes_is_classified_too():
    group = sy.UnitGroup("units", 3, tuple(sy.UnitAxis("w", axis) for axis in range(3)))
    alike = np.zeros((3, 3, 3))
    alike[np.arange(3), np.arange(3), np.arange(3)] = 1
    assert sy.unit_classes({"w": alike}, group).tolist() == [0, 0, 0]
    alike[0, 1, 2] = 1
    assert sy.unit_classes({"w": alike}, group).tolist() == [0, 1, 2]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_symmetric_part_is_the_mean_over_all_permutations(seed):
    params = recurrent_params(seed)
    moved = [numpy_permute(params, order) for order in itertools.permutations(range(SIZE))]
    wanted = {name: np.mean([each[name] for each in moved], axis=0) for name in params}
    jax.tree.map(
        lambda got, mean: np.testing.assert_allclose(got, mean, atol=1e-6), PART(params), wanted
    )


def test_the_symmetric_part_of_independent_groups():
    sizes = {"layer_1": (2, 3), "layer_2": (3, 4), "layer_3": (4, 1)}
    rng = np.random.default_rng(0)
    params = {
        name: {"weight": rng.standard_normal(shape), "bias": rng.standard_normal(shape[1])}
        for name, shape in sizes.items()
    }
    groups = sy.mlp_groups(params)
    part = sy.symmetric_part(jax.tree.map(np.float32, params), groups)
    assert bool(sy.units_identical(jax.tree.map(lambda leaf: np.round(leaf, 5), part), groups))
    np.testing.assert_allclose(part["layer_2"]["weight"], params["layer_2"]["weight"].mean(), 1e-5)
    rest = sy.transverse_part(part, groups)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(rest)) < 1e-6


def one_hidden_layer(incoming, outgoing):
    params = {"in": jnp.asarray(incoming)[None], "out": jnp.asarray(outgoing)[:, None]}
    group = sy.UnitGroup("hidden", 4, (sy.UnitAxis("in", 1), sy.UnitAxis("out", 0)))
    x = np.linspace(-1, 1, 7, dtype=np.float32)[:, None]
    return params, group, jnp.tanh(x @ params["in"])


def test_copies_twins_and_mirror_images_are_told_apart():
    # Unit 1 copies unit 0; unit 2 computes the same with another outgoing weight; unit 3 its
    # negative.
    params, group, activations = one_hidden_layer([0.5, 0.5, 0.5, -0.5], [1.0, 1.0, 2.0, 3.0])
    kinds = sy.unit_kinds(params, group, activations)
    assert kinds.exchangeable.tolist() == [0, 0, 2, 3]
    assert kinds.identical.tolist() == [0, 0, 0, 3]
    assert kinds.mirrored.tolist() == [0, 0, 0, 0]


def test_kinds_under_jit_and_vmap_are_those_of_each_run():
    params, group, activations = one_hidden_layer([0.5, 0.5, 0.5, -0.5], [1.0, 1.0, 2.0, 3.0])
    other, _, more = one_hidden_layer([0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0])
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), params, other)
    kinds = jax.jit(jax.vmap(lambda p, a: sy.unit_kinds(p, group, a)))(
        both, jnp.stack([activations, more])
    )
    assert kinds.exchangeable.tolist() == [[0, 0, 2, 3], [0, 1, 2, 3]]
    assert kinds.mirrored.tolist() == [[0, 0, 0, 0], [0, 1, 2, 3]]


def test_activations_that_do_not_fit_are_refused():
    params, group, activations = one_hidden_layer([0.5] * 4, [1.0] * 4)
    with pytest.raises(ValueError, match=r"must have shape \[..., 4\], got \(7, 3\)"):
        sy.unit_kinds(params, group, activations[:, :3])


def test_a_start_whose_symmetry_is_broken_passes():
    params, group, _ = one_hidden_layer([0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0, 1.0])
    sy.assert_symmetry_broken(params, [group])


def test_copies_are_named():
    params, group, _ = one_hidden_layer([0.5, 0.1, 0.5, 0.1], [1.0, 2.0, 1.0, 2.0])
    with pytest.raises(AssertionError, match="copies of each other: hidden: 0 = 2, 1 = 3"):
        sy.assert_symmetry_broken(params, [group])
    near, _, _ = one_hidden_layer([0.5, 0.1, 0.501, 0.2], [1.0, 2.0, 1.0, 2.0])
    sy.assert_symmetry_broken(near, [group])
    with pytest.raises(AssertionError, match="hidden: 0 = 2"):
        sy.assert_symmetry_broken(near, [group], atol=0.01)


def test_copies_are_caught_inside_compiled_code():
    params, group, _ = one_hidden_layer([0.5, 0.1, 0.5, 0.2], [1.0, 2.0, 1.0, 2.0])

    def asserted(params):
        sy.assert_symmetry_broken(params, [group])
        return params

    checked = chex.chexify(jax.jit(asserted), async_check=False)
    with pytest.raises(AssertionError):
        checked(params)
    good, _, _ = one_hidden_layer([0.5, 0.1, 0.3, 0.2], [1.0, 2.0, 1.0, 2.0])
    checked(good)


ROWS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
LABELLED = jax.jit(sy.parallel_classes)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.015625, 1024, width=32), min_size=6, max_size=6))
def test_lengths_are_no_directions(factors):
    rows = ROWS[[0, 1, 0, 2, 1, 0]] * np.asarray(factors, np.float32)[:, None]
    assert LABELLED(rows).tolist() == [0, 1, 0, 3, 1, 0]


def test_parallel_units_are_told_from_equal_ones():
    incoming = np.array([[1.0, 2.0, 1.0, -1.0, 0.0]], np.float32)
    x = np.linspace(-1, 1, 5, dtype=np.float32)[:, None]
    group = sy.UnitGroup("hidden", 5, (sy.UnitAxis("w", 1),))
    kinds = sy.unit_kinds({"w": incoming}, group, np.maximum(x @ incoming, 0))
    assert kinds.exchangeable.tolist() == kinds.identical.tolist() == [0, 1, 0, 3, 4]
    assert kinds.parallel.tolist() == [0, 0, 0, 3, -1]
    assert sy.count_classes(kinds.parallel).item() == 2
    with pytest.raises(ValueError, match="cosine must be in"):
        sy.parallel_classes(incoming, cosine=1.1)
    tiny = sy.parallel_classes(np.diag([1.0, 1e-3, 1e-30]), least_norm=1e-2)
    assert tiny.tolist() == [0, -1, -1]


def test_growth_records_the_loss_of_the_run_on_the_plane():
    group = sy.UnitGroup("units", 2, (sy.UnitAxis("w", 0),))

    def grow(loss):
        def halve(params, batch):
            return {"w": 0.5 * params["w"]}

        return sy.transverse_growth(halve, {"w": jnp.array([1.0, 3.0])}, [group], 3, 2.0, loss=loss)

    growth = jax.jit(lambda: grow(lambda params, batch: batch * jnp.sum(params["w"])))()
    # On the plane both are 2.
    np.testing.assert_allclose(growth.loss, [8.0, 4.0, 2.0, 1.0])
    assert grow(None).loss is None
    with pytest.raises(TypeError, match=r"loss must give a number, got an array of shape \(2,\)"):
        grow(lambda params, batch: params["w"])
