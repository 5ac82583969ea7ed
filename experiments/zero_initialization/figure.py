"""The lecture's induction: a grid of checked facts, and what symmetry costs in curves."""

from typing import Any

import numpy as np
import xarray
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_induction"]

STYLES = ("-", "--", ":")


def draw_induction(results: xarray.Dataset) -> Figure:
    """Left: facts that held, by width and depth. Middle: logistic regression. Right: a wide net.

    Args:
      results: booleans `base`, `step_holds`, `alone`, `together` over (activation, depth, width,
        ...); `logistic_loss` over (start, seed, training_step); `wide_loss` over (net,
        training_step).

    Returns:
      The figure.
    """
    figure = new_figure(15, 5)
    facts, logistic, wide = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    _draw_facts(facts, results)
    step = results["training_step"].values
    for index, name in enumerate(results["start"].values):
        loss = results["logistic_loss"].sel(start=name)
        low, middle, high = loss.quantile([0, 0.5, 1], "seed").values
        color, style = SERIES_COLORS[index], STYLES[index]
        logistic.plot(step, middle, style, color=color, label=str(name), linewidth=2)
        logistic.fill_between(step, low, high, color=color, alpha=0.15, linewidth=0)
    logistic.set_title("Logistic regression may start from zero (moons)", fontsize=11)
    for index, name in enumerate(results["net"].values):
        # A wide net and its one-unit net lie on each other: a pale line under a dashed dark one.
        is_wide = "for" not in str(name)
        wide.plot(
            step,
            results["wide_loss"].sel(net=name).values,
            "-" if is_wide else "--",
            color=SERIES_COLORS[index // 2] if is_wide else "black",
            alpha=0.6 if is_wide else 1,
            label=str(name),
            linewidth=5 if is_wide else 1.5,
        )
    wide.set_title("Identical units are one unit (breast_cancer, sigmoid)", fontsize=11)
    for axes in (logistic, wide):
        axes.set_xlabel("step of full-batch gradient descent")
        axes.set_ylabel("training loss (nats)")
    logistic.legend(title="start", fontsize=9)
    wide.legend(fontsize=9)
    return figure


def _draw_facts(axes: Any, results: xarray.Dataset) -> None:
    """Each cell: facts that held of facts checked, over activations, constants and inputs."""
    names = ("base", "step_holds", "alone", "together")

    def count(name: str, what: str) -> np.ndarray:
        other = [dim for dim in results[name].dims if dim not in ("depth", "width")]
        held = results[name].sum(other) if what == "held" else results[name].count(other)
        return held.transpose("depth", "width").values

    held = sum(count(name, "held") for name in names)
    checked = sum(count(name, "checked") for name in names)
    held_shape = np.shape(held)
    axes.imshow(
        np.asarray(held == checked, float),
        cmap=ListedColormap(["#D55E00", "#B7DDEF"]),
        vmin=0,
        vmax=1,
        aspect="auto",
    )
    axes.set_xticks(np.arange(0.5, held_shape[1] - 1), minor=True)
    axes.set_yticks(np.arange(0.5, held_shape[0] - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for row, column in np.ndindex(held_shape):
        text = f"{np.asarray(held)[row, column]}\nof {np.asarray(checked)[row, column]}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9)
    axes.set_xticks(range(results.sizes["width"]), results["width"].values)
    axes.set_yticks(range(results.sizes["depth"]), results["depth"].values)
    axes.set_xlabel("width of the hidden layers")
    axes.set_ylabel("hidden layers")
    axes.set_title("Units that start identical stay so: facts that held", fontsize=11)
