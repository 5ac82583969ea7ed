"""Tasks from the caller's own arrays and files."""

import contextlib
import csv
import math
import os
import pathlib
import zipfile
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from initlab import checks, objectives
from initlab.types import Objective, Task

__all__ = ["from_arrays", "from_file"]


@checks.checked
def from_arrays(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    objective: Objective | None = None,
    x_test: npt.ArrayLike | None = None,
    y_test: npt.ArrayLike | None = None,
) -> Task:
    """A task from inputs and labels, which are checked and otherwise left as they are.

    Args:
      x: training inputs [B, n_0], real and finite.
      y: training labels [B].
      objective: how logits are scored. None reads it off the labels: whole numbers or booleans
        that are all 0 or 1 are `binary`, other whole numbers `softmax`, floats `regression`.
      x_test: held-out inputs [T, n_0], given together with y_test.
      y_test: held-out labels [T].

    Returns:
      The task, inputs as float64, labels as int64 or float64.

    Raises:
      TypeError: inputs or labels that are not real numbers.
      ValueError: a wrong shape, a NaN or an infinity, labels that do not fit the objective, a test
        part without its other half, of another width or with classes that training lacks.

    >>> task = from_arrays([[0.0, 1.0], [2.0, 3.0]], [2, 0])
    >>> task.objective is objectives.softmax
    True
    """
    x, y = _rows("x", x, "y", y)
    if objective is None:
        objective = _infer(y)
    outputs = objective.outputs(y)
    if (x_test is None) != (y_test is None):
        given, missing = ("x_test", "y_test") if y_test is None else ("y_test", "x_test")
        raise ValueError(f"x_test and y_test must come together, got {given} without {missing}")
    if x_test is None or y_test is None:
        return Task(x, y, objective)
    x_test, y_test = _rows("x_test", x_test, "y_test", y_test)
    if x_test.shape[1] != x.shape[1]:
        raise ValueError(f"x_test must have {x.shape[1]} columns as x has, got {x_test.shape[1]}")
    if objective.outputs(y_test) > outputs:
        raise ValueError(
            f"y_test must need no more outputs than y, {outputs}, got {objective.outputs(y_test)}"
        )
    return Task(x, y, objective, x_test, y_test)


