"""Learning curves of several starts, beside what a typical run of each has learned."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from initlab.figures.style import CLASS_COLORS, new_figure, ordered_colors

__all__ = ["draw_starts"]

NAMED_COLORS = ("#D55E00", "#CC79A7", "#E69F00")


def draw_starts(
    results: xarray.Dataset,
    *,
    named: int,
    trained_under: float,
    shares: Sequence[float],
    title: str,
) -> Figure:
    """Left: loss against step, median and quartiles over seeds. Right: decision boundaries.

    Args:
      results: `loss` over (start, seed, step); `boundary` [start, y, x], the probability of class 1
        on a grid of the plane in a typical run; `points` [example, coordinate] and `labels`.
      named: how many of the last starts are schemes with a name and not scales in an order.
      trained_under: the loss under which a run counts as trained, drawn as a line.
      shares: P(train) of each start.
      title: the picture's.

    Returns:
      The figure.
    """
    starts = [str(name) for name in results["start"].values]
    scales = len(starts) - named
    colors = [*ordered_colors(scales), *NAMED_COLORS[:named]]
    columns = int(np.ceil(len(starts) ** 0.5))
    rows = -(-len(starts) // columns)
    figure = new_figure(15, 7)
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1, 1.05)), dtype=object)
    figure.suptitle(title, fontsize=14)
    _draw_curves(left.subplots(), results, starts, colors, scales, trained_under)
    panels = right.subplots(rows, columns, squeeze=False).ravel()
    right.suptitle(
        "a typical run (its final loss is the median): predicted class behind the data", fontsize=11
    )
    for index, panel in enumerate(panels):
        panel.set_axis_off()
        if index < len(starts):
            _draw_boundary(panel, results.isel(start=index))
            panel.set_title(
                f"{starts[index]}: {shares[index]:.0%} trained", fontsize=10, color="black"
            )
    return figure


def _draw_curves(
    axes: Any,
    results: xarray.Dataset,
    starts: Sequence[str],
    colors: Sequence[Any],
    scales: int,
    trained_under: float,
) -> None:
    step = results["step"].values
    for index, (name, color) in enumerate(zip(starts, colors, strict=True)):
        # A diverged run has no place on a loss axis; the table counts it as not trained.
        loss = results["loss"].isel(start=index).where(np.isfinite)
        low, middle, high = loss.quantile([0.25, 0.5, 0.75], "seed").values
        style = "-" if index < scales else "--"
        axes.plot(step, middle, style, color=color, label=name, linewidth=2)
        axes.fill_between(step, low, high, color=color, alpha=0.15, linewidth=0)
    axes.axhline(trained_under, color="black", linewidth=1, linestyle=":")
    axes.annotate(
        "trained: below this",
        (step[-1], trained_under),
        ha="right",
        va="bottom",
        fontsize=9,
    )
    axes.set_yscale("log")
    ticks = np.asarray([0.2, 0.3, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000])
    bottom, top = axes.get_ylim()
    inside = ticks[(ticks >= bottom) & (ticks <= top)]
    axes.set_yticks(inside, [f"{tick:g}" for tick in inside])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("step of full-batch gradient descent")
    axes.set_ylabel("training loss (nats)")
    seeds = results.sizes["seed"]
    axes.set_title(f"median and quartiles over {seeds} seeds", fontsize=11)
    axes.legend(title="start", fontsize=9, ncols=2, loc="upper right")


def _draw_boundary(panel: Any, start: xarray.Dataset) -> None:
    """The data as dots in their class's colour, over the predicted class in the same colours."""
    first, second = CLASS_COLORS
    extent = (
        float(start["grid_x"][0]),
        float(start["grid_x"][-1]),
        float(start["grid_y"][0]),
        float(start["grid_y"][-1]),
    )
    panel.imshow(
        start["boundary"].values,
        extent=extent,
        origin="lower",
        cmap=LinearSegmentedColormap.from_list("classes", (first, "white", second)),
        vmin=0,
        vmax=1,
        alpha=0.5,
        aspect="auto",
    )
    labels = start["labels"].values
    for label, color in enumerate(CLASS_COLORS):
        chosen = start["points"].values[labels == label]
        panel.plot(chosen[:, 0], chosen[:, 1], ".", color=color, markersize=2)
