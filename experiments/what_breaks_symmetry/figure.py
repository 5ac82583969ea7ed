"""The truth table of what breaks symmetry, in colours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from initlab.figures.style import new_figure

__all__ = ["draw_breaking"]

OUTCOME_COLORS = ("#D9D9D9", "#9CCBE8", "#F0E08C", "#EFA67A", "#7FCFB4")
"""Pale ones of Okabe and Ito's palette, so that black text is read on them."""


def draw_breaking(cells: xarray.Dataset, *, outcomes: Sequence[str], legend: str) -> Figure:
    """A grid for each activation: a row for each start, a column for each treatment.

    Args:
      cells: `outcome` (index of `outcomes`) and `code` (text) over (activation, start, treatment).
      outcomes: what each colour says, up to five.
      legend: what the codes say.

    Returns:
      The figure.
    """
    activations = cells["activation"].values
    rows, columns = cells.sizes["start"], cells.sizes["treatment"]
    # No narrower than what the codes say, with the colours beside it.
    width = max(12.6, 0.8 + 0.74 * columns * len(activations))
    figure = new_figure(width, 4.2 + 0.27 * rows)
    places = figure.add_gridspec(2, len(activations), height_ratios=(0.27 * rows, 2.2))
    for index, activation in enumerate(activations):
        axes = figure.add_subplot(places[0, index])
        _draw_grid(axes, cells.sel(activation=activation), len(outcomes))
        axes.set_title(str(activation), fontsize=12)
    figure.axes[0].set_ylabel("start: W1 b1 W2 (0 zero, c constant, r random)")
    figure.suptitle(
        "What breaks the symmetry of hidden units, at which step, and by which term", fontsize=13
    )
    below = figure.add_subplot(places[1, :])
    below.set_axis_off()
    below.text(0, 1, legend, fontsize=8, family="monospace", va="top")
    patches = [
        Patch(facecolor=color, label=label)
        for color, label in zip(OUTCOME_COLORS, outcomes, strict=False)
    ]
    below.legend(handles=patches, loc="upper right", fontsize=10)
    return figure


def _draw_grid(axes: Any, cells: xarray.Dataset, outcomes: int) -> None:
    grid = cells.transpose("start", "treatment")
    axes.imshow(
        grid["outcome"].values,
        cmap=ListedColormap(OUTCOME_COLORS[:outcomes]),
        vmin=-0.5,
        vmax=outcomes - 0.5,
        aspect="auto",
        interpolation="nearest",
    )
    rows, columns = grid["outcome"].shape
    axes.set_xticks(np.arange(0.5, columns - 1), minor=True)
    axes.set_yticks(np.arange(0.5, rows - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    for row, column in np.ndindex(rows, columns):
        text = str(grid["code"].values[row, column])
        axes.text(column, row, text, ha="center", va="center", fontsize=6.5)
    axes.set_xticks(range(columns), grid["treatment"].values, rotation=40, ha="right")
    axes.set_yticks(range(rows), grid["start"].values, family="monospace")
