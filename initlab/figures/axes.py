"""Axes of a sweep in a picture: numbers on a scale that spreads them, names side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab.figures.style import literal

if TYPE_CHECKING:
    import xarray

__all__ = ["check_dims", "edges_of", "is_logarithmic", "label_axis", "positions_of", "split_rest"]


DECADE = 10
"""Two numbers beside a 0 are on a logarithmic scale if one is so many times the other."""


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
    """Whether numbers, but for a 0 among them, are spread more evenly by their logarithms.

    >>> is_logarithmic(np.asarray([0.01, 0.1, 1.0])), is_logarithmic(np.asarray([1.0, 2.0, 3.0]))
    (True, False)
    >>> is_logarithmic(np.asarray([0.0, 0.01, 0.1, 1.0]))
    True
    """
    if values.dtype.kind not in "fiu" or not (values >= 0).all():
        return False
    positive = values[values > 0]
    if len(positive) == 2 and len(values) == 3:
        return bool(positive.max() >= DECADE * positive.min())
    if len(positive) < 3:
        return False
    steps, factors = np.abs(np.diff(positive)), np.abs(np.diff(np.log(positive)))
    return bool(np.std(factors) * np.mean(steps) < 0.5 * np.std(steps) * np.mean(factors))


class _Logs(NamedTuple):
    """Logarithms down to `least`, and from there a straight line to 0, `gap` below it."""

    least: float
    gap: float

    def place(self, values: np.ndarray) -> np.ndarray:
        logs = self.gap + np.log(np.maximum(values, self.least) / self.least)
        return np.where(values < self.least, self.gap * values / self.least, logs)

    def value(self, places: np.ndarray) -> np.ndarray:
        beyond = self.least * np.exp(np.maximum(places, self.gap) - self.gap)
        return np.where(places < self.gap, self.least * places / self.gap, beyond)


def _logs_with_zero(values: np.ndarray) -> _Logs:
    """0 lies as far from the least positive number as the others lie from each other."""
    positive = np.unique(values[values > 0])
    return _Logs(float(positive[0]), float(np.mean(np.diff(np.log(positive)))))


def positions_of(values: np.ndarray) -> np.ndarray:
    """Numbers where they are; names side by side at 0, 1, ..."""
    return values if values.dtype.kind in "fiu" else np.arange(len(values))


def edges_of(values: np.ndarray) -> np.ndarray:
    """The borders of cells around numbers that grow: halfway between them, on their own scale.

    >>> edges_of(np.asarray([0.0, 1.0, 3.0])).tolist()
    [-0.5, 0.5, 2.0, 4.0]
    """
    at = positions_of(values).astype(float)
    logs = _logs_with_zero(at) if is_logarithmic(at) else None
    at = at if logs is None else logs.place(at)
    if len(at) == 1:
        return np.asarray([values[0] - 0.5, values[0] + 0.5] if len(at) else [], float)
    middle = (at[1:] + at[:-1]) / 2
    edges = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    if logs is None:
        return edges
    # Without a 0 the first border is a logarithm too, below the least number.
    return logs.value(edges) if (values == 0).any() else logs.least * np.exp(edges - logs.gap)


def label_axis(axes: Any, which: str, values: "xarray.DataArray") -> None:
    """Scale, ticks and label of an axis ("x" or "y") from the coordinate of its dimension."""
    numbers = values.values
    if numbers.dtype.kind not in "fiu":
        getattr(axes, f"set_{which}ticks")(range(len(numbers)), [literal(each) for each in numbers])
    elif is_logarithmic(numbers):
        _set_logarithmic(axes, which, numbers)
    getattr(axes, f"set_{which}label")(literal(values.attrs.get("long_name", values.name)))


def _set_logarithmic(axes: Any, which: str, numbers: np.ndarray) -> None:
    """A logarithmic axis; where there is a 0, a dotted line says up to where it is none."""
    if (numbers > 0).all():
        getattr(axes, f"set_{which}scale")("log")
        return
    logs = _logs_with_zero(numbers.astype(float))
    # Matplotlib makes the straight part linscale / 0.9 decades long.
    linscale = 0.9 * logs.gap / np.log(10)
    getattr(axes, f"set_{which}scale")("symlog", linthresh=logs.least, linscale=linscale)
    positive = np.unique(numbers[numbers > 0])
    first, last = np.ceil(np.log10(positive[0])), np.floor(np.log10(positive[-1]))
    decades = 10.0 ** np.arange(first, last + 1)
    # Matplotlib's own would lie in the straight part, too.
    ticks = [0.0, *(decades if len(decades) > 1 else positive)]
    getattr(axes, f"set_{which}ticks")(ticks, [f"{tick:g}" for tick in ticks])
    getattr(axes, f"set_{which}ticks")([], minor=True)
    line = axes.axvline if which == "x" else axes.axhline
    line(logs.value(np.asarray(logs.gap / 2)), color="0.6", linestyle=":", linewidth=1.3, zorder=6)
