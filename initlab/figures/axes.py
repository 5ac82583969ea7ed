"""Axes of a sweep in a picture: numbers on a scale that spreads them, names side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab.figures.style import literal

if TYPE_CHECKING:
    import xarray

__all__ = ["check_dims", "edges_of", "is_logarithmic", "label_axis", "positions_of", "split_rest"]


def check_dims(values: "xarray.DataArray", **dims: str | None) -> list[str]:
    """The dimensions that are given; ValueError unless each is one of values', and none twice."""
    given = {name: dim for name, dim in dims.items() if dim is not None}
    for name, dim in given.items():
        if dim not in values.dims:
            raise ValueError(f"{name} must be one of {list(values.dims)}, got {dim!r}")
    if len(set(given.values())) < len(given):
        raise ValueError(f"{' and '.join(given)} must be different dimensions, got {given}")
    return list(given.values())


def split_rest(name: str, values: "xarray.DataArray", known: Sequence[str]) -> "xarray.DataArray":
    """Values over the known dimensions; ValueError where another has more than one entry."""
    rest = [dim for dim in values.dims if dim not in known]
    if wide := {str(dim): values.sizes[dim] for dim in rest if values.sizes[dim] != 1}:
        raise ValueError(
            f"{name} must lie over {list(known)} alone, got also {wide}: choose an entry of each, "
            f"as {name}.isel({next(iter(wide))}=0)"
        )
    return values.squeeze(rest, drop=True)


def is_logarithmic(values: np.ndarray) -> bool:
    """Whether numbers are spread more evenly by their logarithms.

    >>> is_logarithmic(np.asarray([0.01, 0.1, 1.0])), is_logarithmic(np.asarray([1.0, 2.0, 3.0]))
    (True, False)
    """
    if values.dtype.kind not in "fiu" or len(values) < 3 or not (values > 0).all():
        return False
    steps, factors = np.abs(np.diff(values)), np.abs(np.diff(np.log(values)))
    return bool(np.std(factors) * np.mean(steps) < 0.5 * np.std(steps) * np.mean(factors))


def positions_of(values: np.ndarray) -> np.ndarray:
    """Numbers where they are; names side by side at 0, 1, ..."""
    return values if values.dtype.kind in "fiu" else np.arange(len(values))


def edges_of(values: np.ndarray) -> np.ndarray:
    """The borders of cells around numbers that grow: halfway between them, on their own scale.

    >>> edges_of(np.asarray([0.0, 1.0, 3.0])).tolist()
    [-0.5, 0.5, 2.0, 4.0]
    """
    at = positions_of(values).astype(float)
    on_logs = is_logarithmic(at)
    at = np.log(at) if on_logs else at
    if len(at) == 1:
        return np.asarray([values[0] - 0.5, values[0] + 0.5] if len(at) else [], float)
    middle = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    return np.exp(edges) if on_logs else edges


def label_axis(axes: Any, which: str, values: "xarray.DataArray") -> None:
    """Scale, ticks and label of an axis ("x" or "y") from the coordinate of its dimension."""
    numbers = values.values
    if numbers.dtype.kind not in "fiu":
        getattr(axes, f"set_{which}ticks")(range(len(numbers)), [literal(each) for each in numbers])
    elif is_logarithmic(numbers):
        getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}label")(literal(values.attrs.get("long_name", values.name)))
