"""Sweeps: labelled, equal to bare runs, traced once, and kept as they are."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray
from sweep_runs import AXES, make_small_run, small_run, small_sweep

import initlab
from initlab.initializers import by_role, normal
from initlab.sweeps import axes, dataset_io, layout, program, structure
from initlab.types import History


@pytest.mark.quick
def test_every_number_lies_where_its_labels_say():
    results = small_sweep()
    assert results["loss"].dims == ("seed", "scale", "learning_rate", "step")
    assert results["distinct_units"].dims == (*results["loss"].dims, "layer")
    assert results["step"].values.tolist() == [0, 2, 4]
    assert results["layer"].values.tolist() == ["layer_1", "layer_2"]
    for seed in (0, 17, 59):
        for scale in AXES["scale"]:
            for rate in AXES["learning_rate"]:
                at = {"seed": seed, "scale": scale, "learning_rate": rate}
                bare = small_run()(at)
                found = results.sel(at)
                np.testing.assert_allclose(found["loss"], bare.values["loss"], rtol=1e-6)
                np.testing.assert_array_equal(
                    found["distinct_units"], bare.values["distinct_units"]
                )
    assert np.unique(results["loss"].sel(scale=0.5, step=0, learning_rate=1.0)).size == 60
    zero = results.sel(scale=0.0)
    assert (zero["distinct_units"] == 1).all()
    assert results["loss"].attrs["long_name"] == "training loss"
    assert results.attrs["run_seconds"] > 0
    assert results.attrs["compile_seconds"] > 0


def test_a_run_is_traced_once_however_many_blocks_there_are():
    traces = []

    def counting(network, params, batch):
        traces.append(1)
        return {"loss": jnp.zeros(())}

    run = initlab.make_run(
        initlab.networks.mlp((2, 1), jnp.tanh),
        lambda p: by_role(weight=normal(0.1)),
        initlab.tasks.flower(points=32),
        optimizer=lambda p: optax.sgd(0.1),
        steps=1,
        every=1,
        probes=(counting,),
    )
    initlab.sweep(run, {"seed": range(50)}, block=16, progress=False)
    assert len(traces) == 1


@pytest.mark.quick
def test_blocks_fill_vectors_and_no_larger_than_the_sweep_needs():
    runs = [small_run()]
    cpu = jax.local_devices()[0]
    assert program.choose_block(None, runs, cpu, 10**6) == 128
    assert program.choose_block(64, runs, cpu, 3) == 4
    assert program.choose_block(8, runs, cpu, 100) == 8
    with pytest.raises(ValueError, match="must divide 16 or be a multiple of it, got 5"):
        initlab.sweep(small_run(), AXES, block=5, progress=False)
    with pytest.raises(ValueError, match="block must be at least 1"):
        initlab.sweep(small_run(), AXES, block=0, progress=False)


def accelerator(memory=None, **says):
    stats = memory and {"bytes_limit": memory}
    return SimpleNamespace(platform="gpu", memory_stats=lambda: stats, **says)


@pytest.mark.quick
def test_an_accelerator_s_block_is_by_its_own_description():
    runs = [small_run()]
    chosen = functools.partial(program.choose_block, None, runs)
    large = accelerator(memory=2**36, core_count=132)
    assert chosen(large, 100) == 112
    # As many cores again take twice as many runs, and where memory is short it decides.
    doubled = accelerator(memory=2**36, core_count=264)
    assert chosen(doubled, 10**9) == 2 * chosen(large, 10**9) > 4096
    assert chosen(accelerator(memory=2**24, core_count=264), 10**9) < chosen(large, 10**9)
    memories = [chosen(accelerator(memory=2**power), 10**9) for power in (10, 34, 35)]
    assert memories[0] == 16
    assert memories[2] == 2 * memories[1]
    assert chosen(accelerator(), 10**9) == 4096


@pytest.mark.quick
def test_devices_are_checked():
    first = jax.local_devices()[0]
    with pytest.raises(ValueError, match="at least one device"):
        initlab.sweep(small_run(), AXES, devices=[], progress=False)
    with pytest.raises(ValueError, match="each once"):
        initlab.sweep(small_run(), AXES, devices=[first, first], progress=False)


@pytest.mark.parametrize(
    ("shape", "name", "message"),
    [
        ((3, 7), "odd", "'odd' must be a scalar or have 2 entries"),
        ((3,), "seed", "a probe value must not be named 'seed'"),
        ((3,), "layer", "a probe value must not be named 'layer'"),
        ((3,), "a/b", "a probe value must not be named 'a/b'"),
    ],
)
def test_a_measurement_of_another_shape_or_with_a_taken_name_is_refused(shape, name, message):
    numbers = axes.read_axes(AXES)
    read = structure.read_structure(small_run(), None, numbers)
    steps = jnp.zeros(3, jnp.int32)
    trace = History(steps, {name: jnp.zeros(shape)}, steps[0], ())
    with pytest.raises(ValueError, match=message):
        layout.lay_out(read, numbers, [trace])


def test_a_probe_may_measure_in_short_floats_and_booleans():
    def odd(network, params, batch):
        return {"short": jnp.zeros((), jnp.bfloat16), "flag": jnp.zeros((2,), bool)}

    results = initlab.sweep(make_small_run(measured=(odd,)), AXES | {"seed": [0]}, progress=False)
    assert results["short"].dtype == np.float32
    assert results["flag"].dtype == bool


@pytest.mark.quick
def test_a_store_gives_back_what_it_was_given(tmp_path):
    path = tmp_path / "results.zarr"
    dataset_io.save(small_sweep(), path)
    xarray.testing.assert_identical(dataset_io.load(path)[0], small_sweep())
    # A second save replaces the first, and plain xarray reads it.
    dataset_io.save(small_sweep().isel(seed=[0]), path)
    with xarray.open_zarr(path, consolidated=False) as plain:
        assert plain.sizes["seed"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["results.zarr"]
    with pytest.raises(FileNotFoundError, match="no results at"):
        dataset_io.load(tmp_path / "absent")
