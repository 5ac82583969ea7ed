"""The axes of a sweep: alone and zipped, and what is refused by name."""

import time

import numpy as np
import pytest
from sweep_runs import AXES, assert_same_bits, small_run, small_sweep

import initlab
from initlab.sweeps import axes


def test_a_zipped_axis_is_one_dimension_with_a_coordinate_for_each_name():
    pairs = [(0.5, 1.0), (0.0, 0.1), (0.5, 0.1)]
    results = initlab.sweep(
        small_run(),
        {"seed": range(60), ("scale", "learning_rate"): pairs},
        block=16,
        progress=False,
    )
    assert results["loss"].dims == ("seed", "scale_learning_rate", "step")
    assert results["scale"].dims == results["learning_rate"].dims == ("scale_learning_rate",)
    assert "scale_learning_rate" not in results.coords
    for place, (scale, rate) in enumerate(pairs):
        assert results["scale"][place] == scale
        found = results.isel(scale_learning_rate=place)
        wanted = small_sweep().sel(scale=scale, learning_rate=rate)
        assert_same_bits(found, wanted)


def test_names_of_a_zipped_axis_may_be_any_numbers_of_the_point():
    (axis,) = axes.read_axes({("seed", "scale"): np.array([[1, 0.5], [2, 0.5]])})
    assert axis.length == 2
    assert axis.columns["scale"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"scale": []}, ValueError, "axis 'scale' must hold at least one value"),
        ({"scale": ["a"]}, TypeError, "axis 'scale' must hold numbers"),
        ({"scale": [True]}, TypeError, "axis 'scale' must hold numbers"),
        ({"scale": "0.1"}, TypeError, "must be a sequence of numbers"),
        ({"scale": 0.1}, TypeError, "must be a sequence of numbers"),
        ({"scale": [0.1, float("nan")]}, ValueError, "must hold finite numbers"),
        ({"scale": [0.1, 0.1]}, ValueError, "must hold different values"),
        ({"scale": [[0.1]]}, ValueError, "one-dimensional"),
        ({"scale": [0.1, -1.0]}, ValueError, "'scale', value -1.0: std must be at least 0"),
        ({"seed": [0.5]}, ValueError, "seed must be an integer"),
        ({"seed": range(-1, 3000)}, ValueError, "axis 'seed', value -1: seed must be"),
        ({"layer": [1]}, ValueError, "must not be named 'layer'"),
        ({"progress": [1]}, ValueError, "must not be named 'progress'"),
        ({"a/b": [1]}, ValueError, r"letters, digits and _\), got 'a/b'"),
        ({"scale": [10**10]}, ValueError, r"integers under 2\^31"),
        ({"scale": [-(2**63)]}, ValueError, r"integers under 2\^31"),
        ({"depth": [1]}, ValueError, r"does not use \['depth'\]"),
        (
            {("scale", "depth"): [(1, 1)]},
            ValueError,
            r"different names, got \['scale'\] more than once",
        ),
        ({("a", "b"): [(1, 1), (2,)]}, ValueError, r"must hold tuples of 2 numbers, got \(2,\)"),
        ({("a", "b"): [1, 2]}, ValueError, "must hold tuples of 2 numbers, got 1"),
        ({("a", "b"): []}, ValueError, "axis 'a' must hold at least one value"),
        ({("a", "b"): [(1, 2), (1, 2)]}, ValueError, "axis 'a_b' must hold different values"),
        ({("a", 1): [(1, 2)]}, TypeError, "name must be text"),
    ],
)
def test_a_bad_axis_is_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        initlab.sweep(small_run(), AXES | changes, progress=False)


def test_a_bad_zipped_value_is_refused_with_all_its_numbers():
    zipped = {"seed": [0], ("scale", "learning_rate"): [(0.1, 0.1), (-1.0, 0.1)]}
    with pytest.raises(ValueError, match=r"'scale_learning_rate', value .*'scale': -1.0.*: std"):
        initlab.sweep(small_run(), zipped, progress=False)


def test_a_missing_axis_and_no_axes_are_refused():
    with pytest.raises(ValueError, match="the run uses 'scale'"):
        initlab.sweep(small_run(), {"seed": [0], "learning_rate": [0.1]}, progress=False)
    with pytest.raises(ValueError, match="at least one axis"):
        initlab.sweep(small_run(), {}, progress=False)
    with pytest.raises(TypeError, match="name must be text"):
        axes.read_axes({0: [1]})
    with pytest.raises(TypeError, match="must be a dict"):
        axes.read_axes([("seed", [1])])  # pyright: ignore[reportArgumentType]


def test_a_million_seeds_are_checked_at_a_thousand():
    looked = []

    class Looking:
        description = {"dtype": "float32"}  # noqa: RUF012

        def check(self, point):
            looked.append(point["seed"])

    seeds = np.random.default_rng(0).permutation(10**6)
    began = time.perf_counter()
    read = axes.read_axes({"seed": seeds})
    axes.check_axis_values(Looking(), read)  # pyright: ignore[reportArgumentType]
    assert time.perf_counter() - began < 20
    assert len(looked) <= axes.CHECKED_VALUES
    assert len(set(looked)) > 900
    assert {0, 10**6 - 1} <= set(looked)
