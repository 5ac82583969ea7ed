"""Sizes of layers' outputs, and of their changes in training, against width or depth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab import checks
from initlab.figures.style import literal, new_figure, ordered_colors

__all__ = ["draw_coordinates"]


@checks.checked
def draw_coordinates(checks: Mapping[str, xarray.Dataset]) -> Figure:
    """A row for each check: at the start, after one step, after the last; log against log.

    Lines are medians over seeds, bands quartiles; dotted lines have the slopes that theory predicts
    and start where the measured ones do.

    Args:
      checks: `{title: check.to_dataset()}`.

    Returns:
      The figure.
    """
    if not checks:
        raise ValueError("checks must hold at least one dataset, got none")
    figure = new_figure(14, 0.6 + 3.2 * len(checks))
    figure.suptitle("What grows with size: outputs of layers, and their change in training")
    grid = figure.subplots(len(checks), 3, squeeze=False)
    for row, (title, results) in zip(grid, checks.items(), strict=True):
        change, last = results["change"], int(results["step"][-1])
        panels = (
            ("at the start", results["start"], results["predicted_start"].values),
            ("change after step 1", change.isel(step=0), results["predicted_change"].values),
            (f"change after step {last}", change.isel(step=-1), None),
        )
        for axes, (what, values, slopes) in zip(row, panels, strict=True):
            _draw_layers(axes, values, slopes, results.attrs["axis"])
            axes.set_title(what, fontsize=10)
        row[0].set_ylabel("root mean square")
        row[0].legend(fontsize=8)
        row[0].set_title(f"{literal(title)}: {results.attrs['verdict']}\nat the start", fontsize=10)
    return figure


def _draw_layers(axes: Any, values: xarray.DataArray, slopes: Any, axis: str) -> None:
    sizes, layers = values[axis].values, values["layer"].values
    for number, color in enumerate(ordered_colors(len(layers))):
        columns = values.isel(layer=number).transpose(axis, "seed").values
        # A log axis has no place for 0 or for what is not finite.
        shown = np.where(np.isfinite(columns) & (columns > 0), columns, np.nan)
        quartiles = np.full((3, len(sizes)), np.nan)
        seen = ~np.isnan(shown).all(axis=1)
        if not seen.any():
            continue
        quartiles[:, seen] = np.nanquantile(shown[seen], [0.25, 0.5, 0.75], axis=1)
        low, middle, high = quartiles
        axes.plot(sizes, middle, "o-", color=color, label=literal(layers[number]), markersize=4)
        axes.fill_between(sizes, low, high, color=color, alpha=0.15, linewidth=0)
        if slopes is not None and np.isfinite(slopes[number]):
            line = middle[0] * (sizes / sizes[0]) ** slopes[number]
            axes.plot(sizes, line, ":", color=color, linewidth=2)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.set_xlabel(literal(axis))
