"""The pictures of the lab's own results."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure

from experiments.lab_results import first_order, riddling, small_starts
from initlab.figures.style import SERIES_COLORS, new_figure, ordered_colors

__all__ = ["PICTURES"]


def draw_escape(results: xarray.Dataset) -> Figure:
    """Time of the escape, growth until then, and growth against distance."""
    figure = new_figure(14, 5)
    panels = figure.subplots(1, 3)
    inverse = results["inverse_scale"].values
    markers = dict(zip(results["activation"].values, "osD^", strict=False))
    for net in range(results.sizes["net"]):
        of = results.isel(net=net)
        color = SERIES_COLORS[int(of["small"]) - 2]
        for name, marker in markers.items():
            one = of.sel(activation=name)
            time, growth, distance = (
                one[kind].transpose("seed", "inverse_scale").values
                for kind in ("time", "growth", "distance")
            )
            style = {"color": color, "marker": marker, "markersize": 3, "linewidth": 0.7}
            middle, error = _mean_error(np.log(time))
            ends = [
                np.exp(middle) - np.exp(middle - error),
                np.exp(middle + error) - np.exp(middle),
            ]
            panels[0].errorbar(inverse, np.exp(middle), yerr=ends, **style)
            middle, error = _mean_error(growth)
            panels[1].errorbar(inverse, middle, yerr=error, **style)
            panels[2].errorbar(_mean_error(distance)[0], middle, yerr=error, **style)
    panels[0].set_yscale("log")
    panels[0].set_ylabel("time until the loss falls")
    panels[1].set_ylabel("logarithm of what a difference has grown by")
    panels[2].set_ylabel("logarithm of what a difference has grown by")
    panels[2].set_xlabel("logarithm of what the small layers have grown by")
    for axes in panels[:2]:
        axes.set_xscale("log")
        axes.set_xlabel("1 / eps")
    longest = np.log(inverse[-1])
    panels[1].plot(inverse, np.log(inverse) - 1, "--", color="black", label="log(1 / eps) - 1")
    panels[2].plot([0, longest], [-1, longest - 1], "--", color="black", label="slope 1")
    for axes in panels[1:]:
        axes.legend(frameon=False)
    small = sorted(set(results["small"].values.tolist()))
    for each in small:
        panels[0].plot([], [], color=SERIES_COLORS[each - 2], label=f"r = {each} small layers")
    for name, marker in markers.items():
        panels[0].plot([], [], marker, color="0.4", label=str(name))
    panels[0].legend(frameon=False, fontsize=9)
    figure.suptitle(
        "How long a symmetric start stays depends on how many layers are small; how far its units "
        "part does not (bars: standard errors over seeds)"
    )
    return figure


def _mean_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the seeds that escaped, and its standard error, by scale."""
    count = np.isfinite(values).sum(axis=0)
    return np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1) / count**0.5


def draw_small_starts(results: xarray.Dataset) -> Figure:
    """The share against the scale, and the last losses."""
    figure = new_figure(11, 4.5)
    left, right = figure.subplots(1, 2)
    rows = small_starts.summarize(results)["rows"]
    stds = [row["std"] for row in rows]
    shares = np.array([row["reached"] / row["runs"] for row in rows])
    low, high = np.array([row["interval"] for row in rows]).T
    errors = np.clip([shares - low, high - shares], 0, None)
    left.errorbar(stds, shares, yerr=errors, fmt="o-", capsize=3, color=SERIES_COLORS[0])
    left.set_ylim(0, 1)
    left.set_ylabel(f"P(loss < {small_starts.TARGET:g})")
    spread = np.random.default_rng(0).uniform(-0.15, 0.15, results.sizes["seed"])
    for std in stds:
        losses = results["last_loss"].sel(std=std).values
        right.plot(std * 10**spread, losses, ".", markersize=2, color=SERIES_COLORS[0], alpha=0.5)
    right.axhline(small_starts.TARGET, color="0.5", linewidth=0.8)
    right.set_yscale("log")
    right.set_ylabel("loss of each seed at its end")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("standard deviation of the start")
    figure.suptitle(
        f"{results.sizes['seed']} seeds of each scale, {results.attrs['after']} steps after the "
        "plateau"
    )
    return figure


