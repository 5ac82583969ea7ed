"""A model's layers at initialization: rms, distances, gradients and flat slopes."""

from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab import checks
from initlab.figures.style import SERIES_COLORS, literal, new_figure

__all__ = ["draw_audit"]

NAMED = 40
"""With more places than this, not every one has its name on the axis."""

FORMER = {"length": "rms", "dissimilarity": "cosine_distance", "gradient": "gradient_norm"}
"""Names of columns in stores written before."""


@checks.checked
def draw_audit(results: xarray.Dataset) -> Figure:
    """What an audit measured, place by place.

    Args:
      results: a report's `to_dataset()`: `rms`, `cosine_distance`, `gradient_norm`, `saturated` and
        `dead` over (seed, place), `kind` and `on_path` over place.

    Returns:
      The figure: three rows of panels on one axis of places; a line joins the places that lie on
      every path from input to output.
    """
    results = results.rename({old: new for old, new in FORMER.items() if old in results})
    places = [literal(name) for name in results["place"].values]
    figure = new_figure(max(8.0, min(18.0, 3 + 0.3 * len(places))), 10)
    sizes, distances, shares = figure.subplots(3, 1, sharex=True)
    on_path = results["on_path"].values.astype(bool)
    for axes, names in ((sizes, ("rms", "gradient_norm")), (distances, ("cosine_distance",))):
        for color, name in zip(SERIES_COLORS, names, strict=False):
            _draw_line(axes, results, name, color, on_path)
        axes.set_yscale("log")
        axes.grid(axis="y", alpha=0.3)
    sizes.set_ylabel("rms of the signal,\nnorm of its gradient")
    distances.set_ylabel("cosine distance\nof two examples")
    for color, mark, name, label in (
        (SERIES_COLORS[0], "^", "saturated", "units x examples with a flat slope"),
        (SERIES_COLORS[1], "v", "dead", "units that are flat on every example"),
    ):
        place, middle, _ = _over_seeds(results[name].values)
        shares.plot(place, middle, mark, color=color, label=label)
    shares.set_ylim(-0.03, 1.03)
    shares.set_ylabel("share")
    shares.grid(axis="y", alpha=0.3)
    for axes in (sizes, distances, shares):
        # Beside the panels: no corner is free of points in every model.
        axes.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    # Correlations that hardly differ should look as if they hardly differed.
    bottom, top = distances.get_ylim()
    distances.set_ylim(min(0.1, bottom), max(2.0, top))
    every = -(-len(places) // NAMED)
    ticks = range(0, len(places), every)
    shares.set_xticks(ticks, [places[n] for n in ticks], rotation=90, fontsize=8)
    figure.suptitle(f"verdict: {results.attrs['verdict']}")
    return figure


def _over_seeds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places where something was measured, its median there, and its 5 % and 95 % quantiles."""
    place = np.flatnonzero(~np.isnan(values).all(axis=0))
    if not place.size:  # No activations, or no two examples; NumPy has no quantiles of nothing.
        return place, np.empty(0), np.empty((2, 0))
    low, middle, high = np.nanquantile(values[:, place], [0.05, 0.5, 0.95], axis=0)
    return place, middle, np.stack([low, high])


def _draw_line(
    axes: Any, results: xarray.Dataset, name: str, color: str, on_path: np.ndarray
) -> None:
    place, middle, (low, high) = _over_seeds(results[name].values)
    label = {"rms": "rms", "gradient_norm": "gradient norm", "cosine_distance": "cosine distance"}[
        name
    ]
    chosen = on_path[place]
    axes.plot(place[chosen], middle[chosen], "-o", color=color, label=label, markersize=5)
    if results.sizes["seed"] > 1:
        ends = low[chosen], high[chosen]
        axes.fill_between(place[chosen], *ends, color=color, alpha=0.2, linewidth=0)
    if not chosen.all():
        aside = {"label": f"{label}, off the path", "alpha": 0.7}
        axes.plot(place[~chosen], middle[~chosen], "x", color=color, markersize=5, **aside)
