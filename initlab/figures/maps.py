"""Maps of one's own sweep: shares of runs with intervals, or any measurement, over two axes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from initlab import checks
from initlab.figures.axes import check_dims, edges_of, label_axis, positions_of, split_rest
from initlab.figures.style import literal, new_figure
from initlab.report import wilson_interval

if TYPE_CHECKING:
    import xarray

__all__ = ["draw_map", "draw_shares"]

WRITTEN = 120
"""Up to so many cells say their share and interval in figures."""

THEORY = ("#D55E00", "#56B4E9", "#E69F00")
"""Colours of lines over a map."""


@checks.checked
def draw_shares(
    successes: "xarray.DataArray",
    *,
    x: str,
    y: str,
    over: str = "seed",
    theory: Mapping[str, Any] | None = None,
    title: str = "",
) -> Figure:
    """The share of runs over two axes, as P(train), where it is one half, and a theory over it.

    Each cell of a small map says its share and Wilson's 95 % interval, and a line goes between the
    cells under 1/2 and the others; on a large one the line is a contour, and a dot marks each cell
    whose interval holds 1/2, so that it is not decided.

    Numbers that are spread by their logarithms lie on a logarithmic axis. A 0 among them has a
    place beside the least one, behind a dotted line.

    Args:
      successes: truth values over x, y and `over`, as `report.trained` finds them; other
        dimensions have one entry each.
      x: the dimension of the horizontal axis, of numbers or names.
      y: that of the vertical one.
      over: that of the repetitions.
      theory: lines over the map, `{label: (xs, ys)}`, in the axes' own numbers.
      title: the picture's.

    Returns:
      The figure, for `figures.save`.

    Raises:
      TypeError: if successes are not truth values.
      ValueError: if a dimension is missing or given twice, another has several entries, or a line
        is no pair of rows of one length.

    >>> import xarray
    >>> trained = xarray.DataArray(np.ones((8, 2, 3), bool), dims=("seed", "scale", "rate"))
    >>> figure = draw_shares(trained, x="rate", y="scale")
    >>> figure.axes[0].texts[0].get_text().split()
    ['1.00', '0.68', 'to', '1.00']
    """
    if successes.dtype != bool:
        raise TypeError(f"successes must be truth values, got {successes.dtype}")
    cells = _cells("successes", successes, x, y, over)
    runs = successes.sizes[over]
    counts = cells.sum(over).values
    shares = counts / runs
    figure, axes = _new_map(cells, x, y, shares, Normalize(0, 1), "cividis", theory, title)
    _mesh_bar(figure, axes, f"share of {runs} runs")
    intervals = {each: wilson_interval(int(each), runs) for each in np.unique(counts)}
    across, up = (positions_of(_coordinate(cells, dim).values) for dim in (x, y))
    undecided = []
    for row, column in np.ndindex(*counts.shape):
        low, high = intervals[counts[row, column]]
        place = across[column], up[row]
        if counts.size <= WRITTEN:
            said = f"{shares[row, column]:.2f}\n{low:.2f} to {high:.2f}"
            color = "white" if shares[row, column] < 0.45 else "black"
            axes.text(*place, said, ha="center", va="center", fontsize=6.5, color=color, zorder=5)
        elif low <= 0.5 <= high:
            undecided.append(place)
    if undecided:
        dots = np.transpose(undecided)
        label = "95 % interval holds 1/2"
        axes.plot(*dots, "wo", ms=2.6, mec="black", mew=0.4, label=label, zorder=3)
    if counts.size <= WRITTEN:
        _draw_border(axes, edges_of(across), edges_of(up), shares >= 0.5)
    else:
        _draw_contours(axes, cells, x, y, shares, [0.5])
    _draw_theory(figure, axes, theory)
    return figure


@checks.checked
def draw_map(
    values: "xarray.DataArray",
    *,
    x: str,
    y: str,
    over: str | None = "seed",
    levels: tuple[float, ...] = (),
    theory: Mapping[str, Any] | None = None,
    title: str = "",
) -> Figure:
    """Any measurement over two axes, the median over seeds: a phase diagram, with lines over it.

    Axes are as of `draw_shares`.

    Args:
      values: numbers over x, y and `over`; other dimensions have one entry each.
      x: the dimension of the horizontal axis, of numbers or names.
      y: that of the vertical one.
      over: that of the repetitions; None where there are none. What is not finite counts as larger
        than all, and a cell whose median is not finite is left grey.
      levels: values along which a contour is drawn.
      theory: lines over the map, `{label: (xs, ys)}`, in the axes' own numbers.
      title: the picture's.

    Returns:
      The figure, for `figures.save`; colours are logarithmic for positive values that spread over
      more than a factor of 100.

    Raises:
      ValueError: as of `draw_shares`.

    >>> import xarray
    >>> loss = xarray.DataArray(np.ones((8, 2, 3)), dims=("seed", "scale", "rate"))
    >>> len(draw_map(loss, x="rate", y="scale").axes)
    2
    """
    cells = _cells("values", values, x, y, over)
    numbers = cells.values.astype(float)
    if over is not None:
        counted = np.where(np.isfinite(numbers), numbers, np.inf)
        numbers = np.quantile(counted, 0.5, axis=0, method="inverted_cdf")
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    finite = numbers[np.isfinite(numbers)]
    spread = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    norm = LogNorm(*spread) if spread[0] > 0 and spread[1] > 100 * spread[0] else Normalize(*spread)
    figure, axes = _new_map(cells, x, y, numbers, norm, "viridis", theory, title)
    name = values.attrs.get("long_name", values.name or "")
    _mesh_bar(figure, axes, literal(name))
    _draw_contours(axes, cells, x, y, numbers, sorted(levels))
    _draw_theory(figure, axes, theory)
    return figure


def _cells(
    name: str, values: "xarray.DataArray", x: str, y: str, over: str | None
) -> "xarray.DataArray":
    """Values over (over, y, x), with x and y growing."""
    dims = check_dims(values, over=over, y=y, x=x)
    cells = split_rest(name, values, dims).transpose(*dims)
    for dim in (x, y):
        if dim in cells.coords and cells[dim].dtype.kind in "fiu":
            cells = cells.sortby(dim)
    return cells


def _coordinate(cells: "xarray.DataArray", dim: str) -> "xarray.DataArray":
    # Of a dimension without a coordinate xarray makes 0, 1, ...
    return cells[dim]


def _new_map(
    cells: "xarray.DataArray",
    x: str,
    y: str,
    numbers: np.ndarray,
    norm: Normalize,
    colors: str,
    theory: Mapping[str, Any] | None,
    title: str,
) -> tuple[Figure, Any]:
    for label, line in (theory or {}).items():
        _check_line(f"theory[{label!r}]", line)
    width = min(max(5.6, 1.6 + 0.62 * cells.sizes[x]), 12)
    figure = new_figure(width, min(max(4.4, 1.4 + 0.42 * cells.sizes[y]), 9))
    axes = figure.subplots()
    axes.set_facecolor("0.8")
    across, up = _coordinate(cells, x), _coordinate(cells, y)
    axes.pcolormesh(
        edges_of(across.values),
        edges_of(up.values),
        np.ma.masked_invalid(numbers),
        cmap=matplotlib.colormaps[colors],
        norm=norm,
        rasterized=True,
    )
    label_axis(axes, "x", across)
    label_axis(axes, "y", up)
    # A line of theory may go on beyond what was swept.
    axes.set_xlim(*edges_of(across.values)[[0, -1]])
    axes.set_ylim(*edges_of(up.values)[[0, -1]])
    axes.set_title(literal(title), fontsize=11)
    return figure, axes


def _check_line(name: str, line: Any) -> None:
    rows = list(line) if isinstance(line, list | tuple | np.ndarray) else []
    shapes = {np.shape(row) for row in rows}
    is_pair = len(rows) == 2 and len(shapes) == 1 and len(shapes.pop()) == 1
    if not is_pair or any(np.asarray(row).dtype.kind not in "fiu" for row in rows):
        raise ValueError(f"{name} must be (xs, ys), two rows of numbers of one length")


def _mesh_bar(figure: Figure, axes: Any, label: str) -> None:
    figure.colorbar(axes.collections[0], ax=axes, label=label)


def _draw_contours(
    axes: Any, cells: "xarray.DataArray", x: str, y: str, numbers: np.ndarray, levels: list[float]
) -> None:
    finite = numbers[np.isfinite(numbers)]
    within = [each for each in levels if finite.size and finite.min() < each < finite.max()]
    if within and min(numbers.shape) > 1:
        across, up = (positions_of(_coordinate(cells, dim).values) for dim in (x, y))
        masked = np.ma.masked_invalid(numbers)
        lines = axes.contour(across, up, masked, levels=within, colors="black", linewidths=1.4)
        axes.clabel(lines, fmt=lambda level: f"{level:g}", fontsize=8)


def _draw_border(axes: Any, across: np.ndarray, up: np.ndarray, is_in: np.ndarray) -> None:
    """A line between cells [y, x] that are in and cells that are not, along their own borders."""
    rows, columns = np.nonzero(is_in[:, 1:] != is_in[:, :-1])
    lines = [
        [(across[n + 1], up[m]), (across[n + 1], up[m + 1])]
        for m, n in zip(rows, columns, strict=True)
    ]
    rows, columns = np.nonzero(is_in[1:] != is_in[:-1])
    lines += [
        [(across[n], up[m + 1]), (across[n + 1], up[m + 1])]
        for m, n in zip(rows, columns, strict=True)
    ]
    axes.add_collection(LineCollection(lines, colors="black", linewidths=2), autolim=False)


def _draw_theory(figure: Figure, axes: Any, theory: Mapping[str, Any] | None) -> None:
    for number, (label, (xs, ys)) in enumerate((theory or {}).items()):
        color = THEORY[number % len(THEORY)]
        axes.plot(xs, ys, "--", color=color, linewidth=2.4, label=literal(label), zorder=4)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