@checks.checked
def from_file(
    path: str | os.PathLike[str], *, target: str | None = None, objective: Objective | None = None
) -> Task:
    r"""A task from a file: `.npz` with arrays x and y, or `.csv` with a header row.

    Args:
      path: the file. An `.npz` may also hold x_test and y_test. In a `.csv` every column but the
        target is an input, every cell a finite number; blank lines are skipped.
      target: name of the column of labels in a `.csv`; None means "y".
      objective: as for `from_arrays`; in a `.csv` labels written without a point are whole numbers.

    Returns:
      The task, as from `from_arrays`.

    Raises:
      FileNotFoundError: no such file.
      TypeError: arrays that are not real numbers.
      ValueError: a file that is damaged; another ending, arrays or columns that are missing, a cell
        that is not a finite number, a row of another length, and what `from_arrays` refuses.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.csv")
    ...     _ = path.write_text("height,y\n0.5,0\n1.5,1\n")
    ...     from_file(path).x.tolist()
    [[0.5], [1.5]]
    """
    path = pathlib.Path(path)
    ending = path.suffix.lower()
    if ending == ".csv":
        with _naming(path):
            x, y = _read_csv(path, target)
        return from_arrays(x, y, objective=objective)
    if ending == ".npz":
        if target is not None:
            raise ValueError(f"target must be None for an .npz, whose labels are y, got {target!r}")
        with _naming(path):
            arrays = _read_npz(path)
        return from_arrays(**arrays, objective=objective)
    raise ValueError(f"{path.name} must end in .npz or .csv, got {ending!r} as the path's end")


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Names the file in whatever reading it raises: files are damaged in many ways."""
    try:
        yield
    except Exception as error:
        # The system's own errors have the file's name, as ours have.
        if isinstance(error, OSError) or str(error).startswith(path.name):
            raise
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ValueError(f"{path.name} must be a whole {path.suffix} file, got: {said}") from error


def _infer(y: np.ndarray) -> Objective:
    if y.dtype.kind == "f":
        return objectives.regression
    if y.min() < 0:
        raise ValueError(
            "whole-number labels without an objective must be class numbers from 0, got "
            f"{y.min()}; pass objective=objectives.regression to fit them as values"
        )
    return objectives.binary if y.max() <= 1 else objectives.softmax


def _rows(
    x_name: str, x: npt.ArrayLike, y_name: str, y: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    x, y = _array(x_name, x), _array(y_name, y)
    for name, array, rank, layout in ((x_name, x, 2, "[rows, columns]"), (y_name, y, 1, "[rows]")):
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold real numbers, got {array.dtype}")
        if array.ndim != rank or not array.size:
            raise ValueError(
                f"{name} must have shape {layout}, at least one of each, got {array.shape}"
            )
        if not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0].tolist()
            raise ValueError(f"{name}{where} must be finite, got {array[tuple(where)]}")
    if len(y) != len(x):
        raise ValueError(f"{y_name} must have {len(x)} rows as {x_name} has, got {len(y)}")
    return x.astype(np.float64), y.astype(np.float64 if y.dtype.kind == "f" else np.int64)


def _array(name: str, given: npt.ArrayLike) -> np.ndarray:
    if np.ma.is_masked(given):
        raise TypeError(f"{name} must hold every entry, got a masked array: drop or fill its rows")
    try:
        return np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name} must be an array, got rows of different lengths") from error


def _read_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        # np.load would take other content for a pickle and complain about that.
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path.name} must be an archive written by np.savez")
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{path.name} must hold each array once, got {twice} more than once")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            there = sorted(arrays.files)
            missing = sorted({"x", "y"} - set(there))
            if missing:
                raise ValueError(f"{path.name} must hold x and y, lacks {missing}, got {there}")
            return {name: arrays[name] for name in ("x", "y", "x_test", "y_test") if name in there}


def _read_csv(path: pathlib.Path, target: str | None) -> tuple[np.ndarray, np.ndarray]:
    # utf-8-sig: spreadsheets write a byte order mark, which would become part of a column's name.
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        columns = [name.strip() for name in next(reader, [])]
        label = _label_column(path.name, columns, "y" if target is None else target)
        x, labels = [], []
        for cells in reader:
            if not cells:
                continue
            where = f"{path.name}, line {reader.line_num}"
            if len(cells) != len(columns):
                raise ValueError(f"{where} must have {len(columns)} cells, got {len(cells)}")
            row = [
                _number(cell, f"{where}, column {name!r}")
                for cell, name in zip(cells, columns, strict=True)
            ]
            del row[label]
            x.append(row)
            labels.append(cells[label])
    if not x:
        raise ValueError(f"{path.name} must have a row below its header, got none")
    return np.array(x), _parse_labels(labels)


def _label_column(file_name: str, columns: Sequence[str], target: str) -> int:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise ValueError(f"{file_name} must have distinct columns, got {repeated} repeated")
    if target not in columns:
        raise ValueError(
            f"{file_name} must have a column {target!r} for the labels, got {columns}: give "
            "its name as target"
        )
    if len(columns) < 2:
        raise ValueError(f"{file_name} must have an input column, got only {target!r}")
    return columns.index(target)


def _number(cell: str, where: str) -> float:
    try:
        # Python's own spelling of numbers, 1_000, is not a spreadsheet's.
        number = float(cell.replace("_", "?"))
    except ValueError:
        raise ValueError(f"{where} must be a number, got {cell!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{where} must be finite, got {cell!r}")
    return number


def _parse_labels(cells: Sequence[str]) -> np.ndarray:
    try:
        return np.array([int(cell) for cell in cells])
    except ValueError:
        return np.array([float(cell) for cell in cells])
