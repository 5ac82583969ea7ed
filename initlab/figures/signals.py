"""q, cosine distance and gradient by layer, predicted and measured, and their difference."""

from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab import checks
from initlab.figures.style import SERIES_COLORS, literal, new_figure

__all__ = ["draw_signal"]

ROWS = {
    "length": "mean squared signal",
    "decorrelation": "1 - correlation",
    "gradient": "squared gradient / last layer's",
}

BAND = "measured: 5 to 95 % of seeds"
MEASURED, WIDE, FINITE = SERIES_COLORS[0], SERIES_COLORS[1], "black"


@checks.checked
def draw_signal(results: xarray.Dataset, *, title: str, errors: float = 3.0) -> Figure:
    """A column for each activation, a row for each quantity, and under each the difference.

    Args:
      results: as from `signals.compare`: of each quantity the measurement over (activation, seed,
        layer), `QUANTITY_predicted` and `QUANTITY_off` over (activation, kind, layer), NaN where
        there is no prediction. Without an axis of activations it is one column.
      title: the picture's.
      errors: standard errors within which a layer agrees, shaded.

    Returns:
      The figure.
    """
    if "activation" not in results.dims:
        results = results.expand_dims(activation=[""])
    names = results["activation"].values
    figure = new_figure(max(4.2 * len(names), 7), 13)
    figure.suptitle(title, fontsize=13)
    panels = figure.subplots(
        2 * len(ROWS),
        len(names),
        squeeze=False,
        sharex=True,
        gridspec_kw={"height_ratios": [3, 1.2] * len(ROWS)},
    )
    for column, activation in enumerate(names):
        of = results.sel(activation=activation)
        for row, name in enumerate(ROWS):
            above, below = panels[2 * row : 2 * row + 2, column]
            _draw_quantity(above, of, name)
            _draw_difference(below, of, name, errors)
        panels[0, column].set_title(literal(activation), fontsize=12)
        panels[-1, column].set_xlabel(_axis_name(results))
    for row, label in enumerate(ROWS.values()):
        panels[2 * row, 0].set_ylabel(label)
        panels[2 * row + 1, 0].set_ylabel("difference\n(std errors)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4 if len(names) > 2 else 2, frameon=False
    )
    return figure


def _draw_quantity(axes: Any, of: xarray.Dataset, name: str) -> None:
    layer = np.arange(1, of.sizes["layer"] + 1)
    values = of[name].transpose("seed", "layer").values
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    axes.fill_between(
        layer,
        low,
        high,
        color=MEASURED,
        alpha=0.2,
        linewidth=0,
        label=BAND,
    )
    axes.plot(layer, values.mean(0), color=MEASURED, linewidth=3, label="measured: mean")
    predicted = of[f"{name}_predicted"]
    axes.plot(layer, predicted.sel(kind="wide"), color=WIDE, label="predicted: wide network")
    axes.plot(
        layer,
        predicted.sel(kind="finite"),
        ":",
        color=FINITE,
        linewidth=2,
        label="predicted: this width",
    )
    if np.all(low > 0):
        axes.set_yscale("log")


def _draw_difference(axes: Any, of: xarray.Dataset, name: str, allowed: float) -> None:
    off = of[f"{name}_off"]
    # The last layer's gradient is the unit of the others: it has no difference to show.
    count = off.sizes["layer"] - (name == "gradient")
    layer = np.arange(1, count + 1)
    axes.axhspan(-allowed, allowed, color="0.9", linewidth=0)
    axes.axhline(0, color="0.6", linewidth=0.8)
    largest = allowed
    for kind, color, style in (("wide", WIDE, "-"), ("finite", FINITE, ":")):
        values = off.sel(kind=kind).values[:count]
        axes.plot(layer, values, style, color=color, linewidth=1 if kind == "wide" else 2)
        largest = max([largest, *np.abs(values[np.isfinite(values)])])
    axes.set_ylim(-1.15 * largest, 1.15 * largest)


def _axis_name(results: xarray.Dataset) -> str:
    first, second = map(literal, results["layer"].values[:2])
    return "hidden layer" if first == "layer_1" else f"1: {first}, 2: {second}, ..."
