"""Many initializers side by side: theory, the start, and what training made of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_zoo"]

MARKERS = ("o", "s", "D", "^", "v", "P")
FLOOR, CEILING = 1e-6, 1e6
"""Where what is smaller, or larger, is drawn."""


def draw_zoo(networks: Sequence[Mapping[str, Any]], *, trained_under: float, title: str) -> Figure:
    """A line for each initializer, in the order of their best P(train); a colour for each network.

    Args:
      networks: `{network, rows, does_not_apply}` each; a row has `initializer`, `chi1`,
        `length_growth`, `gradient_growth`, `loss` (quartiles), `p_train` and `p_train_interval`.
      trained_under: the loss under which a run counts as trained, drawn as a line.
      title: the picture's.

    Returns:
      The figure: five panels. What is under 1e-6 or above 1e6, or infinite, stands at that edge.
    """
    lines = _order(networks)
    figure = new_figure(16, 2.2 + 0.3 * len(lines))
    figure.suptitle(title, fontsize=14)
    panels = figure.subplots(1, 5, sharey=True)
    labels = (
        "chi1 of a plain wide net\nof the measured variances",
        "length: last hidden layer\nover the first, at the start",
        "gradient: first hidden layer\nover the last, at the start",
        "final loss (nats),\nmedian and quartiles over seeds",
        "P(train), 95 % interval",
    )
    for axes, label in zip(panels, labels, strict=True):
        axes.set_title(label, fontsize=10)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    for number, group in enumerate(networks):
        apart = 0.5 * (number - (len(networks) - 1) / 2) / max(len(networks), 1)
        style = {
            "color": SERIES_COLORS[number % len(SERIES_COLORS)],
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 5,
            "linestyle": "none",
            "label": group["network"],
        }
        rows = group["rows"]
        at = np.asarray([lines[row["initializer"]] + apart for row in rows])
        for axes, name in zip(panels, ("chi1", "length_growth", "gradient_growth"), strict=False):
            axes.plot(_clipped([row[name] for row in rows]), at, **style)
        losses = _clipped([row["loss"] for row in rows]).reshape(-1, 3)
        shares = np.asarray(
            [[row["p_train_interval"][0], row["p_train"], row["p_train_interval"][1]]
             for row in rows]
        ).reshape(-1, 3)  # fmt: skip
        for axes, spread in zip(panels[3:], (losses, shares), strict=True):
            middle = spread[:, 1]
            around = np.abs(spread[:, ::2].T - middle)
            axes.errorbar(middle, at, xerr=around, linewidth=1.2, **style)
        missing = [lines[name] + apart for name in group["does_not_apply"]]
        panels[4].plot(
            np.zeros(len(missing)), missing, linestyle="none", marker="x", color=style["color"],
            markersize=5,
        )  # fmt: skip
    _finish(panels, lines, trained_under)
    handles, names = panels[0].get_legend_handles_labels()
    (cross,) = panels[4].plot([], [], "x", color="0.3")
    figure.legend(
        [*handles, cross],
        [*names, "does not apply to this network"],
        loc="outside lower center",
        ncols=len(networks) + 1,
        frameon=False,
    )
    return figure


def _finish(panels: Any, lines: Mapping[str, int], trained_under: float) -> None:
    panels[0].set_yticks(list(lines.values()), list(lines), fontsize=9)
    panels[0].set_ylim(len(lines) - 0.4, -0.6)
    for axes in panels[:3]:
        axes.axvline(1, color="0.5", linewidth=1, linestyle=":")
    for axes in panels[:4]:
        axes.set_xscale("log")
        # Whole decades, so that at least two ticks have numbers.
        left, right = np.log10(axes.get_xlim())
        axes.set_xlim(10.0 ** np.floor(left), 10.0 ** np.ceil(right))
        axes.xaxis.set_minor_formatter(NullFormatter())
    panels[3].axvline(trained_under, color="black", linewidth=1, linestyle=":")
    panels[3].set_xlabel("dotted: trained is left of it")
    panels[4].set_xlim(-0.05, 1.05)


def _order(networks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """A line for each initializer: first those that train most seeds on average over networks."""
    shares: dict[str, list[float]] = {}
    for group in networks:
        for row in group["rows"]:
            shares.setdefault(row["initializer"], []).append(row["p_train"])
        for name in group["does_not_apply"]:
            shares.setdefault(name, [])
    mean = {name: np.mean(each) if each else -1 for name, each in shares.items()}
    return {name: line for line, name in enumerate(sorted(mean, key=lambda name: -mean[name]))}


def _clipped(values: Sequence[Any]) -> np.ndarray:
    """On a logarithmic axis zeros stand at its floor and infinities at its ceiling; NaN nowhere."""
    return np.clip(np.asarray(values, float), FLOOR, CEILING)
