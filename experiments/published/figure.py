"""A panel for each published result: its range, and the measured mean with its interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.published.claims import VERDICTS
from initlab.figures.style import new_figure

__all__ = ["draw_claims"]

COLORS = dict(zip(VERDICTS, ("#009E73", "#D55E00", "#56595C"), strict=True))
COLUMNS = 3


def draw_claims(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Of each result a panel: grey what agrees with what is published, dots what is measured.

    Args:
      rows: of the experiment's summary.

    Returns:
      The figure.
    """
    names = list(dict.fromkeys(row["reproduction"] for row in rows))
    down = -(-len(names) // COLUMNS)
    most = max(sum(row["reproduction"] == name for row in rows) for name in names)
    figure = new_figure(16, 1.0 + down * (0.9 + 0.3 * most))
    panels = figure.subplots(down, COLUMNS, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _draw_panel(axes, name, [row for row in rows if row["reproduction"] == name])
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    dots = [Line2D([], [], color=COLORS[each], marker="o", label=each) for each in VERDICTS]
    band = Patch(color="0.85", label="published, with its tolerance or open range")
    figure.legend(handles=[band, *dots], loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("Published results and what the lab measures, with 95 % intervals over seeds")
    return figure


def _draw_panel(axes: Any, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    places = np.arange(len(rows))
    left, right = _limits(rows)
    for place, row in zip(places, rows, strict=True):
        least, end = np.clip(row["range"], left, right)
        axes.barh(place, end - least, left=least, height=0.7, color="0.85")
        color = COLORS[row["verdict"]]
        axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=2)
        axes.plot(row["measured"], place, "o", color=color, markersize=6)
    axes.set_yticks(places, [row["quantity"] for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left, right)
    axes.set_title(name.replace("_", " "), fontsize=11)


def _limits(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Around all finite numbers of a panel, so that open ranges end at its border."""
    numbers = [row[name] for row in rows for name in ("measured", "low", "high")]
    numbers += [end for row in rows for end in row["range"]]
    finite = [number for number in numbers if number is not None and np.isfinite(number)]
    margin = 0.08 * (max(finite) - min(finite)) or 0.1
    return min(finite) - margin, max(finite) + margin
