"""A sweep's store: plain xarray opens it, it says what it is, and another sweep is refused."""

import json
import tracemalloc
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
import zarr
from sweep_runs import AXES, assert_same_bits, make_small_run, small_run, small_sweep, write

import initlab
from initlab import probes
from initlab.sweeps import computation, run_sweep


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_sweep, "CHUNK_BLOCKS", 4)
        path = tmp_path_factory.mktemp("written") / "deep" / "runs.zarr"
        write(path)
    return path


@pytest.mark.parametrize("blocks", [1, 5])
def test_what_is_written_is_what_is_computed_in_memory(tmp_path, blocks, monkeypatch):
    monkeypatch.setattr(run_sweep, "CHUNK_BLOCKS", blocks)
    results = write(tmp_path / "runs", devices=jax.local_devices()[:1])
    assert_same_bits(results, small_sweep())
    # A chunk of the store is a chunk of the plan.
    runs = {1: (4, 2, 2), 5: (20, 2, 2)}[blocks]
    assert results["loss"].encoding["chunks"] == (*runs, 3)
    assert results["distinct_units"].encoding["chunks"] == (*runs, 3, 2)


def test_plain_xarray_and_zarr_open_it_without_a_warning(written):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for consolidated in (None, False):
            with xarray.open_zarr(written, chunks=None, consolidated=consolidated) as results:
                assert results["loss"].dims == ("seed", "scale", "learning_rate", "step")
                assert results["layer"].values.tolist() == ["layer_1", "layer_2"]
                np.testing.assert_array_equal(results["loss"], small_sweep()["loss"])
        group = zarr.open_group(written, mode="r")
        assert {"loss", "seed", "progress"} <= {name for name, _ in group.members(max_depth=None)}
    assert [str(each.message) for each in warned] == []


def test_it_is_opened_lazily(written):
    results = write(written)
    assert not results["loss"].variable._in_memory


def test_coordinates_have_units_and_long_names(written):
    results = write(written)
    assert results["learning_rate"].attrs == {"long_name": "learning rate", "units": "1"}
    assert results["step"].attrs == {"long_name": "optimizer steps taken", "units": "1"}
    assert results["layer"].attrs == {"long_name": "layer"}
    assert results["distinct_units"].attrs == {"long_name": "distinct units", "units": "1"}


def test_attributes_say_what_it_was_made_from_and_with(written):
    attrs = write(written).attrs
    specification = attrs["specification"]
    assert specification["axes"]["scale"] == [0.0, 0.5]
    assert specification["block"] == 16
    runs = specification["runs"]
    assert (runs["steps"], runs["every"], runs["batch_size"]) == (4, 2, None)
    assert runs["probes"] == ["loss", "distinct_units"]
    assert runs["parameters"]["layer_1/weight"] == [2, 3]
    assert (runs["dtype"], runs["examples"]) == ("float32", 32)
    assert specification["versions"]["jax"] == jax.__version__
    assert attrs["devices"]["count"] == 4
    assert attrs["complete"] is True
    assert attrs["compile_seconds"] > 0
    assert attrs["run_seconds"] > 0
    assert attrs["started"] <= attrs["finished"]
    assert "python" in attrs["versions"]
    assert attrs["command"]
    assert "revision" in attrs


def test_long_axes_are_written_down_by_a_digest(tmp_path):
    seeds = {"seed": range(500)}
    there = write(tmp_path / "runs", axes=AXES | seeds).attrs["specification"]["axes"]["seed"]
    assert (there["length"], there["first"], there["last"]) == (500, 0, 499)
    with pytest.raises(ValueError, match=r"axes.seed.sha256: there .*, here "):
        write(tmp_path / "runs", axes=AXES | {"seed": [0, 2, 1, *range(3, 500)]})


