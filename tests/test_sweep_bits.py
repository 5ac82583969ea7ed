"""Sweeps have the same bits however they were computed: on which devices, in which blocks."""

import jax
import numpy as np
import pytest
from sweep_runs import AXES, assert_same_bits, make_small_run, small_run, small_sweep

import initlab
from initlab.sweeps import run_sweep

pytestmark = pytest.mark.full_compile


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_bits_do_not_depend_on_the_number_of_devices(count):
    devices = jax.local_devices()[:count]
    results = initlab.sweep(small_run(), AXES, block=16, devices=devices, progress=False)
    assert_same_bits(results, small_sweep())


@pytest.mark.parametrize(("blocks", "count"), [(1, 1), (3, 1), (5, 4)])
def test_the_bits_do_not_depend_on_the_chunks(blocks, count, monkeypatch):
    monkeypatch.setattr(run_sweep, "CHUNK_BLOCKS", blocks)
    devices = jax.local_devices()[:count]
    results = initlab.sweep(small_run(), AXES, block=16, devices=devices, progress=False)
    assert_same_bits(results, small_sweep())


@pytest.mark.parametrize("block", [pytest.param(4, marks=pytest.mark.thorough), 16])
def test_the_bits_of_a_run_depend_neither_on_its_place_in_the_block_nor_on_its_neighbours(block):
    reference = initlab.sweep(small_run(), AXES, block=block, progress=False)
    shuffled = {
        "scale": [0.5, 0.0],
        "seed": np.random.default_rng(0).permutation(60),
        "learning_rate": [1.0, 0.1],
    }
    results = initlab.sweep(small_run(), shuffled, block=block, progress=False)
    assert results["loss"].dims == ("scale", "seed", "learning_rate", "step")
    assert_same_bits(results.sortby(list(AXES)).transpose(*reference.dims), reference)
    few = initlab.sweep(small_run(), AXES | {"seed": [41, 7, 58]}, block=block, progress=False)
    assert_same_bits(few, reference.sel(seed=[41, 7, 58]))


def test_a_diverged_run_says_when_and_leaves_its_neighbours_alone():
    rates = {"learning_rate": [0.1, 1e30, 1.0]}
    results = initlab.sweep(make_small_run(jax.nn.relu), AXES | rates, block=16, progress=False)
    diverged = results["first_nonfinite_step"].sel(learning_rate=1e30, scale=0.5)
    assert (diverged > 0).all()
    calm = initlab.sweep(make_small_run(jax.nn.relu), AXES, block=16, progress=False)
    assert_same_bits(results.sel(learning_rate=[0.1, 1.0]), calm)
    assert (calm["first_nonfinite_step"] == -1).all()
