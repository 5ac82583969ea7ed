"""Exchanges within one layer, head, expert or member alone: found, sound, and counted."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from block_models import BLOCK_MODELS, MIXING
from symmetry_oracles import moved

from initlab import symmetry as sy


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", BLOCK_MODELS)
def test_units_may_be_exchanged_within_each_block(name):
    apply, shapes, shape, known = BLOCK_MODELS[name]
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        params, x = drawn(shapes), np.random.default_rng(1).standard_normal(shape)
        groups = sy.find_groups(apply, params, x)
        if known is not None:
            assert {group.name: group.blocks for group in groups} == known
        apply = jax.jit(apply)
        wanted = apply(params, x)
        for group in groups:
            blocks = itertools.product(*map(range, group.blocks)) if group.blocks else []
            for each in [group, *(sy.in_block(group, index) for index in blocks)]:
                exchanged = moved(params, each, np.roll(np.arange(group.size), 1))
                assert any((exchanged[path] != leaf).any() for path, leaf in params.items())
                np.testing.assert_allclose(apply(exchanged, x), wanted, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in MIXING if name != "nothing"])
def test_what_mixes_blocks_leaves_none(name):
    apply, shapes, shape, _ = BLOCK_MODELS[name]
    params = jax.tree.map(np.float32, drawn(shapes))
    groups = sy.find_groups(apply, params, np.ones(shape, np.float32))
    units = next((group for group in groups if group.size == 5), None)
    # The centred and the mixed keep the units, in all blocks at once.
    assert units is None or units.blocks == ()


def test_copies_in_one_block_are_counted_there_and_stay_copies():
    """300 steps of descent on what is said never to part, and on what may."""
    apply, shapes, shape, _ = BLOCK_MODELS["scanned"]
    rng = np.random.default_rng(2)
    params = {name: 0.4 * rng.standard_normal(each) for name, each in shapes.items()}
    params = jax.tree.map(np.float32, params)
    params["u"][1, :, 3], params["b"][1, 3] = params["u"][1, :, 0], params["b"][1, 0]
    params["d"][1, 3] = params["d"][1, 0]
    # In another layer only the incoming weights agree.
    params["u"][2, :, 3], params["b"][2, 3] = params["u"][2, :, 0], params["b"][2, 0]
    x, y = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    (group,) = sy.find_groups(apply, params, x)

    def step(params, _):
        gradient = jax.grad(lambda p: jnp.mean((apply(p, x) - y) ** 2))(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), None

    after, _ = jax.jit(lambda p: jax.lax.scan(step, p, length=300))(params)
    for start in (params, jax.device_get(after)):
        counts = [sy.effective_width(start, [sy.in_block(group, [layer])]) for layer in range(3)]
        assert [int(next(iter(each.values()))) for each in counts] == [4, 3, 4]
    assert np.abs(after["u"][2, :, 3] - after["u"][2, :, 0]).max() > 1e-2
    with pytest.raises(AssertionError, match="0 = 3"):
        sy.assert_symmetry_broken(after, [sy.in_block(group, [1])], atol=1e-5)
    mean = sy.symmetric_part(params, [sy.in_block(group, [0])])
    assert np.ptp(mean["u"][0], axis=1).max() < 1e-6
    np.testing.assert_array_equal(mean["u"][1:], params["u"][1:])


def test_an_index_must_name_a_block():
    block = sy.UnitAxis("w", 1, blocks=(sy.BlockAxis(0, 3),))
    group = sy.UnitGroup("w", 2, (block,))
    for index in ([], [3], [0, 0]):
        with pytest.raises(ValueError, match=r"one of the blocks \(3,\) of group 'w'"):
            sy.in_block(group, index)
