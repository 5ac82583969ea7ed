"""The tasks: published numbers, independent constructions, files, and what the door refuses."""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import objectives, tasks

# task, objective, training rows, columns, test rows, outputs
TABLE = {
    "flower": (tasks.flower, objectives.binary, 400, 2, 0, 1),
    "circles": (tasks.circles, objectives.binary, 300, 2, 100, 1),
    "moons": (tasks.moons, objectives.binary, 200, 2, 0, 1),
    "blobs": (tasks.blobs, objectives.binary, 200, 2, 0, 1),
    "xor": (tasks.xor, objectives.binary, 200, 2, 0, 1),
    "breast_cancer": (tasks.breast_cancer, objectives.binary, 455, 30, 114, 1),
    "wine": (tasks.wine, objectives.softmax, 142, 13, 36, 3),
    "digits": (tasks.digits, objectives.softmax, 1437, 64, 360, 10),
}
EACH = pytest.mark.parametrize("name", TABLE)
BUNDLED = pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])


def _arrays(task):
    parts = (task.x, task.y, task.x_test, task.y_test)
    return [part for part in parts if part is not None]


def test_the_table_is_complete():
    assert {*TABLE, "from_arrays", "from_file"} == set(tasks.__all__)


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
        (2**32, ValueError, "[Ss]eed must be between 0 and|random_state"),
    ],
)
def test_seeds_that_do_not_fit(name, seed, error, message):
    with pytest.raises(error, match=message):
        TABLE[name][0](seed=seed)


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
    try:
        for seed, points, x, y in ((1, 300, task.x, task.y), (2, 100, task.x_test, task.y_test)):
            np.random.seed(seed)
            want_x, want_y = sklearn.datasets.make_circles(n_samples=points, noise=0.05)
            np.testing.assert_array_equal(x, want_x)
            np.testing.assert_array_equal(y, want_y)
    finally:
        np.random.set_state(state)


def test_circles_give_the_published_first_cost():
    task = tasks.circles()
    rng, a = np.random.RandomState(3), task.x.T
    for fan_in, fan_out in ((2, 10), (10, 5), (5, 1)):
        z = (rng.randn(fan_out, fan_in) * np.sqrt(2 / fan_in)) @ a
        a = np.maximum(z, 0)
    cost = np.mean(np.logaddexp(0, z[0]) - task.y * z[0])
    np.testing.assert_allclose(cost, 0.8830537463419761, atol=1e-9)


def test_noiseless_circles_moons_and_xor_lie_where_they_should():
    task = tasks.circles(noise=0, factor=0.5)
    np.testing.assert_allclose(np.hypot(*task.x.T), np.where(task.y == 1, 0.5, 1.0))
    task = tasks.moons(points=101, noise=0)
    center = np.where(task.y == 1, 1.0, 0.0)[:, None] * [1.0, 0.5]
    np.testing.assert_allclose(np.linalg.norm(task.x - center, axis=1), 1.0)
    task = tasks.xor(points=40, noise=0)
    np.testing.assert_array_equal(np.abs(task.x), 1)
    np.testing.assert_array_equal(task.y, task.x[:, 0] * task.x[:, 1] < 0)


def test_xor_noise_is_its_standard_deviation():
    task = tasks.xor(points=40_000, noise=0.1)
    off = task.x - np.sign(task.x)
    np.testing.assert_allclose(off.std(), 0.1, rtol=0.01)
    np.testing.assert_allclose(task.y.mean(), 0.5)


def test_blobs_are_the_centers_modulo_two():
    x, center, *_ = map(np.asarray, sklearn.datasets.make_blobs(200, random_state=5, centers=6))
    task = tasks.blobs()
    np.testing.assert_array_equal(task.x, x)
    np.testing.assert_array_equal(task.y, center % 2)


@BUNDLED
@pytest.mark.parametrize("test_share", [0.2, 0.5])
def test_bundled_data_are_split_and_standardized(name, test_share):
    task = TABLE[name][0](test_share=test_share, seed=3)
    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
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
        (tasks.xor, {"points": 6}, ValueError, "points must be a multiple of 4, got 6"),
        (tasks.xor, {"noise": np.nan}, ValueError, "noise must be finite, got nan"),
    ],
)
def test_arguments_that_do_not_fit(make, arguments, error, message):
    with pytest.raises(error, match=message):
        make(**arguments)


X = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    ("y", "objective", "dtype"),
    [
        ([0, 1, 1], objectives.binary, np.int64),
        ([0, 0, 0], objectives.binary, np.int64),
        ([True, False, True], objectives.binary, np.int64),
        (np.array([0, 2, 1], np.uint8), objectives.softmax, np.int64),
        ([0.0, 1.0, 1.0], objectives.regression, np.float64),
        (np.array([0.5, 1, 2], np.float32), objectives.regression, np.float64),
    ],
)
def test_the_objective_is_read_off_the_labels(y, objective, dtype):
    task = tasks.from_arrays(X, y)
    assert task.objective is objective
    assert task.y.dtype == dtype
    assert task.x.dtype == np.float64
    np.testing.assert_array_equal(task.y, y)


def test_the_objective_may_be_given():
    task = tasks.from_arrays(
        X, [0, 1, 1], objective=objectives.regression, x_test=X, y_test=[5] * 3
    )
    assert task.objective is objectives.regression
    np.testing.assert_array_equal(task.x_test, X)
    np.testing.assert_array_equal(task.y_test, [5] * 3)


@pytest.mark.parametrize(
    ("given_arrays", "error", "message"),
    [
        ({"x": [0.0, 1.0, 2.0]}, ValueError, r"x must have shape \[rows, columns\], .* got \(3,\)"),
        ({"x": np.zeros((0, 2)), "y": []}, ValueError, r"x must have shape .* got \(0, 2\)"),
        ({"x": np.zeros((3, 0))}, ValueError, r"x must have shape .* got \(3, 0\)"),
        ({"x": [["a", "b"]] * 3}, TypeError, "x must hold real numbers, got <U1"),
        ({"x": np.full((3, 1), None)}, TypeError, "x must hold real numbers, got object"),
        ({"x": np.full((3, 1), 1j)}, TypeError, "x must hold real numbers, got complex128"),
        ({"x": [[0.0], [0.0], [np.nan]]}, ValueError, r"x\[2, 0\] must be finite, got nan"),
        ({"y": [[0], [1], [1]]}, ValueError, r"y must have shape \[rows\], .* got \(3, 1\)"),
        ({"y": ["no", "no", "yes"]}, TypeError, "y must hold real numbers, got <U3"),
        ({"y": [0, 1]}, ValueError, "y must have 3 rows as x has, got 2"),
        ({"y": [0.0, np.inf, 1.0]}, ValueError, r"y\[1\] must be finite, got inf"),
        ({"y": [0, 1, -1]}, ValueError, "class numbers from 0, got -1; .*regression"),
        ({"y": [0, 1, 2], "objective": objectives.binary}, ValueError, "0 or 1, got 2"),
        (
            {"y": [0.5] * 3, "objective": objectives.softmax},
            ValueError,
            "numbers from 0, got 0.5",
        ),
        ({"x_test": X}, ValueError, "must come together, got x_test without y_test"),
        ({"y_test": [0, 1, 1]}, ValueError, "must come together, got y_test without x_test"),
        (
            {"x_test": [[1.0]], "y_test": [0]},
            ValueError,
            "must have 2 columns as x has, got 1",
        ),
        ({"x_test": X, "y_test": [0]}, ValueError, "y_test must have 3 rows as x_test has, got 1"),
        ({"x_test": X, "y_test": [0, 1, 2]}, ValueError, "0 or 1, got 2"),
        (
            {"y": [0, 2, 1], "x_test": X, "y_test": [0, 3, 1]},
            ValueError,
            "y_test must need no more outputs than y, 3, got 4",
        ),
    ],
)
def test_arrays_that_do_not_fit(given_arrays, error, message):
    with pytest.raises(error, match=message):
        tasks.from_arrays(**{"x": X, "y": [0, 1, 1], **given_arrays})


numbers = st.floats(-1e300, 1e300)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=4), elements=numbers),
    st.data(),
)
def test_a_csv_gives_back_what_was_written(x, data):
    labels = st.integers(0, 9) | st.integers(0, 1) if data.draw(st.booleans()) else numbers
    y = np.array(data.draw(st.lists(labels, min_size=len(x), max_size=len(x))))
    place = data.draw(st.integers(0, x.shape[1]))
    header = [f"input {i}" for i in range(x.shape[1])]
    header.insert(place, "kind")
    lines = [header]
    for row, label in zip(x.tolist(), y.tolist(), strict=True):
        lines.append([repr(value) for value in [*row[:place], label, *row[place:]]])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "points.CSV")
        path.write_text("\n".join(",".join(line) for line in lines) + "\n")
        task = tasks.from_file(path, target="kind")
    np.testing.assert_array_equal(task.x, x)
    np.testing.assert_array_equal(task.y, y)
    assert task.y.dtype == y.dtype
    assert task.objective is tasks.from_arrays(x, y).objective


