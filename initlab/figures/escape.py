"""How far units that started alike are apart, against the step: measured and predicted."""

from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from initlab.figures.style import SERIES_COLORS, new_figure, ordered_colors

__all__ = ["draw_escape"]

STYLES: dict[str, Any] = {"ordered": "-", "plain": "--"}


def draw_escape(results: xarray.Dataset) -> Figure:
    """Above: differences planted in float64 and their predicted growth. Below: rounding alone.

    Args:
      results: `spread` over (dtype, arithmetic, width, constant, perturbation, step), `log_growth`
        over (width, constant, training_step); attrs["order_one"].

    Returns:
      The figure: a column for each constant, of the first width above and the last below.
    """
    constants = results["constant"].values
    figure = new_figure(5 * len(constants), 8.5)
    panels = figure.subplots(2, len(constants), squeeze=False, sharey="row")
    dtype = str(results["dtype"].values[-1])
    narrow, wide = int(results["width"][0]), int(results["width"][-1])
    for column, constant in enumerate(constants):
        of = results.sel(constant=constant)
        _draw_planted(panels[0, column], of.isel(width=0).sel(dtype=dtype))
        _draw_rounding(panels[1, column], of.isel(width=-1))
        panels[0, column].set_title(
            f"all weights {constant:g}: {narrow} units, {dtype}", fontsize=11
        )
        panels[1, column].set_title(f"nothing planted: rounding alone, {wide} units", fontsize=11)
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
    panels[1, -1].legend(handles=_rounding_handles(results), fontsize=8)
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
    for color, dtype in zip(SERIES_COLORS, of["dtype"].values, strict=False):
        for arithmetic in of["arithmetic"].values:
            if 0 not in of["perturbation"].values:
                continue
            run = of.sel(dtype=dtype, arithmetic=arithmetic, perturbation=0)
            spread = _positive(run["spread"].values)
            axes.plot(of["step"], spread, STYLES[arithmetic], color=color, linewidth=2)
    axes.set_ylim(1e-19, 30)


def _positive(spread: np.ndarray) -> np.ndarray:
    """Zero has no place on a logarithmic axis."""
    return np.where(spread > 0, spread, np.nan)


def _planted_handles(results: xarray.Dataset) -> list[Line2D]:
    planted = [each for each in results["perturbation"].values if each > 0]
    colors = ordered_colors(len(planted))
    return [
        Line2D([], [], color=color, linewidth=2, label=f"{size:g}")
        for color, size in zip(colors, planted, strict=True)
    ]


def _rounding_handles(results: xarray.Dataset) -> list[Line2D]:
    """Every run has a line in the legend; one that stays symmetric has none in the picture."""
    handles = []
    width = int(results["width"][-1])
    for color, dtype in zip(SERIES_COLORS, results["dtype"].values, strict=False):
        for arithmetic in results["arithmetic"].values:
            label = f"{dtype}, {arithmetic}"
            if 0 in results["perturbation"].values:
                runs = results.sel(width=width, dtype=dtype, arithmetic=arithmetic, perturbation=0)
                if not np.any(runs["spread"].values > 0):
                    label += ": never apart"
            handles.append(
                Line2D([], [], color=color, linestyle=STYLES[arithmetic], linewidth=2, label=label)
            )
    return handles
