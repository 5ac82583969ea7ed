"""Tasks that are given: the objective read off the labels, .csv and .npz files, what is refused."""

import pathlib
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from initlab import objectives, tasks

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
    np.testing.assert_array_equal(task.x, X)
    np.testing.assert_array_equal(task.y, [0, 2, 1])
    np.testing.assert_array_equal(task.x_test, X[:1])
    np.testing.assert_array_equal(task.y_test, [1])
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