def test_a_csv_from_a_spreadsheet(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_bytes(b'\xef\xbb\xbfy, "a" ,"b,c"\r\n1, 2.5,"3"\r\n\r\n0,-1e3,4\r\n')
    task = tasks.from_file(str(path), objective=objectives.regression)
    np.testing.assert_array_equal(task.x, [[2.5, 3], [-1000, 4]])
    np.testing.assert_array_equal(task.y, [1, 0])
    assert task.objective is objectives.regression


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"points.csv must have a column 'y' for the labels, got \['a', 'b'\]"),
        ("", r"a column 'y' for the labels, got \[\]"),
        ("a,y,a\n1,2,3\n", r"distinct columns, got \['a'\] repeated"),
        ("y\n1\n", "must have an input column, got only 'y'"),
        ("a,y\n", "must have a row below its header"),
        ("a,y\n1,0\nred,1\n", "points.csv, line 3, column 'a' must be a number, got 'red'"),
        ("a,y\n1,yes\n", "line 2, column 'y' must be a number, got 'yes'"),
        ("a,y\n,1\n", "line 2, column 'a' must be a number, got ''"),
        ("a,y\n1,1\n\nnan,1\n", "line 4, column 'a' must be finite, got 'nan'"),
        ("a,y\n1,inf\n", "line 2, column 'y' must be finite, got 'inf'"),
        ("a,y\n1,0\n1,2,3\n", "line 3 must have 2 cells, got 3"),
        ("a,y\n1\n", "line 2 must have 2 cells, got 1"),
        ("a,y\n1,-4\n", "class numbers from 0, got -4"),
    ],
)
def test_csv_files_that_do_not_fit(tmp_path, text, message):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        tasks.from_file(path)


def test_an_npz_gives_back_what_was_written(tmp_path):
    path = tmp_path / "points.npz"
    np.savez(path, x=X, y=[0, 2, 1], x_test=X[:1], y_test=[1], note=np.array("ignored"))
    task = tasks.from_file(path)
    assert task.objective is objectives.softmax
    for got, want in zip(_arrays(task), (X, [0, 2, 1], X[:1], [1]), strict=True):
        np.testing.assert_array_equal(got, want)
    np.savez(path, x=X, y=[0, 1, 1])
    assert tasks.from_file(path).x_test is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "labels": [0, 1, 1]}, r"points.npz .* lacks \['y'\], got \['labels', 'x'\]"),
        ({"a": X}, r"lacks \['x', 'y'\], got \['a'\]"),
        ({"x": X, "y": np.array([0, 1, None])}, "allow_pickle=False"),
        ({"x": X, "y": [0, 1, 1], "x_test": X}, "must come together, got x_test without y_test"),
        ({"x": [[np.nan]], "y": [0]}, r"x\[0, 0\] must be finite, got nan"),
    ],
)
def test_npz_files_that_do_not_fit(tmp_path, arrays, message):
    np.savez(tmp_path / "points.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        tasks.from_file(tmp_path / "points.npz")


def test_files_that_are_no_such_files(tmp_path):
    for ending in ("csv", "npz"):
        with pytest.raises(FileNotFoundError, match=f"missing.{ending}"):
            tasks.from_file(tmp_path / f"missing.{ending}")
    for name in ("points.txt", "points"):
        with pytest.raises(ValueError, match=r"points.* must end in .npz or .csv, got"):
            tasks.from_file(tmp_path / name)
    path = tmp_path / "points.npz"
    path.write_text("x,y\n1,0\n")
    with pytest.raises(ValueError, match=r"points.npz must be an archive"):
        tasks.from_file(path)
    with pytest.raises(ValueError, match=r"target must be None .* got 'kind'"):
        tasks.from_file(path, target="kind")


def test_importing_the_tasks_imports_no_scikit_learn():
    code = "import sys, initlab.tasks; sys.exit('sklearn' in sys.modules)"
    root = pathlib.Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
