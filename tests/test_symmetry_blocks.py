"""Exchanges within one layer, head, expert or member alone: found, sound, and counted."""

import itertools

import jax
import numpy as np
import pytest
from block_models import BLOCK_MODELS, MIXING

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
                moved = sy.permute(params, each, np.roll(np.arange(group.size), 1))
                assert any((moved[path] != leaf).any() for path, leaf in params.items())
                np.testing.assert_allclose(apply(moved, x), wanted, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", set(MIXING) - {"nothing"})
def test_what_mixes_blocks_leaves_none(name):
    apply, shapes, shape, _ = BLOCK_MODELS[name]
    params = jax.tree.map(np.float32, drawn(shapes))
    groups = sy.find_groups(apply, params, np.ones(shape, np.float32))
    units = next((group for group in groups if group.size == 5), None)
    # The centred and the mixed keep the units, in all blocks at once.
    assert units is None or units.blocks == ()
