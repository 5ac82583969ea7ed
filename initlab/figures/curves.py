"""Curves of one's own sweep, with bands over its seeds."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from initlab import checks
from initlab.figures.axes import check_dims, label_axis, positions_of, split_rest
from initlab.figures.style import SERIES_COLORS, literal, new_figure, ordered_colors

if TYPE_CHECKING:
    import xarray

__all__ = ["draw_curves"]

COLUMNS = 3
"""Panels in a row."""


@checks.checked
def draw_curves(
    values: "xarray.DataArray",
    *,
    along: str = "step",
    by: str | None = None,
    panels: str | None = None,
    over: str = "seed",
    title: str = "",
) -> Figure:
    """A curve for each entry of an axis: the median over seeds, and a band between quartiles.

    Args:
      values: one variable of a sweep's results, over `along`, `over` and perhaps `by` and `panels`;
        other dimensions have one entry each.
      along: the dimension of the horizontal axis; numbers that are spread as powers lie on a
        logarithmic one, names side by side.
      by: the dimension that has a curve for each entry; None for one curve.
      panels: the dimension that has a panel for each entry; None for one panel.
      over: the dimension of repetitions. What is not finite counts as larger than all: a median
        over mostly diverged runs ends the curve there.
      title: the picture's.

    Returns:
      The figure, for `figures.save`; positive values that spread over more than a factor of 30 lie
      on a logarithmic axis.

    Raises:
      ValueError: if a dimension is missing or given twice, or another has several entries.

    >>> import xarray
    >>> loss = xarray.DataArray(np.ones((4, 3)), dims=("seed", "step"), name="loss")
    >>> len(draw_curves(loss.assign_coords(step=[0, 10, 20])).axes[0].lines)
    1
    """
    dims = check_dims(values, along=along, by=by, panels=panels, over=over)
    values = split_rest("values", values, dims)
    entries = [None] if panels is None else list(range(values.sizes[panels]))
    columns = min(COLUMNS, len(entries))
    rows = math.ceil(len(entries) / columns)
    figure = new_figure(max(6.4, 4.2 * columns), 0.5 + 3.6 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, entry in zip(grid.flat, entries, strict=False):
        shown = values if entry is None else values.isel({panels: entry})
        _draw_panel(axes, shown, along, by, over)
        if entry is not None:
            label = _called(values, str(panels), entry)
            axes.set_title(f"{literal(panels)} = {label}", fontsize=10)
    for axes in grid.flat[len(entries) :]:
        axes.set_axis_off()
    name = values.attrs.get("long_name", values.name or "")
    for axes in grid[:, 0]:
        axes.set_ylabel(literal(name))
    _scale_values(grid, values)
    if by is not None:
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", title=literal(by), frameon=False)
    figure.suptitle(literal(title))
    return figure


def _draw_panel(axes: Any, values: "xarray.DataArray", along: str, by: str | None, over: str):
    coordinate = values[along]
    at = positions_of(coordinate.values)
    count = 1 if by is None else values.sizes[by]
    is_ordered = by is not None and values[by].dtype.kind in "fiu"
    colors = ordered_colors(count) if is_ordered or count > len(SERIES_COLORS) else SERIES_COLORS
    for number, color in zip(range(count), colors, strict=False):
        one = values if by is None else values.isel({by: number})
        columns = one.transpose(over, along).values.astype(float)
        counted = np.where(np.isfinite(columns), columns, np.inf)
        # Of two middle runs the better: their mean would be infinite where half have diverged.
        low, middle, high = np.quantile(counted, [0.25, 0.5, 0.75], axis=0, method="inverted_cdf")
        shown = np.where(np.isfinite(middle), middle, np.nan)
        label = None if by is None else _called(values, by, number)
        axes.plot(at, shown, color=color, label=label, marker="o" if len(at) < 12 else "", ms=3)
        top = np.where(
            np.isfinite(high), high, np.nanmax(np.append(columns[np.isfinite(columns)], 0))
        )
        axes.fill_between(
            at, low, top, where=np.isfinite(middle), color=color, alpha=0.18, linewidth=0
        )
    label_axis(axes, "x", coordinate)


def _called(values: "xarray.DataArray", dim: str, entry: int) -> str:
    label = values[dim].values[entry]
    return literal(f"{label:.4g}" if isinstance(label, np.floating) else label)


def _scale_values(grid: Any, values: "xarray.DataArray") -> None:
    finite = values.values[np.isfinite(values.values.astype(float))]
    if finite.size and finite.min() > 0 and finite.max() > 30 * finite.min():
        for axes in grid.flat:
            axes.set_yscale("log")
