"""Maps over depth and scale: what trains, beside the constants and the edge of theory."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_depth_constants"]

MEASURED, PREDICTED = SERIES_COLORS[1], "white"


def draw_depth_constants(
    cells: xarray.Dataset,
    *,
    constants: Mapping[str, Mapping[str, float]],
    edges: Mapping[str, Mapping[str, Any]],
    trained_under: float,
    title: str,
) -> Figure:
    """A row for each activation: P(train) at the left, the median final loss at the right.

    Args:
      cells: `p_train` and `loss` over (activation, depth, scale).
      constants: `{activation: {name: scale}}`, drawn as lines.
      edges: `{activation: {depth: [n], predicted: {side: scales [n]}, measured: {side: [(depth,
        scale)]}}}`; NaN where theory has no edge.
      trained_under: the loss under which a run counts as trained; the colours of the loss turn
        there.
      title: the picture's.

    Returns:
      The figure. Cells have their depth and scale in their middle, both axes logarithmic.
    """
    activations = [str(name) for name in cells["activation"].values]
    figure = new_figure(15, 0.6 + 5.6 * len(activations))
    figure.suptitle(title, fontsize=14)
    losses = LogNorm(trained_under / 100, trained_under * 100)
    panels = figure.subplots(len(activations), 2, squeeze=False)
    for (left, right), name in zip(panels, activations, strict=True):
        of = cells.sel(activation=name).transpose("scale", "depth")
        shares = _draw_map(left, of["p_train"], cmap="viridis", vmin=0, vmax=1)
        # A loss of 0 and one that diverged have colours too.
        loss = of["loss"].fillna(np.inf).clip(losses.vmin, losses.vmax)
        final = _draw_map(right, loss, cmap="cividis_r", norm=losses)
        left.set_title(f"{name}: share of the seeds that train, P(train)", fontsize=11)
        right.set_title(f"{name}: final loss (nats), median over seeds", fontsize=11)
        figure.colorbar(shares, ax=left, pad=0.02)
        figure.colorbar(final, ax=right, pad=0.02, extend="both")
        for axes in (left, right):
            _draw_edges(axes, edges[name])
            _draw_constants(axes, constants[name])
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _draw_map(axes: Any, values: xarray.DataArray, **colors: Any) -> Any:
    depth, scale = values["depth"].values, values["scale"].values
    mesh = axes.pcolormesh(_bounds(depth), _bounds(scale), values.values, **colors)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(depth, [str(each) for each in depth])
    axes.minorticks_off()
    axes.set_xlabel("hidden layers")
    axes.set_ylabel("scale: standard deviation of the weights")
    return mesh


def _draw_edges(axes: Any, edges: Mapping[str, Any]) -> None:
    outline = [withStroke(linewidth=4, foreground="black")]
    label = "predicted edge: depth = 6 depth scales of theory"
    for scales in edges["predicted"].values():
        axes.plot(
            edges["depth"], scales, "--", color=PREDICTED, linewidth=2, path_effects=outline,
            label=label, scalex=False, scaley=False,
        )  # fmt: skip
        label = None
    label = "measured edge: P(train) = 1/2, interpolated"
    for points in edges["measured"].values():
        at = np.asarray(points, float).reshape(-1, 2)
        axes.plot(
            at[:, 0], at[:, 1], "-o", color=MEASURED, linewidth=2, markersize=6,
            markeredgecolor="black", path_effects=outline, label=label, scalex=False, scaley=False,
        )  # fmt: skip
        label = None


def _draw_constants(axes: Any, constants: Mapping[str, float]) -> None:
    """Lines, named at the right; constants that are one number are one line."""
    names: dict[float, list[str]] = {}
    for name, scale in constants.items():
        same = next((each for each in names if np.isclose(each, scale, rtol=1e-6)), scale)
        names.setdefault(same, []).append(name)
    bottom, top = np.log(axes.get_ylim())
    last = -np.inf
    for scale, alike in sorted(names.items()):
        axes.axhline(scale, color="white", linewidth=1, linestyle=":")
        # Text a little apart where lines are close.
        place = max((np.log(scale) - bottom) / (top - bottom), last + 0.045)
        last = place
        axes.annotate(
            " = ".join(alike),
            (1, scale),
            xycoords=axes.get_yaxis_transform(),
            xytext=(1.03, place),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "linewidth": 0.7},
        )


def _bounds(middles: np.ndarray) -> np.ndarray:
    """Cells' bounds, halfway between their middles on a logarithmic axis."""
    at = np.log(middles)
    if len(at) == 1:
        return np.exp(at + np.asarray([-0.5, 0.5]))
    inner = (at[:-1] + at[1:]) / 2
    first, last = at[0] - (inner[0] - at[0]), at[-1] + (at[-1] - inner[-1])
    return np.exp(np.concatenate([[first], inner, [last]]))