def test_a_finished_sweep_is_opened_and_nothing_is_compiled_or_written(written, monkeypatch):
    def refuse(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr(computation, "compile_program", refuse)
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    compiled = []

    def listen(event, duration_secs, **_):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    results = write(written)
    assert compiled == []
    assert_same_bits(results, small_sweep())
    after = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    # The lock says who held it last.
    assert {path.name for path in after if after[path] != before[path]} <= {"lock"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"axes": AXES | {"scale": [0.0, 0.25]}}, ["scale: there [0.0, 0.5], here [0.0, 0.25]"]),
        ({"axes": dict(reversed(AXES.items()))}, ['axes: there ["seed", "scale",']),
        ({"block": 32}, ["block: there 16, here 32"]),
        ({"run": {"steps": 6}}, ["runs.steps: there 4, here 6"]),
        ({"run": {"points": 40}}, ["runs.examples: there 32, here 40", "runs.task_sha256"]),
        ({"run": {"hidden": (4,)}}, ["runs.parameters.layer_1/weight: there [2, 3], here"]),
        ({"run": {"activation": jax.nn.relu}}, ["runs.program_sha256: there"]),
        (
            {"run": small_run, "structure": {"activation": {"tanh": jnp.tanh}}},
            ['activation: there nothing, here ["tanh"]', "runs.steps: there 4, here nothing"],
        ),
    ],
)  # fmt: skip
def test_another_sweep_s_store_is_refused_with_what_differs(written, changes, said):
    if isinstance(changes.get("run"), dict):
        changes = {**changes, "run": small_run(**changes["run"])}
    before = sorted(written.rglob("*"))
    with pytest.raises(ValueError, match="holds another sweep; they differ in") as refusal:
        write(written, **changes)
    for part in said:
        assert part in str(refusal.value)
    assert "Choose another folder, or remove that one." in str(refusal.value)
    assert sorted(written.rglob("*")) == before


def test_data_that_a_probe_closes_over_is_part_of_the_sweep(tmp_path):
    def run(numbers):
        array = jnp.asarray(numbers)
        return make_small_run(
            measured=(lambda network, params, batch: {"sum": jnp.sum(array * batch.x[:3, 0])},)
        )

    axes = AXES | {"seed": [0]}
    write(tmp_path / "runs", run([1.0, 2.0, 3.0]), axes)
    write(tmp_path / "runs", run([1.0, 2.0, 3.0]), axes)
    with pytest.raises(ValueError, match="program_sha256") as refusal:
        write(tmp_path / "runs", run([1.0, 2.0, 4.0]), axes)
    assert str(refusal.value).count("there") == 1


def test_a_zipped_axis_and_a_structure_come_back_from_the_store(tmp_path):
    axes = {"seed": range(5), ("scale", "learning_rate"): [(0.5, 0.1), (0.1, 1.0)]}
    structure = {"hidden": {"none": (), "one": (3,)}, "steps": [4]}

    def factory(hidden, steps):
        return make_small_run(hidden=hidden, steps=steps)

    kept = initlab.sweep(factory, axes, structure=structure, block=16, progress=False)
    results = write(tmp_path / "runs", factory, axes, structure=structure)
    assert_same_bits(results, kept)
    assert set(results.coords) == set(kept.coords)
    with xarray.open_zarr(tmp_path / "runs", chunks=None) as plain:
        assert plain["scale"].dims == ("scale_learning_rate",)


def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"empty or a sweep's folder; .* holds other files"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    zarr.open_group(tmp_path / "group", mode="w")
    with pytest.raises(ValueError, match=r"empty or a sweep's folder; .* holds other files"):
        write(tmp_path / "group")


def test_what_is_refused_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="std must be at least 0"):
        write(tmp_path / "runs", axes=AXES | {"scale": [-1.0]})
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(run_sweep, "CHUNK_BLOCKS", 4)
    compile_program = computation.compile_program

    def watched(*given):
        """What tracing takes does not depend on the runs, and takes long where it is watched."""
        program = compile_program(*given)
        tracemalloc.start()
        return program

    monkeypatch.setattr(computation, "compile_program", watched)
    run = make_small_run(steps=80, every=1, measured=(probes.weight_norm, probes.loss))
    peaks, sizes = [], []
    # The first warms up.
    for seeds in (16, 64, 384):
        results = write(tmp_path / str(seeds), run, AXES | {"seed": range(seeds)}, block=32)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(results.nbytes)
    peaks, sizes = peaks[1:], sizes[1:]
    assert sizes[1] > 5 * sizes[0] > 5 * 200_000
    assert peaks[1] - peaks[0] < 0.2 * (sizes[1] - sizes[0])


def test_the_specification_is_plain_json(written):
    record = json.loads((written / "progress" / "sweep.json").read_text())
    assert record["specification"] == write(written).attrs["specification"]
    assert record["chunk"] == [16, 2, 2]
