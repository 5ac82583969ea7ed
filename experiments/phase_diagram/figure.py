"""The phase diagram: how gradients grow and where correlations settle, with networks on the map."""

from typing import Any

import matplotlib
import numpy as np
import xarray
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from initlab.figures.style import new_figure

__all__ = ["draw_phases"]

FACTORS = (0.25, 0.35, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 2.0, 2.8, 4.0)
"""Borders of the colours of chi1: finest where gradients neither vanish nor explode."""

DEPTHS = (3, 10, 30, 100)
"""Contours of xi_c, in layers."""


def draw_phases(results: xarray.Dataset) -> Figure:
    """Two maps over (sigma_w2, sigma_b2): chi1 and c; the critical line; networks as dots.

    Args:
      results: `map_chi1`, `map_c` and `map_xi_c` over (sigma_w2, sigma_b2), `critical_sigma_w2`
        over sigma_b2; `growth_measured` and `decorrelation_measured` over (network, seed),
        `network_sigma_w2` and `network_sigma_b2` over network; attrs activation, width, depth,
        correlation.

    Returns:
      The figure: a dot's colour is what the networks there measure, on the map's own scale.
    """
    figure = new_figure(14, 6.6)
    of = results.attrs
    figure.suptitle(
        f"{of['activation']}: order and chaos. Maps: wide networks. Dots, on the same scales: "
        f"{results.sizes['seed']} networks each, width {of['width']}, depth {of['depth']}",
        fontsize=13,
    )
    left, right = figure.subplots(1, 2, sharey=True)
    colors = matplotlib.colormaps["PuOr_r"]
    _draw_map(
        figure,
        left,
        results["map_chi1"],
        results["growth_measured"].mean("seed"),
        colors,
        BoundaryNorm(FACTORS, colors.N, extend="both"),
        "chi1: factor of the squared gradient, layer to layer",
        results,
    )
    _draw_map(
        figure,
        right,
        results["map_c"],
        1 - results["decorrelation_measured"].mean("seed"),
        matplotlib.colormaps["viridis"],
        Normalize(min(0.0, of["correlation"]), 1.0),
        f"map: c*, where correlations settle; dots: after {of['depth']} layers from "
        f"{of['correlation']:g}",
        results,
    )
    _draw_depths(left, results)
    for axes in (left, right):
        axes.set_xlabel("sigma_w2: fan_in x variance of the weights")
        axes.set_facecolor("0.85")
    left.set_ylabel("sigma_b2: variance of the biases")
    handles = [
        Line2D([], [], color="black", linewidth=3, label="critical line, chi1 = 1"),
        Line2D([], [], color="black", linewidth=0.9, linestyle="--", label="xi_c, in layers"),
        Line2D([], [], color="0.85", linewidth=8, label="q diverges: no c*"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_map(
    figure: Figure,
    axes: Any,
    values: xarray.DataArray,
    dots: xarray.DataArray,
    colors: Any,
    norm: Normalize,
    label: str,
    results: xarray.Dataset,
) -> None:
    weights, biases = results["sigma_w2"].values, results["sigma_b2"].values
    drawn = np.ma.masked_invalid(values.transpose("sigma_b2", "sigma_w2").values)
    image = axes.pcolormesh(
        weights, biases, drawn, cmap=colors, norm=norm, shading="nearest", rasterized=True
    )
    critical = results["critical_sigma_w2"].values
    inside = np.isfinite(critical) & (critical <= weights[-1])
    # relu's line is one point.
    alone = inside.sum() == 1
    axes.plot(
        critical[inside],
        biases[inside],
        "*" if alone else "-",
        color="black",
        linewidth=3,
        markersize=11,
        clip_on=not alone,
        zorder=6 if alone else 4,
    )
    axes.scatter(
        results["network_sigma_w2"],
        results["network_sigma_b2"],
        c=dots,
        cmap=colors,
        norm=norm,
        s=110,
        edgecolors="white",
        linewidths=1.6,
        clip_on=False,
        zorder=5,
    )
    # Left of the first cell nothing is computed, and grey would say that q diverges.
    axes.set_xlim(weights[0] / 2, weights[-1])
    axes.set_ylim(0, biases[-1])
    bar = figure.colorbar(image, ax=axes, location="top", shrink=0.95, aspect=35)
    bar.set_label(label)
    if isinstance(norm, BoundaryNorm):
        bar.set_ticks(FACTORS[::2], labels=[f"{each:g}" for each in FACTORS[::2]])


def _draw_depths(axes: Any, results: xarray.Dataset) -> None:
    depth = results["map_xi_c"].transpose("sigma_b2", "sigma_w2").values
    # Infinite on the critical line.
    depth = np.where(np.isnan(depth), np.nan, np.minimum(depth, 1e6))
    shown = [each for each in DEPTHS if np.nanmin(depth) < each < np.nanmax(depth)]
    if not shown:
        return
    lines = axes.contour(
        results["sigma_w2"].values,
        results["sigma_b2"].values,
        depth,
        levels=shown,
        colors="black",
        linewidths=0.9,
        linestyles="--",
    )
    axes.clabel(lines, fmt="%g", fontsize=9)
