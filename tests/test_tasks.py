"""The tasks: published numbers, independent constructions, and what input validation refuses."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from initlab import objectives, tasks

# task, objective, training rows, columns, test rows, outputs
TABLE = {
    "flower": (tasks.flower, objectives.binary, 400, 2, 0, 1),
    "circles": (tasks.circles, objectives.binary, 300, 2, 100, 1),
    "moons": (tasks.moons, objectives.binary, 200, 2, 0, 1),
    "blobs": (tasks.blobs, objectives.binary, 200, 2, 0, 1),
    "xor": (tasks.xor, objectives.binary, 200, 2, 0, 1),
    "spiral": (tasks.spiral, objectives.binary, 200, 2, 0, 1),
    "breast_cancer": (tasks.breast_cancer, objectives.binary, 455, 30, 114, 1),
    "wine": (tasks.wine, objectives.softmax, 142, 13, 36, 3),
    "digits": (tasks.digits, objectives.softmax, 1437, 64, 360, 10),
}
EACH = pytest.mark.parametrize("name", TABLE)
BUNDLED = pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])


def _arrays(task):
    parts = (task.x, task.y, task.x_test, task.y_test)
    return [part for part in parts if part is not None]


@pytest.mark.quick
def test_the_table_is_complete():
    assert {*TABLE, "from_arrays", "from_file", "take"} == set(tasks.__all__)


@pytest.mark.quick
@EACH
def test_shapes_dtypes_and_outputs(name):
    make, objective, rows, columns, test_rows, outputs = TABLE[name]
    task = make()
    assert task.objective is objective
    assert task.loss is objective.loss
    assert task.x.shape == (rows, columns)
    assert task.x.dtype == np.float64
    assert task.y.shape == (rows,)
    assert task.y.dtype.kind == "i"
    assert objective.outputs(task.y) == outputs
    assert np.isfinite(task.x).all()
    if not test_rows:
        assert task.x_test is None
        assert task.y_test is None
        return
    assert task.x_test.shape == (test_rows, columns)
    assert task.x_test.dtype == np.float64
    assert task.y_test.shape == (test_rows,)
    assert task.y_test.dtype.kind == "i"
    assert objective.outputs(task.y_test) == outputs
    assert np.isfinite(task.x_test).all()


@EACH
def test_the_seed_decides_and_the_global_stream_is_untouched(name):
    make = TABLE[name][0]
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    first, again, other = make(seed=11), make(seed=11), make(seed=12)
    np.testing.assert_array_equal(before, np.random.get_state(legacy=False)["state"]["key"])
    for one, same in zip(_arrays(first), _arrays(again), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(first.x, other.x)


@EACH
@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (None, TypeError, "seed must be an integer, got None"),
        (0.5, TypeError, "seed must be an integer, got 0.5"),
        (-1, ValueError, "seed must be at least 0, got -1"),
        (2**32, ValueError, "seed must be under 2\\^32"),
    ],
)
def test_seeds_that_do_not_fit(name, seed, error, message):
    with pytest.raises(error, match=message):
        TABLE[name][0](seed=seed)


@pytest.mark.quick
def test_flower_has_the_published_numbers():
    task = tasks.flower()
    np.testing.assert_allclose(task.x[0], [1.204442292254319, 3.5761141481288448], rtol=1e-12)
    np.testing.assert_allclose(task.x.sum(), 10.087983277441666, rtol=1e-12)
    np.testing.assert_allclose((task.x**2).sum(), 3156.783789349409, rtol=1e-12)
    np.testing.assert_array_equal(task.y, [0] * 200 + [1] * 200)


def test_flower_follows_its_arguments():
    task = tasks.flower(seed=7, points=6000, petals=3)
    radius = np.hypot(*task.x.T)
    assert 4 < radius.max() < 5
    # r(t + pi) = -r(t) for an odd number: half a turn later the same point, so three petals in all.
    angle = np.arctan2(task.x[:, 0], task.x[:, 1])[radius > 3.5]
    assert np.cos(3 * (angle - np.pi / 6)).mean() > 0.5


def test_circles_are_those_of_the_global_stream():
    task = tasks.circles()
    state = np.random.get_state()
    # Here and below: each process that collects would import it, for half a second.
    from sklearn.datasets import make_circles

    try:
        for seed, points, x, y in ((1, 300, task.x, task.y), (2, 100, task.x_test, task.y_test)):
            np.random.seed(seed)
            want_x, want_y = make_circles(n_samples=points, noise=0.05)
            np.testing.assert_array_equal(x, want_x)
            np.testing.assert_array_equal(y, want_y)
    finally:
        np.random.set_state(state)


@pytest.mark.quick
def test_circles_give_the_published_first_cost():
    task = tasks.circles()
    rng, a = np.random.RandomState(3), task.x.T
    for fan_in, fan_out in ((2, 10), (10, 5), (5, 1)):
        z = (rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)) @ a
        a = np.maximum(z, 0)
    cost = np.mean(np.logaddexp(0, z[0]) - task.y * z[0])
    np.testing.assert_allclose(cost, 0.8830537463419761, atol=1e-9)


@pytest.mark.quick
def test_noiseless_circles_moons_spirals_and_xor_lie_where_they_should():
    task = tasks.circles(noise=0, factor=0.5)
    np.testing.assert_allclose(np.hypot(*task.x.T), np.where(task.y == 1, 0.5, 1.0))
    task = tasks.moons(points=101, noise=0)
    center = np.where(task.y == 1, 1.0, 0.0)[:, None] * [1.0, 0.5]
    np.testing.assert_allclose(np.linalg.norm(task.x - center, axis=1), 1.0)
    task = tasks.spiral(points=40, turns=2.0, noise=0)
    np.testing.assert_allclose(task.x[:20], -task.x[20:])
    radius, angle = np.hypot(*task.x.T), np.unwrap(np.arctan2(*task.x[:20].T))
    np.testing.assert_allclose(radius[:20], 4 * np.arange(1, 21) / 20)
    np.testing.assert_allclose(angle - angle[0], radius[:20] * np.pi - angle[0])
    task = tasks.xor(points=40, noise=0)
    np.testing.assert_array_equal(np.abs(task.x), 1)
    np.testing.assert_array_equal(task.y, task.x[:, 0] * task.x[:, 1] < 0)


def test_xor_noise_is_its_standard_deviation():
    task = tasks.xor(points=40_000, noise=0.1)
    off = task.x - np.sign(task.x)
    np.testing.assert_allclose(off.std(), 0.1, rtol=0.01)
    np.testing.assert_allclose(task.y.mean(), 0.5)


def test_blobs_are_the_centers_modulo_two():
    from sklearn.datasets import make_blobs

    x, center, *_ = map(np.asarray, make_blobs(200, random_state=5, centers=6))
    task = tasks.blobs()
    np.testing.assert_array_equal(task.x, x)
    np.testing.assert_array_equal(task.y, center % 2)


@BUNDLED
@pytest.mark.parametrize("test_share", [0.2, 0.5])
def test_bundled_data_are_split_and_standardized(name, test_share):
    task = TABLE[name][0](test_share=test_share, seed=3)
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    assert len(task.x) + len(task.x_test) == len(x)
    np.testing.assert_allclose(len(task.x_test) / len(x), test_share, atol=1 / len(x))
    np.testing.assert_array_equal(np.bincount(task.y) + np.bincount(task.y_test), np.bincount(y))
    shares = np.bincount(task.y) / len(task.y)
    np.testing.assert_allclose(shares, np.bincount(y) / len(y), atol=2 / len(task.y))
    np.testing.assert_allclose(task.x.mean(axis=0), 0, atol=1e-12)
    constant = np.ptp(task.x, axis=0) == 0
    np.testing.assert_allclose(task.x.std(axis=0), np.where(constant, 0, 1), atol=1e-12)
    assert not task.x[:, constant].any()
    assert not task.x_test[:, constant].any()
    # One affine map for each column took the raw rows, in some order, to the rows of both parts.
    moved = np.sort(np.concatenate([task.x, task.x_test]), axis=0)[:, ~constant]
    raw = np.sort(x, axis=0)[:, ~constant]
    unit = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    np.testing.assert_allclose(unit, (moved - moved.mean(axis=0)) / moved.std(axis=0), atol=1e-9)


@BUNDLED
@pytest.mark.parametrize("test_share", [0, 1, -0.1, 1.5, np.nan])
def test_shares_that_do_not_fit(name, test_share):
    with pytest.raises(ValueError, match=rf"test_share must be in \(0, 1\), got {test_share}"):
        TABLE[name][0](test_share=test_share)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (tasks.flower, {"points": 7}, ValueError, "points must be even, got 7"),
        (tasks.flower, {"points": 0}, ValueError, "points must be at least 2, got 0"),
        (tasks.flower, {"points": 4.0}, TypeError, "points must be an integer, got 4.0"),
        (tasks.flower, {"petals": 0}, ValueError, "petals must be at least 1, got 0"),
        (tasks.circles, {"points": 1}, ValueError, "points must be at least 2, got 1"),
        (tasks.circles, {"test_points": 0}, ValueError, "test_points must be at least 2, got 0"),
        (tasks.circles, {"noise": -1}, ValueError, "noise must be at least 0, got -1"),
        (tasks.circles, {"factor": 1.0}, ValueError, r"factor must be .* \[0, 1\), got 1.0"),
        (tasks.circles, {"factor": np.nan}, ValueError, "factor must be .* got nan"),
        (tasks.moons, {"points": 1}, ValueError, "points must be at least 2, got 1"),
        (tasks.moons, {"noise": np.inf}, ValueError, "noise must be finite, got inf"),
        (tasks.blobs, {"centers": 1}, ValueError, "centers must be at least 2, got 1"),
        (tasks.blobs, {"points": 3, "centers": 4}, ValueError, "points must be at least 4, got 3"),
        (tasks.spiral, {"points": 3}, ValueError, "points must be even, got 3"),
        (tasks.spiral, {"turns": 0}, ValueError, "turns must be over 0, got 0"),
        (tasks.xor, {"points": 6}, ValueError, "points must be a multiple of 4, got 6"),
        (tasks.xor, {"noise": np.nan}, ValueError, "noise must be finite, got nan"),
    ],
)
def test_arguments_that_do_not_fit(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


def test_importing_the_tasks_imports_no_scikit_learn():
    code = "import sys, initlab.tasks; print('sklearn' in sys.modules)"
    root = pathlib.Path(__file__).parents[1]
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert said.stdout == "False\n"
