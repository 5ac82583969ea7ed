"""A model's layers at the start: lengths, distances, gradients and flat slopes."""

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_audit"]

MARKS = {"product": "o", "sum": "s", "input": "D", "output": "D", "activation": "^"}
NAMED = 40
"""With more places than this, not every one has its name on the axis."""


def draw_audit(results: xarray.Dataset) -> Figure:
    """What an audit measured, place by place.

    Args:
      results: a report's `to_dataset()`: `length`, `dissimilarity`, `gradient`, `saturated` and
        `dead` over (seed, place), `kind` and `on_path` over place.

    Returns:
      The figure: three rows of panels on one axis of places; a line joins the places that every way
      from the data to the outputs passes.
    """
    places = [str(name) for name in results["place"].values]
    figure = new_figure(max(8.0, min(18.0, 3 + 0.3 * len(places))), 10)
    lengths, distances, shares = figure.subplots(3, 1, sharex=True)
    on_path = results["on_path"].values.astype(bool)
    for axes, names in ((lengths, ("length", "gradient")), (distances, ("dissimilarity",))):
        for color, name in zip(SERIES_COLORS, names, strict=False):
            _draw_line(axes, results, name, color, on_path)
        axes.set_yscale("log")
        axes.grid(axis="y", alpha=0.3)
    lengths.set_ylabel("root mean square of the signal,\nnorm of its gradient")
    distances.set_ylabel("1 - c, c the mean cosine\nof two examples")
    for color, name, label in (
        (SERIES_COLORS[0], "saturated", "units x examples with a flat slope"),
        (SERIES_COLORS[1], "dead", "units that are flat on every example"),
    ):
        value = np.nanmedian(results[name].values, axis=0) if places else np.zeros(0)
        shares.plot(
            range(len(places)), value, "^" if name == "saturated" else "v", color=color, label=label
        )
    shares.set_ylim(-0.03, 1.03)
    shares.set_ylabel("share")
    shares.grid(axis="y", alpha=0.3)
    for axes in (lengths, distances, shares):
        axes.legend(fontsize=9, loc="best")
    every = -(-len(places) // NAMED)
    ticks = range(0, len(places), every)
    shares.set_xticks(ticks, [places[n] for n in ticks], rotation=90, fontsize=8)
    figure.suptitle(f"verdict: {results.attrs['verdict']}")
    return figure


def _draw_line(axes, results, name, color, on_path) -> None:
    values = results[name].values
    known = ~np.isnan(values).all(axis=0)
    label = {"length": "signal", "gradient": "gradient", "dissimilarity": "1 - c"}[name]
    for chosen, style, named in (
        (known & on_path, "-o", label),
        (known & ~on_path, "x", f"{label}, in a branch"),
    ):
        if not chosen.any():
            continue
        place = np.flatnonzero(chosen)
        low, middle, high = np.nanquantile(values[:, place], [0.05, 0.5, 0.95], axis=0)
        axes.plot(
            place,
            middle,
            style,
            color=color,
            label=named,
            markersize=5,
            alpha=1 if style != "x" else 0.7,
        )
        if values.shape[0] > 1 and style != "x":
            axes.fill_between(place, low, high, color=color, alpha=0.2, linewidth=0)
