"""The axes of a sweep: named numbers, alone or zipped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from initlab.sweeps.names import check_name
from initlab.training import Run

__all__ = ["Axis", "check_axis_values", "check_names", "read_axes"]

RESERVED = ("step", "layer", "progress", "first_nonfinite_step")
"""Names of the results' own dimensions, variables and folders."""

CHECKED_VALUES = 1000
"""How many values of an axis are checked before anything is computed."""


class Axis(NamedTuple):
    """One dimension of a sweep, along which one number of the point changes, or several together.

    Attributes:
      dimension: its name: the number's, or for zipped numbers their names joined by "_".
      columns: `{name of a scalar of the point: its values [n], int64 or float64}`.
    """

    dimension: str
    columns: Mapping[str, np.ndarray]

    @property
    def length(self) -> int:
        """How many points lie along it."""
        return next(iter(self.columns.values())).size


def read_axes(axes: Mapping[Any, Iterable[Any]]) -> tuple[Axis, ...]:
    """Validates the axes and converts them to arrays.

    Args:
      axes: `{name: numbers}` or `{(name, name): tuples of numbers}`.

    Returns:
      The axes, in the order given.

    Raises:
      TypeError: if a name is not text or a value is not a number.
      ValueError: if there is no axis, or one is empty or not one-dimensional, has a value twice,
        has one that is NaN, infinite or an integer that int32 cannot hold, or zips tuples of
        another length than its names; if a name is reserved, no identifier or taken twice.

    >>> seeds, zipped = read_axes({"seed": range(2), ("scale", "rate"): [(0.1, 1), (0.2, 2)]})
    >>> seeds
    Axis(dimension='seed', columns={'seed': array([0, 1])})
    >>> zipped.dimension, zipped.columns["rate"].tolist()
    ('scale_rate', [1, 2])
    """
    if not isinstance(axes, Mapping):
        raise TypeError(f"axes must be a dict of names and numbers, got {axes!r}")
    if not axes:
        raise ValueError("axes must name at least one axis, got none")
    read = tuple(
        _zipped_axis(key, given)
        if isinstance(key, tuple)
        else Axis(key, {key: _numbers(key, _array(key, given))})
        for key, given in axes.items()
    )
    for axis in read:
        # float64 holds every int32, so that zipped integers and reals compare in one array.
        rows = np.stack([column.astype(np.float64) for column in axis.columns.values()], axis=1)
        if np.unique(rows, axis=0).shape[0] != axis.length:
            raise ValueError(
                f"axis {axis.dimension!r} must hold different values, got {_shown(rows)}"
            )
    check_names([name for axis in read for name in {axis.dimension: 0, **axis.columns}])
    return read


def check_names(names: Sequence[Any]) -> None:
    """Raises unless every name is an identifier, not reserved and unique."""
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"an axis' name must be text, got {name!r}")
        if name in RESERVED:
            raise ValueError(f"an axis must not be named {name!r}, which results have of their own")
        if not name.isidentifier():
            raise ValueError(
                f"an axis' name must be an identifier (letters, digits and _), got {name!r}"
            )
        check_name("an axis", name)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"axes must have different names, got {twice} more than once")


def check_axis_values(run: Run, axes: Sequence[Axis]) -> None:
    """Has the run check values of each axis, with the first values of the others.

    At most `CHECKED_VALUES` of an axis, the least and the largest among them.

    Args:
      run: what will be swept.
      axes: as `read_axes` gives them.

    Raises:
      TypeError, ValueError: the run's error for a value, with the axis and the value.
    """
    first = {name: column[0].item() for axis in axes for name, column in axis.columns.items()}
    _check_together(run, axes, first)
    for axis in axes:
        _check_apart(axis, run.description["dtype"])
        for row in _rows_to_check(axis):
            values = {name: column[row].item() for name, column in axis.columns.items()}
            try:
                run.check(first | values)
            except (TypeError, ValueError) as error:
                given = next(iter(values.values())) if len(values) == 1 else values
                message = f"axis {axis.dimension!r}, value {given!r}: {error}"
                raise type(error)(message) from error


def _check_together(run: Run, axes: Sequence[Axis], first: Mapping[str, Any]) -> None:
    """Has the run check the first values of all axes: blames the one that is named."""
    try:
        run.check(first)
    except (TypeError, ValueError) as error:
        words = str(error).replace("'", " ").split()
        named = [name for name in first if name in words and len(axes) > 1]
        where = f"axis {named[0]!r}, value {first[named[0]]!r}" if named else f"point {first}"
        raise type(error)(f"{where}: {error}") from error


def _check_apart(axis: Axis, dtype: str) -> None:
    """Raises ValueError where two values are one in the dtype that runs compute in."""
    columns = [
        column.astype(dtype).astype(np.float64) if column.dtype.kind == "f" else column
        for column in axis.columns.values()
    ]
    if np.unique(np.stack(columns, axis=1), axis=0).shape[0] != axis.length:
        values = _shown(np.stack(list(axis.columns.values()), axis=1))
        raise ValueError(
            f"axis {axis.dimension!r} must hold values that differ in {dtype}, got {values}"
        )


def _rows_to_check(axis: Axis) -> list[int]:
    # Most limits are bounds: where the least and the largest pass, so does what lies between.
    ends = {int(end(column)) for column in axis.columns.values() for end in (np.argmin, np.argmax)}
    spread = np.linspace(0, axis.length - 1, min(axis.length, CHECKED_VALUES - len(ends)))
    # The first has been checked with the first of the others.
    return sorted((ends | set(spread.astype(int).tolist())) - {0})


def _zipped_axis(names: tuple, given: Iterable[Any]) -> Axis:
    check_names(names)
    rows = list(_array(names, given))
    for row in rows:
        if np.ndim(row) != 1 or len(row) != len(names):
            raise ValueError(f"axis {names} must hold tuples of {len(names)} numbers, got {row!r}")
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    return Axis(
        "_".join(names),
        {
            name: _numbers(name, np.asarray(column))
            for name, column in zip(names, columns, strict=True)
        },
    )


def _array(name: Any, given: Iterable[Any]) -> Any:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise TypeError(f"axis {name!r} must be a sequence of numbers, got {given!r}")
    if isinstance(name, tuple):
        return given
    # A range or an array of a million seeds is not made a list first.
    return np.asarray(given if isinstance(given, range) or hasattr(given, "dtype") else list(given))


def _numbers(name: Any, values: np.ndarray) -> np.ndarray:
    if values.size == 0:
        raise ValueError(f"axis {name!r} must hold at least one value, got none")
    if values.dtype.kind not in "iuf":
        raise TypeError(f"axis {name!r} must hold numbers, got {_shown(values)}")
    if values.ndim != 1:
        raise ValueError(f"axis {name!r} must be one-dimensional, got shape {values.shape}")
    if values.dtype.kind != "f" and (values.min() <= -(2**31) or values.max() >= 2**31):
        raise ValueError(
            f"axis {name!r} must hold integers under 2^31 (or floats), got {_shown(values)}"
        )
    values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"axis {name!r} must hold finite numbers, got {_shown(values)}")
    return values


def _shown(values: np.ndarray) -> str:
    return " ".join(np.array2string(values, separator=", ", threshold=10).split())
