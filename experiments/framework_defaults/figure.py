"""Other libraries' defaults: the variance of a layer's weights, and how deep it carries."""

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_defaults"]

MARKERS = "os^Dv<>"


def draw_defaults(results: xarray.Dataset, *, max_depth: float) -> Figure:
    """A line for each layer: fan_in Var w on the left, the depth reached on the right, log axes.

    Args:
      results: over "row" `framework`, `layer`, `sigma_w2`; `depth` over (row, activation), NaN
        where a layer has none.
      max_depth: deeper networks are drawn there, as networks of any depth.

    Returns:
      The figure.
    """
    # Layers without a depth, embeddings, are in the table only.
    depth = results["depth"].transpose("row", "activation").values
    rows = results.isel(row=np.flatnonzero(~np.isnan(depth).all(axis=1)))
    lines = -np.arange(rows.sizes["row"], dtype=float)
    names = rows["framework"].values.tolist()
    labels = [f"{a}: {b}" for a, b in zip(names, rows["layer"].values.tolist(), strict=True)]
    figure = new_figure(13, 1.8 + 0.3 * len(labels))
    figure.suptitle("What other libraries start a layer from, and how deep a plain network can be")
    left, right = figure.subplots(1, 2, sharey=True)
    frameworks = list(dict.fromkeys(names))
    for line, name, variance in zip(lines, names, rows["sigma_w2"].values, strict=True):
        color = SERIES_COLORS[frameworks.index(name) % len(SERIES_COLORS)]
        left.plot(variance, line, "o", color=color, markersize=8)
    for value, label in ((1 / 3, "1/3"), (1, "LeCun: 1"), (2, "He: 2")):
        left.axvline(value, color="0.6", linewidth=1, linestyle=":")
        left.annotate(label, (value, 0.6), ha="center", fontsize=9, color="0.4")
    left.set_xscale("log")
    left.set_xlabel("fan_in x variance of the weights")
    left.set_yticks(lines, labels)
    depth = rows["depth"]
    for number, activation in enumerate(depth["activation"].values):
        values = depth.sel(activation=activation).values
        # Side by side, so that equal depths do not hide each other.
        offset = 0.18 * (number - (depth.sizes["activation"] - 1) / 2)
        right.plot(
            np.minimum(values, max_depth),
            lines - offset,
            MARKERS[number % len(MARKERS)],
            color=SERIES_COLORS[number % len(SERIES_COLORS)],
            label=str(activation),
            linestyle="none",
        )
    right.axvline(max_depth, color="0.6", linewidth=1, linestyle=":")
    right.annotate("any depth", (max_depth, 0.6), ha="center", fontsize=9, color="0.4")
    right.set_xscale("log")
    right.set_xlim(1, 2 * max_depth)
    right.set_xlabel("layers that a signal reaches: 6 depth scales")
    right.legend(title="activation", fontsize=9, loc="lower right")
    for axes in (left, right):
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
        axes.set_ylim(lines[-1] - 0.8, 1.1)
    return figure
