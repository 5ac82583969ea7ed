"""Loss against learning rate, a panel for each case and a curve for each size."""

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import xarray
from matplotlib.figure import Figure

from experiments.transfer.cases import CASES
from experiments.transfer.optimum import Movement
from initlab.figures.style import new_figure

__all__ = ["draw_transfer"]


def draw_transfer(
    results: xarray.Dataset,
    found: Mapping[str, tuple[np.ndarray, Movement]],
    rows: Mapping[str, Mapping[str, Any]],
) -> Figure:
    """Median loss over seeds against rate; a dot is the typical best rate of a size.

    Args:
      results: `loss` over (case, size, learning_rate, seed).
      found: sizes and movement of each case.
      rows: of the table, by case.

    Returns:
      The figure.
    """
    columns, lines = _grid(len(found))
    figure = new_figure(4.6 * columns, 3.4 * lines)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel, (name, (sizes, movement)) in zip(panels, found.items(), strict=False):
        loss = results["loss"].sel(case=name, size=sizes)
        rates = loss["learning_rate"].values * CASES[name].rate
        colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(sizes)))
        for size, best, color in zip(sizes, movement.rates, colors, strict=True):
            middle = loss.sel(size=size).median("seed").values
            middle = np.where(np.isfinite(middle), middle, np.nan)
            panel.plot(rates, middle, color=color, label=f"{rows[name]['axis']} {int(size)}")
            known = best[np.isfinite(best)] * CASES[name].rate
            if known.size:
                at = np.exp(np.mean(np.log(known)))
                height = np.interp(np.log(at), np.log(rates), middle)
                panel.plot(at, height, "o", color=color, markersize=5)
        slope = movement.slope
        panel.set_title(
            f"{name}: {slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]\n"
            f"published: {rows[name]['claim']}; {rows[name]['verdict']}",
            fontsize="medium",
        )
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xlabel("learning rate at the smallest size")
        panel.set_ylabel("loss, median over seeds")
        panel.legend(frameon=False, fontsize="small")
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    return figure


def _grid(panels: int) -> tuple[int, int]:
    """Columns and lines, with the fewest empty places at the end."""
    shapes = [(columns, math.ceil(panels / columns)) for columns in (3, 4) if columns <= panels]
    return min(shapes or [(panels, 1)], key=lambda shape: (shape[0] * shape[1], shape[1]))
