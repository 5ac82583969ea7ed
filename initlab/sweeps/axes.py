"""The axes of a sweep: named numbers, their product, and the points in it."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["axis_values", "grid_points"]

RESERVED = ("step", "layer")
"""Dimensions that every result has of its own."""


def axis_values(axes: Mapping[str, Iterable[Any]]) -> dict[str, np.ndarray]:
    """Checks the axes and makes arrays of them.

    Args:
      axes: `{name: numbers}`.

    Returns:
      `{name: [n] int64 or float64}`, in the order given.

    Raises:
      TypeError: if a name is not text or a value is not a number.
      ValueError: if there is no axis, or one has a reserved name, is empty or not one-dimensional,
        has a value twice, or has one that is NaN, infinite or an integer that int32 cannot hold.

    >>> axis_values({"seed": range(2), "scale": [0.5]})
    {'seed': array([0, 1]), 'scale': array([0.5])}
    """
    if not axes:
        raise ValueError("axes must name at least one axis, got none")
    return {name: _one_axis(name, values) for name, values in axes.items()}


def _one_axis(name: Any, given: Iterable[Any]) -> np.ndarray:
    if not isinstance(name, str):
        raise TypeError(f"an axis is named by text, got {name!r}")
    if name in RESERVED:
        raise ValueError(f"an axis cannot be named {name!r}: results have a dimension of that name")
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"axis {name!r} must be a sequence of numbers, got {given!r}")
    values = np.asarray(list(given))
    if values.size == 0:
        raise ValueError(f"axis {name!r} is empty")
    if values.dtype.kind not in "iuf":
        raise TypeError(f"axis {name!r} must hold numbers, got {values.tolist()}")
    if values.ndim != 1:
        raise ValueError(f"axis {name!r} must be one-dimensional, got shape {values.shape}")
    values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
    if values.dtype.kind == "i" and np.abs(values).max() >= 2**31:
        raise ValueError(f"axis {name!r} must hold integers under 2^31 (or floats), got {given!r}")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"axis {name!r} must hold finite numbers, got {values.tolist()}")
    if np.unique(values).size != values.size:
        raise ValueError(f"axis {name!r} holds a value twice: {values.tolist()}")
    return values


def grid_points(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every point of the product, first axis slowest.

    Args:
      values: `{name: [n_k]}`.

    Returns:
      `{name: [n_1 * n_2 * ...]}`.

    >>> grid_points({"a": np.array([1, 2]), "b": np.array([3, 4])})
    {'a': array([1, 1, 2, 2]), 'b': array([3, 4, 3, 4])}
    """
    grids = np.meshgrid(*values.values(), indexing="ij")
    return {name: grid.ravel() for name, grid in zip(values, grids, strict=True)}
