"""How far units that started identical are apart, against the step: measured and predicted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from initlab.figures.style import SERIES_COLORS, new_figure, ordered_colors

__all__ = ["draw_escape"]

STYLES = ("-", "--", ":", "-.")


def draw_escape(results: xarray.Dataset) -> Figure:
    """Above: differences planted in float64 and their predicted growth. Below: rounding alone.

    Args:
      results: `spread` over (dtype, arithmetic, width, constant, perturbation, step), `log_growth`
        over (width, constant, training_step); attrs["order_one"].

    Returns:
      The figure: a column for each constant; the first width above, all below.
    """
    constants = results["constant"].values
    # No narrower than its title.
    figure = new_figure(max(9, 5 * len(constants)), 8.5)
    panels = figure.subplots(2, len(constants), squeeze=False, sharey="row")
    dtype = str(results["dtype"].values[-1])
    narrow = int(results["width"][0])
    for column, constant in enumerate(constants):
        of = results.sel(constant=constant)
        _draw_planted(panels[0, column], of.isel(width=0).sel(dtype=dtype))
        _draw_rounding(panels[1, column], of)
        panels[0, column].set_title(
            f"all weights {constant:g}: {narrow} units, {dtype}", fontsize=11
        )
        for axes in panels[:, column]:
            axes.axhline(results.attrs["order_one"], color="0.5", linewidth=0.8)
            axes.set_yscale("log")
            axes.set_xlabel("step")
    panels[0, 0].set_ylabel("difference between units (norm)")
    panels[1, 0].set_ylabel("difference between units (norm)")
    panels[0, -1].legend(
        handles=[
            *_planted_handles(results),
            Line2D([], [], color="black", linestyle=":", label="predicted"),
        ],
        title="planted",
        fontsize=8,
    )
    figure.suptitle(
        "A symmetric start is an unstable plane: a difference between units grows as the "
        "linearised update predicts,\nand whether rounding makes one depends on the dtype and on "
        "the order of the sums",
        fontsize=12,
    )
    return figure


def _draw_planted(axes: Any, of: xarray.Dataset) -> None:
    ordered = of.sel(arithmetic=of["arithmetic"].values[0])
    planted = [each for each in of["perturbation"].values if each > 0]
    for color, size in zip(ordered_colors(len(planted)), planted, strict=True):
        run = ordered.sel(perturbation=size)
        axes.plot(of["step"], _positive(run["spread"].values), color=color, linewidth=2)
        predicted = size * np.exp(np.clip(of["log_growth"].values, -700, 700 - np.log(size)))
        shown = predicted <= 10 * of.attrs["order_one"]
        axes.plot(of["training_step"].values[shown], predicted[shown], ":", color="black")
    axes.set_ylim(1e-13, 30)


def _draw_rounding(axes: Any, of: xarray.Dataset) -> None:
    """A line for each run that rounding sets apart; the others are counted."""
    axes.set_ylim(1e-19, 30)
    if 0 not in of["perturbation"].values:
        return
    runs = of["spread"].sel(perturbation=0)
    identical = {str(name): 0 for name in of["arithmetic"].values}
    for color, dtype in zip(SERIES_COLORS, of["dtype"].values, strict=False):
        for arithmetic in identical:
            for style, width in zip(STYLES, of["width"].values, strict=False):
                spread = runs.sel(dtype=dtype, arithmetic=arithmetic, width=width).values
                if not np.any(spread > 0):
                    identical[arithmetic] += 1
                    continue
                label = f"{dtype}, {arithmetic}, {width} units"
                axes.plot(of["step"], _positive(spread), style, color=color, label=label)
    each = of.sizes["dtype"] * of.sizes["width"]
    axes.set_xlim(of["step"].values[0], of["step"].values[-1])
    counts = ", ".join(f"{count} of {each} {name}" for name, count in identical.items())
    axes.set_title(f"nothing planted: rounding alone\nnever apart: {counts}", fontsize=11)
    if axes.lines:
        axes.legend(fontsize=8, loc="lower right")


def _positive(spread: np.ndarray) -> np.ndarray:
    """Zero has no place on a logarithmic axis."""
    return np.where(spread > 0, spread, np.nan)


def _planted_handles(results: xarray.Dataset) -> list[Line2D]:
    planted = [each for each in results["perturbation"].values if each > 0]
    colors: Sequence[Any] = ordered_colors(len(planted))
    return [
        Line2D([], [], color=color, linewidth=2, label=f"{size:g}")
        for color, size in zip(colors, planted, strict=True)
    ]
