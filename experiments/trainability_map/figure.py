"""Maps of P(train), of one seed, and of the final loss, with their border and theory's line."""

from typing import Any

import matplotlib
import numpy as np
import xarray
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.trainability_map import dimensions
from experiments.trainability_map.places import kind_of
from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_dimensions", "draw_maps"]

LEAST, MOST = 1e-3, 1e3
"""Ends of the colours of the loss over the best constant's."""

DRAWN = 1024
"""Pixels of a map that are drawn along a side, evenly chosen: no panel has as many of its own."""


def draw_maps(results: xarray.Dataset, trained: str, reduction: str = "none") -> Figure:
    """A row for each zoom, activation and dtype: P(train), the first seed, the median final loss.

    Args:
      results: as `maps.reduce_runs` gives them, over zoom too; attrs x, y, seeds.
      trained: when a run counts as trained, in words.
      reduction: what `reduced` is, which is drawn where there is one.

    Returns:
      The figure, of at most DRAWN pixels a side: its memory does not grow with the map's.
    """
    seeds = results.attrs["seeds"]
    rows = [
        results.isel(zoom=zoom, activation=[name], dtype=[dtype])
        for zoom in range(results.sizes["zoom"])
        for name in range(results.sizes["activation"])
        for dtype in range(results.sizes["dtype"])
    ]
    columns = 3 + ("reduced" in results)
    figure = new_figure(4.7 * columns, 1.2 + 4.0 * len(rows))
    panels = figure.subplots(len(rows), columns, squeeze=False)
    pictures: list[Any] = []
    largest = 1.0
    if "reduced" in results:
        # All rows have one scale, since they have one bar.
        largest = float(results["reduced"].where(np.isfinite(results["reduced"]), 0).max())
    for line, of in zip(panels, rows, strict=True):
        one = of.isel(activation=0, dtype=0)
        pictures = _draw_row(line, one, results.attrs, largest)
        what = [str(of["activation"].values[0]), str(of["dtype"].values[0])]
        zoom = f", zoom 2^{int(np.log2(_span(results.isel(zoom=0)) / _span(one)) + 0.5)}"
        line[0].set_title(
            f"{', '.join(what)}{zoom if results.sizes['zoom'] > 1 else ''}: P(train), {seeds} seeds"
        )
        line[1].set_title("one seed: trained, not trained")
        line[2].set_title("median final loss / best constant's")
        if "reduced" in results:
            white = "not finite" if reduction == "least_loss" else "never"
            line[3].set_title(f"{reduction}: median; white: {white}")
    bars = {
        0: f"P(train)\n{trained}",
        2: "ratio of losses; diverged: as the largest",
        3: reduction,
    }
    for column, picture in enumerate(pictures):
        if column not in bars:
            continue
        bar = figure.colorbar(
            picture,
            ax=panels[:, column].tolist(),
            location="bottom",
            fraction=0.1 / len(rows),
            pad=0.05 / len(rows),
            aspect=30,
        )
        bar.set_label(bars[column])
    handles = [Line2D([], [], color="black", linewidth=0.8, label="P(train) = 1/2")]
    if "curve_x" in results:
        is_depth = "depth" in (results.attrs["x"], results.attrs["y"])
        label = (
            "6 xi_c, theory's trainable depth" if is_depth else "critical sigma_w of wide networks"
        )
        handles.append(Line2D([], [], color="#D55E00", linestyle="--", label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def draw_dimensions(results: xarray.Dataset) -> Figure:
    """The first map, a middle one and the last of the first seed of each case; slopes by map.

    Args:
      results: as `dimensions.measure` gives them.

    Returns:
      The figure.
    """
    names = [str(name) for name in results["case"].values]
    figure = new_figure(14, 12)
    halves: Any = figure.subfigures(2, 1, height_ratios=(2.2, 1))
    above, below = halves
    shown = sorted({0, results.sizes["map"] // 2, results.sizes["map"] - 1})
    panels = above.subplots(len(shown), len(names), squeeze=False)
    for line, number in zip(panels, shown, strict=True):
        for axes, name in zip(line, names, strict=True):
            of = results.sel(case=name).isel(seed=0, map=number)
            span = float(of["span"])
            axes.imshow(of["trained"], origin="lower", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(f"{name}: {span:.2g} decades", fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
    axes = below.subplots()
    rows = {row["case"]: row for row in dimensions.summarize(results)["rows"]}
    numbers = range(results.sizes["map"])
    for name, color in zip(names, SERIES_COLORS, strict=False):
        by_map = [np.nan if each is None else each for each in rows[name]["by_map"]]
        axes.plot(numbers, by_map, "o-", color=color, label=name)
        axes.axhline(rows[name]["published"], color=color, linestyle=":", linewidth=1)
    axes.set_xlabel(f"map, each {dimensions.SHRINK} times smaller than the one before")
    axes.set_ylabel("median slope over seeds and boxes")
    axes.set_xticks(list(numbers))
    axes.legend(frameon=False, ncols=len(names), fontsize=9)
    figure.suptitle(
        "Which runs converge (yellow), over the learning rates of the first layer (across) and the "
        "second; dotted: published dimensions"
    )
    return figure


def _draw_row(line: Any, of: xarray.Dataset, attrs: Any, largest: float) -> list[Any]:
    thinned = {axis: slice(None, None, -(-of.sizes[axis] // DRAWN)) for axis in ("x", "y")}
    of = of.isel(thinned)
    share = of["p_train"].transpose("y", "x").values
    first = of["trained"].isel(seed=0).transpose("y", "x").values.astype(float)
    loss = np.clip(of["relative_loss"].transpose("y", "x").values, LEAST, MOST)
    colors = matplotlib.colormaps["viridis"]
    x, y = of["x_coordinate"].values, of["y_coordinate"].values
    # Half a pixel beyond the ends, so that a pixel lies around its coordinate.
    edges = [
        end
        for along in (x, y)
        for end in (1.5 * along[0] - 0.5 * along[1], 1.5 * along[-1] - 0.5 * along[-2])
    ]
    style = {"extent": edges, "origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    pictures = [
        line[0].imshow(share, vmin=0, vmax=1, cmap=colors, **style),
        line[1].imshow(first, vmin=0, vmax=1, cmap=colors, **style),
        line[2].imshow(loss, norm=LogNorm(LEAST, MOST), cmap="magma_r", **style),
    ]
    if "reduced" in of:
        reduced = of["reduced"].transpose("y", "x").values
        finite = np.where(np.isfinite(reduced), reduced, np.nan)
        pictures.append(line[3].imshow(finite, vmin=0, vmax=largest, cmap=colors, **style))
    if share.min() < 0.5 <= share.max():
        line[0].contour(x, y, share, levels=[0.5], colors="black", linewidths=0.8)
    for number, axes in enumerate(line):
        if "curve_x" in of and number != 1:
            axes.plot(of["curve_x"], of["curve_y"], "--", color="#D55E00", linewidth=2)
        axes.set_xlim(edges[0], edges[1])
        axes.set_ylim(edges[2], edges[3])
        axes.set_xlabel(_label(attrs["x"]))
        axes.ticklabel_format(useOffset=True)
    line[0].set_ylabel(_label(attrs["y"]))
    return pictures


def _label(name: str) -> str:
    return f"log10 {name}" if kind_of(name).is_log else name


def _span(of: xarray.Dataset) -> float:
    return float(np.ptp(of["x_coordinate"].values))
