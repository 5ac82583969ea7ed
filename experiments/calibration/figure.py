"""Final losses from starts that fail, and from what refiners make of them."""

import numpy as np
import xarray
from matplotlib.figure import Figure

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_calibration"]


def draw_calibration(results: xarray.Dataset) -> Figure:
    """A panel for each network, a line for each refiner, a dot for every seed's loss.

    Args:
      results: `loss` over (model, refiner, seed), `verdict` over (model, refiner), attrs
        trained_under. Losses that are not finite are drawn at the right edge.

    Returns:
      The figure.
    """
    models = results["model"].values
    figure = new_figure(12, 1.2 + 1.7 * len(models))
    figure.suptitle("Final loss of each seed, from a start that fails and after each refiner")
    grid = figure.subplots(len(models), 1, squeeze=False, sharex=True)[:, 0]
    loss = results["loss"].transpose("model", "refiner", "seed").values
    finite = loss[np.isfinite(loss)]
    edge = 3 * float(np.quantile(finite, 0.99)) if finite.size else 1.0
    refiners = results["refiner"].values
    for axes, model, losses in zip(grid, models, loss, strict=True):
        labels = []
        for line, refiner in enumerate(refiners):
            shown = np.minimum(np.where(np.isfinite(losses[line]), losses[line], edge), edge)
            color = SERIES_COLORS[line % len(SERIES_COLORS)]
            axes.plot(shown, np.full(shown.size, -line), "o", color=color, alpha=0.5)
            verdict = results["verdict"].sel(model=model, refiner=refiner).item()
            labels.append(f"{refiner} (audit: {verdict})")
        axes.axvline(results.attrs["trained_under"], color="0.6", linewidth=1, linestyle=":")
        axes.set_yticks(-np.arange(len(refiners)), labels, fontsize=9)
        axes.set_ylim(-len(refiners) + 0.4, 0.6)
        axes.set_xscale("log")
        axes.set_title(str(model), fontsize=10)
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
    grid[-1].set_xlabel(
        "loss after training (nats); left of the dotted line a run trained; right edge: diverged"
    )
    return figure
