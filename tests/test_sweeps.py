"""Sweeps: labelled, equal to bare runs, and the same bits however they were computed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray

import initlab
from initlab import probes
from initlab.initializers import by_role, normal
from initlab.sweeps import axes, labels, store

AXES = {"seed": range(3), "scale": [0.0, 0.5], "learning_rate": [0.1, 1.0]}


@functools.cache
def small_run():
    return initlab.make_run(
        initlab.networks.mlp((2, 3, 1), jnp.tanh),
        lambda p: by_role(weight=normal(p["scale"])),
        initlab.tasks.flower(points=32),
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=4,
        every=2,
        probes=(probes.loss, probes.distinct_units),
    )


@functools.cache
def small_sweep():
    return initlab.sweep(small_run(), AXES, progress=False)


def test_every_number_lies_where_its_labels_say():
    results = small_sweep()
    assert results["loss"].dims == ("seed", "scale", "learning_rate", "step")
    assert results["distinct_units"].dims == (*results["loss"].dims, "layer")
    assert results["step"].values.tolist() == [0, 2, 4]
    assert results["layer"].values.tolist() == ["layer_1", "layer_2"]
    for seed in AXES["seed"]:
        for scale in AXES["scale"]:
            for rate in AXES["learning_rate"]:
                at = {"seed": seed, "scale": scale, "learning_rate": rate}
                bare = small_run()(at)
                found = results.sel(at)
                np.testing.assert_allclose(found["loss"], bare.values["loss"], rtol=1e-6)
                np.testing.assert_array_equal(
                    found["distinct_units"], bare.values["distinct_units"]
                )
    zero = results.sel(scale=0.0)
    assert (zero["distinct_units"] == 1).all()
    assert results["loss"].attrs["long_name"] == "training loss"
    assert results.attrs["run_seconds"] > 0
    assert results.attrs["compile_seconds"] > 0


@pytest.mark.parametrize(("count", "block"), [(2, 2), (3, 5), (4, None)])
def test_the_bits_do_not_depend_on_the_number_of_devices(count, block):
    devices = jax.local_devices()
    results, reference = (
        initlab.sweep(small_run(), AXES, block=block, devices=chosen, progress=False)
        for chosen in (devices[:count], devices[:1])
    )
    xarray.testing.assert_identical(results.drop_attrs(), reference.drop_attrs())


def test_the_order_of_axes_is_the_order_of_dims_and_changes_no_number():
    turned = initlab.sweep(small_run(), dict(reversed(AXES.items())), progress=False)
    assert turned["loss"].dims == ("learning_rate", "scale", "seed", "step")
    reference = small_sweep()
    np.testing.assert_array_equal(
        turned["loss"].transpose(*reference["loss"].dims), reference["loss"]
    )


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
    initlab.sweep(run, {"seed": range(50)}, block=2, progress=False)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scale": []}, ValueError, "axis 'scale' is empty"),
        ({"scale": ["a"]}, TypeError, "axis 'scale' must hold numbers"),
        ({"scale": "0.1"}, TypeError, "must be a sequence of numbers"),
        ({"scale": 0.1}, TypeError, "must be a sequence of numbers"),
        ({"scale": [0.1, float("nan")]}, ValueError, "must hold finite numbers"),
        ({"scale": [0.1, 0.1]}, ValueError, "holds a value twice"),
        ({"scale": [[0.1]]}, ValueError, "one-dimensional"),
        ({"scale": [0.1, -1.0]}, ValueError, "'scale', value -1.0: std must be at least 0"),
        ({"seed": [0.5]}, ValueError, "seed must be an integer"),
        ({"layer": [1]}, ValueError, "cannot be named 'layer'"),
        ({"scale": [10**10]}, ValueError, r"integers under 2\^31"),
        ({"depth": [1]}, ValueError, r"does not use \['depth'\]"),
    ],
)
def test_a_bad_axis_is_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        initlab.sweep(small_run(), AXES | changes, progress=False)


def test_a_missing_axis_and_no_axes_are_refused():
    with pytest.raises(ValueError, match="the run uses 'scale'"):
        initlab.sweep(small_run(), {"seed": [0], "learning_rate": [0.1]}, progress=False)
    with pytest.raises(ValueError, match="at least one axis"):
        initlab.sweep(small_run(), {}, progress=False)
    with pytest.raises(TypeError, match="named by text"):
        axes.axis_values({0: [1]})  # pyright: ignore[reportArgumentType]


def test_grid_points_is_the_product():
    points = axes.grid_points(axes.axis_values({"a": [1, 2, 3], "b": [0.5, 1.5]}))
    assert list(zip(points["a"].tolist(), points["b"].tolist(), strict=True)) == [
        (a, b) for a in (1, 2, 3) for b in (0.5, 1.5)
    ]


def test_a_measurement_of_another_shape_is_refused():
    trace = small_run()({"seed": 0, "scale": 0.1, "learning_rate": 0.1})
    stacked = jax.tree.map(lambda leaf: np.asarray(leaf)[None], trace)
    stacked.values["odd"] = np.zeros((1, 3, 7))
    with pytest.raises(ValueError, match="'odd' must be a scalar or have 2 entries"):
        labels.label(stacked, {"seed": np.zeros(1)}, ("layer_1", "layer_2"))


def test_a_store_gives_back_what_it_was_given(tmp_path):
    path = tmp_path / "results.zarr"
    store.save(small_sweep(), path)
    xarray.testing.assert_identical(store.load(path), small_sweep())
    # A second save replaces the first, and plain xarray reads it.
    store.save(small_sweep().isel(seed=[0]), path)
    with xarray.open_zarr(path, consolidated=False) as plain:
        assert plain.sizes["seed"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["results.zarr"]
    with pytest.raises(FileNotFoundError, match="no results at"):
        store.load(tmp_path / "absent")
