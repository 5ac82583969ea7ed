"""Run-steps per second, by network and side, and against the number of runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_throughput"]

MARKERS = "osD^vP"


def draw_throughput(results: xarray.Dataset) -> Figure:
    """The pace of every side, with its range over the rounds; where it was measured, of many runs.

    Args:
      results: `run_seconds` over (size, side, round), `runs` and `steps` over (size, side);
        `cost_seconds` and `cost_run_seconds` over (cost_side, cost_runs), `cost_steps` over
        cost_runs. What was not measured is NaN, and left out.

    Returns:
      The figure.
    """
    has_costs = results.sizes["cost_runs"] > 0
    figure = new_figure(14 if has_costs else 7, 5.5)
    paces, *rest = figure.subplots(1, 1 + has_costs, squeeze=False).flat
    pace = results["runs"] * results["steps"] / results["run_seconds"]
    measured = [side for side in pace["side"].values if np.isfinite(pace.sel(side=side)).any()]
    colors = dict(zip(pace["side"].values, SERIES_COLORS, strict=True))
    places = np.arange(results.sizes["size"])
    for number, side in enumerate(measured):
        of = pace.sel(side=side).transpose("size", "round").values
        shown = np.isfinite(of).any(axis=1)
        of = of[shown]
        middle = np.nanmedian(of, axis=1)
        ends = np.stack([middle - np.nanmin(of, axis=1), np.nanmax(of, axis=1) - middle])
        shift = (number - (len(measured) - 1) / 2) * 0.12
        marker = MARKERS[number % len(MARKERS)]
        style = {"color": colors[side], "fmt": marker, "label": str(side), "capsize": 3}
        paces.errorbar(places[shown] + shift, middle, ends, **style)
    paces.set_xticks(places, [str(size) for size in results["size"].values])
    paces.set_yscale("log")
    paces.set_ylabel("run-steps per second")
    paces.set_title("Training runs side by side, median and range over the rounds", fontsize=11)
    paces.legend(fontsize=9)
    for costs in rest:
        _draw_costs(costs, results, colors)
    return figure


def _draw_costs(costs: Axes, results: xarray.Dataset, colors: Mapping[Any, str]) -> None:
    run_steps = results["cost_runs"] * results["cost_steps"]
    for name, style, note in (
        ("cost_run_seconds", "-o", ""),
        ("cost_seconds", ":.", ", compilation included"),
    ):
        for side in results["cost_side"].values:
            of = (run_steps / results[name]).sel(cost_side=side)
            runs, label = of["cost_runs"].values, f"{side}{note}"
            costs.plot(runs, of.values, style, color=colors[side], label=label)
    costs.set_xscale("log")
    costs.set_yscale("log")
    costs.set_xlabel("number of runs")
    costs.set_ylabel("run-steps per second")
    costs.set_title(f"{results.attrs['cost_size']} against the number of runs", fontsize=11)
    costs.legend(fontsize=9)
