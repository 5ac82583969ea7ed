"""Parameters taken slice by slice: each slice's units are found, and exchanging them is sound."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from slice_models import MEETING, SLICE_MODELS, carried, drawn
from symmetry_oracles import moved

from initlab import symmetry as sy
from initlab.audits.copies import find_copies
from initlab.programs.trace import as_function, trace
from initlab.symmetry.stacks import Place
from initlab.symmetry.unstack import unstacked


@pytest.fixture(autouse=True)
def _in_double_precision():
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


def exchanges(group):
    """The group, and its units in each block alone."""
    blocks = itertools.product(*map(range, group.blocks)) if group.blocks else []
    return [group, *(sy.in_block(group, index) for index in blocks)]


@pytest.mark.parametrize("name", SLICE_MODELS)
def test_units_of_each_slice_may_be_exchanged(name):
    apply, shapes, shape, known = SLICE_MODELS[name]
    params, x = drawn(shapes), np.random.default_rng(1).standard_normal(shape)
    groups = sy.find_groups(apply, params, x)
    assert len({group.name for group in groups}) == len(groups)
    if known is None:
        assert len(groups) > 1
    else:
        assert {group.name: group.blocks for group in groups} == known
    apply = jax.jit(apply)
    wanted = apply(params, x)
    for group in groups:
        for each in exchanges(group):
            exchanged = moved(params, each, np.roll(np.arange(group.size), 1))
            assert any((exchanged[path] != leaf).any() for path, leaf in params.items())
            jax.tree.map(
                lambda one, other: np.testing.assert_allclose(one, other, atol=1e-9, rtol=1e-9),
                apply(exchanged, x),
                wanted,
            )


def test_value_features_of_one_matrix_are_exchanged_apart_from_those_of_queries():
    for name in ("packed, the three first", "packed, heads first", "packed, the three last"):
        apply, shapes, shape, _ = SLICE_MODELS[name]
        groups = sy.find_groups(apply, drawn(shapes), np.ones(shape))
        features = [each for each in groups if each.size == 4]
        assert len(features) == 2, name
        assert all(each.blocks == (2,) for each in features), name
        paths = [sorted({unit.path for unit in each.axes}) for each in features]
        assert sorted(paths) == [["o", "qkv"], ["qkv"]], name


@pytest.mark.parametrize("name", MEETING)
def test_experts_whose_units_meet_have_no_exchanges_of_their_own(name):
    params = drawn({"r": (3, 4), "w": (4, 3, 5), "v": (4, 5, 3)})
    groups = sy.find_groups(MEETING[name], params, np.ones((5, 3)))
    assert all(each.blocks == () for each in groups if each.size == 5)


def test_a_program_of_slices_computes_what_the_program_does():
    for name in ("counted down", "interleaved", "made"):
        apply, shapes, shape, _ = SLICE_MODELS[name]
        params, x = drawn(shapes), np.random.default_rng(1).standard_normal(shape)
        program, _ = trace(apply, params, x)
        leaves = jax.tree.leaves((params, x))
        axis = leaves[0].ndim - 1
        place = Place(axis, 2, 3, leaves[0].shape[axis] // 6)
        pieces = np.moveaxis(
            leaves[0].reshape(*leaves[0].shape[:-1], 2, 3, -1), axis + 1, 0
        ).reshape(3, *leaves[0].shape[:-1], -1)
        sliced = as_function(unstacked(program, {0: (place,)}))(*pieces, *leaves[1:])
        wanted = as_function(program)(*leaves)
        for one, other in zip(sliced, wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_copies_are_counted_in_the_slice_that_has_them():
    """Two units of a group, or of its last block alone, are made one; none are before."""
    for name in (
        "carried between",
        "members of layers",
        "packed, the three last",
        "chosen",
        "made",
    ):
        apply, shapes, shape, _ = SLICE_MODELS[name]
        params = drawn(shapes)
        found = sy.read_symmetry(apply, params, np.ones(shape))
        before = find_copies(params, found.groups, found.batched)
        assert all(count == size for count, size, _ in before.widths.values()), name
        assert not before.repeated, name
        for group in found.groups:
            *_, last = exchanges(group)
            order = [1, 0, *range(2, group.size)]
            swapped = moved(params, last, order)
            planted = {path: (leaf + swapped[path]) / 2 for path, leaf in params.items()}
            after = find_copies(planted, found.groups, found.batched)
            assert after.widths[last.name][:2] == (group.size - 1, group.size), (name, last.name)


def test_units_are_exchanged_in_their_slices_alone():
    for name in ("carried between", "interleaved"):
        apply, shapes, shape, _ = SLICE_MODELS[name]
        params = drawn(shapes)
        group = sy.find_groups(apply, params, np.ones(shape))[-1]
        order = np.roll(np.arange(group.size), 1)
        wanted = moved(params, group, order)
        for path, leaf in sy.permute(params, group, order).items():
            np.testing.assert_array_equal(leaf, wanted[path])


def test_copies_between_two_layers_are_counted_there():
    params = drawn({"w": (3, 6, 6)})
    params["w"][0, :, 3], params["w"][1, 3] = params["w"][0, :, 5], params["w"][1, 5]
    found = sy.read_symmetry(carried, params, np.ones((5, 6)))
    copies = find_copies(params, found.groups, found.batched)
    assert {name: count for name, (count, _, _) in copies.widths.items()} == {"w[0]": 5, "w[1]": 6}
    assert copies.blocks["w[0]"] == "index 0 of axis 0 of w"
    with pytest.raises(AssertionError, match=r"w\[0\]: 3 = 5"):
        sy.assert_symmetry_broken(params, found.groups)
    assert not copies.repeated
    params["w"][1] = params["w"][0]
    (alike,) = find_copies(params, found.groups, found.batched).repeated
    assert (alike.path, alike.axis, alike.alike) == ("w", 0, (0, 1))


def test_a_long_loop_is_not_unrolled():
    params = {"w": jax.ShapeDtypeStruct((1000, 2, 2), jnp.float64)}
    assert sy.find_groups(carried, params, np.ones((3, 2))) == ()
