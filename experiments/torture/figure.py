"""How far the sweeps were when they were killed."""

from collections.abc import Sequence

import numpy as np
import xarray
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_kills"]


def draw_kills(results: xarray.Dataset, signals: Sequence[str]) -> Figure:
    """A histogram of the share of finished chunks at each kill, a panel for each process count.

    Args:
      results: `signal`, `finished` and `processes` over (kill).
      signals: their names.

    Returns:
      The figure.
    """
    counts = np.unique(results["processes"])
    figure = new_figure(6 * len(counts), 4.5)
    figure.suptitle(f"{results.sizes['kill']} kills of a small sweep", fontsize=13)
    panels = figure.subplots(1, len(counts), squeeze=False).ravel()
    for axes, count in zip(panels, counts, strict=True):
        of = results.isel(kill=(results["processes"] == count).values)
        shares = [of["finished"].values[of["signal"].values == n] for n in range(len(signals))]
        axes.hist(
            shares,
            bins=np.linspace(0, 1, 11),
            stacked=True,
            label=list(signals),
            color=SERIES_COLORS[: len(signals)],
        )
        axes.set_title("one process" if count == 1 else f"one of {count} processes", fontsize=11)
        axes.set_xlabel("share of chunks that were finished")
        axes.set_ylabel("kills")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=9)
    return figure