def draw_first_order(results: xarray.Dataset) -> Figure:
    """A column for each activation, a row for each quantity: the error against depth / width."""
    names = results["activation"].values
    figure = new_figure(3.6 * len(names), 7)
    panels = figure.subplots(
        len(first_order.KINDS), len(names), squeeze=False, sharex=True, sharey="row"
    )
    widths = results["width"].values
    for line, (kind, said) in zip(panels, first_order.KINDS.items(), strict=True):
        for axes, name in zip(line, names, strict=True):
            for width, color in zip(widths, ordered_colors(len(widths)), strict=True):
                off, error = first_order.off_by(results.sel(activation=name, width=width), kind)
                share = results["depth"].values / width
                axes.fill_between(
                    share, off - 2 * error, off + 2 * error, color=color, alpha=0.2, linewidth=0
                )
                axes.plot(share, off, color=color, linewidth=1, label=f"{width} units")
            axes.axhspan(-first_order.OFF, first_order.OFF, color="0.9", zorder=0)
            axes.set_xscale("log")
            axes.set_xlim(0.5 / widths[-1], first_order.DEEPEST)
            axes.set_ylim(-0.5, 0.5)
        line[0].set_ylabel(f"{said}: first order / law - 1")
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(str(name))
    for axes in panels[-1]:
        axes.set_xlabel("depth / width")
    panels[0, 0].legend(frameon=False, fontsize=8, loc="lower left")
    figure.suptitle(
        "Where the first correction for the width stops: bands are two standard errors, grey is "
        f"{first_order.OFF:.0%}"
    )
    return figure


def draw_riddling(results: xarray.Dataset) -> Figure:
    """The exponent and the share against the distance; windows of the largest distances."""
    rows = riddling.summarize(results)["rows"]
    settings = list(zip(results["rate"].values, results["batch"].values, strict=True))
    distances = results["distance"].values[:4]
    figure = new_figure(3.2 * max(len(distances), 3), 3.4 + 2.6 * len(settings))
    halves: Any = figure.subfigures(2, 1, height_ratios=(3.4, 2.6 * len(settings)))
    above, below = halves
    exponents, shares = above.subplots(1, 2)
    for setting, color in zip(settings, SERIES_COLORS, strict=False):
        of = [row for row in rows if (row["rate"], row["batch"]) == setting]
        known = [row for row in of if row["exponent"]]
        if known:
            value, low, high = np.array([row["exponent"] for row in known]).T
            exponents.errorbar(
                [row["distance"] for row in known],
                value,
                yerr=np.clip([value - low, high - value], 0, None),
                fmt="o-",
                capsize=3,
                color=color,
            )
        value, low, high = np.array([row["share"] for row in of]).T
        shares.errorbar(
            [row["distance"] for row in of],
            value,
            yerr=[value - low, high - value],
            fmt="o-",
            capsize=3,
            color=color,
            label="learning rate {:g}, minibatches of {:d}".format(*setting),
        )
    exponents.axhline(1, color="0.5", linewidth=0.8)
    exponents.set_ylim(-0.1, 1.3)
    exponents.set_ylabel("uncertainty exponent")
    shares.set_ylabel("share whose units end apart")
    shares.set_ylim(0, 1)
    shares.legend(frameon=False)
    for axes in (exponents, shares):
        axes.set_xscale("log")
        axes.set_xlabel("distance from the plane of equal units")
    panels = below.subplots(len(settings), len(distances), squeeze=False)
    for number, (line, (rate, batch)) in enumerate(zip(panels, settings, strict=True)):
        for axes, distance in zip(line, distances, strict=True):
            apart = riddling.is_apart(
                results["spread"].isel(setting=number).sel(distance=distance).values
            )
            # The window that is most evenly mixed: others have less of a border.
            most = int(np.argmin(np.abs(apart.mean(axis=(1, 2)) - 0.5)))
            axes.imshow(apart[most], origin="lower", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(f"rate {rate:g}, batch {batch}, distance {distance:g}", fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
    figure.suptitle(
        "Starts whose units become copies (dark) and whose do not, at several distances from the "
        "plane of equal units"
    )
    return figure


PICTURES: dict[str, Callable[[xarray.Dataset], Figure]] = {
    "escape": draw_escape,
    "small_starts": draw_small_starts,
    "first_order": draw_first_order,
    "riddling": draw_riddling,
}
"""By question."""
