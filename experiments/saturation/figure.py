"""Saturation, gradient size and losses against the scale of the weights."""

from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_saturation"]

STYLES = ("-", "--", ":", "-.")


def draw_saturation(results: xarray.Dataset) -> Figure:
    """Six panels against the scale, one line for each activation, quartiles over seeds as bands.

    Args:
      results: `saturation`, `gradient_norm` and `weight_norm` over (activation, scale, seed, step,
        layer), `loss` over (activation, scale, seed, step); layer 0 is hidden, layer 1 the output.

    Returns:
      The figure.
    """
    start = results.isel(step=0)
    early, late = int(results["step"][1]), int(results["step"][-1])
    # The outgoing weights grow with the scale as the slopes vanish; what makes learning slow is how
    # far a step moves a weight in proportion to its size.
    relative = (start["gradient_norm"] / start["weight_norm"]).isel(layer=0)
    panels = (
        ("saturated share of hidden units", start["saturation"].isel(layer=0), False),
        ("saturated share of the sigmoid output", start["saturation"].isel(layer=1), False),
        ("gradient norm / weight norm of the hidden layer", relative, True),
        ("loss at the start (nats)", start["loss"], True),
        (f"loss after {early} steps (nats)", results["loss"].isel(step=1), True),
        (f"loss after {late} steps (nats)", results["loss"].isel(step=-1), True),
    )
    figure = new_figure(15, 8)
    seeds = results.sizes["seed"]
    figure.suptitle(
        "One hidden layer on the flower data: large weights saturate their units and learn slowly\n"
        f"median and quartiles over {seeds} seeds; the first four panels are before the first step",
        fontsize=13,
    )
    for axes, (title, values, is_log) in zip(figure.subplots(2, 3).ravel(), panels, strict=True):
        _draw_lines(axes, values)
        axes.set_title(title, fontsize=11)
        axes.set_xscale("log")
        axes.set_xlabel("scale: standard deviation of the weights")
        if is_log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(-0.02, 1.02)
    figure.axes[0].legend(title="hidden activation", fontsize=9)
    return figure


def _draw_lines(axes: Any, values: xarray.DataArray) -> None:
    scale = values["scale"].values
    for index, activation in enumerate(values["activation"].values):
        # A diverged run counts as worst: infinite values leave the picture at the top.
        column = values.sel(activation=activation).transpose("scale", "seed").values
        ranked = np.where(np.isfinite(column), column, np.inf)
        low, middle, high = np.quantile(ranked, [0.25, 0.5, 0.75], 1, method="inverted_cdf")
        color = SERIES_COLORS[index % len(SERIES_COLORS)]
        style = STYLES[index % len(STYLES)]
        axes.plot(scale, middle, style, color=color, label=str(activation), linewidth=2)
        axes.fill_between(scale, low, high, color=color, alpha=0.15, linewidth=0)
