"""How far measured numbers are from published ones, in units of the tolerance."""

import numpy as np
import xarray
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from initlab.figures.style import SERIES_COLORS, new_figure

__all__ = ["draw_agreement"]

ONE_RUN = "|measured - published| / tolerance"
MANY_RUNS = (
    "chaotic: the larger of |middle of the range of runs - published| / half that range "
    "and their standard deviation / tolerance"
)


def draw_agreement(results: xarray.Dataset, *, title: str) -> Figure:
    """A line for each quantity, grouped by section: what its rows use of what is allowed, log axis.

    Args:
      results: over "row": `section`, `quantity`, `tolerance`, `used` (deviation / tolerance, or
        what an ensemble has in its place), `members` (runs measured, 1 where it is no ensemble),
        `within`. Rows of NaN tolerance claim no number and are not drawn.
      title: the picture's.

    Returns:
      The figure. Rows without deviation are drawn on a vertical line of their own at the left,
      those that are not finite at the right.
    """
    # Rows of kind "finite" have no tolerance to be measured in.
    drawn = results.isel(row=np.flatnonzero(np.isfinite(results["tolerance"].values)))
    section, within = drawn["section"].values, drawn["within"].values
    ratio, ensemble = drawn["used"].values, drawn["members"].values > 1
    lines, line = _lines(section, drawn["quantity"].values)
    numbers = ratio[np.isfinite(ratio) & (ratio > 0)]
    # Whole powers of 100, so that the line at 1 has a tick: deviations span twenty decades.
    exponents = np.log10([min([*numbers, 0.1]), max([*numbers, 1.0])]) / 2
    first, last = 2 * int(np.floor(exponents[0])), 2 * int(np.ceil(exponents[1])) + 2
    # Zero and infinity have no place on a log axis: lines at its ends represent them.
    nothing, largest = 10.0 ** (first - 2), 10.0**last
    at = np.where(np.isfinite(ratio), np.maximum(ratio, nothing), largest)

    figure = new_figure(12, 1.6 + 0.27 * (max(lines.values()) + 1))
    figure.suptitle(title, fontsize=14)
    axes = figure.subplots()
    axes.axvline(1, color="black", linewidth=1)
    axes.axvline(nothing, color="0.7", linewidth=1, linestyle=":")
    for number in np.unique(section):
        color = SERIES_COLORS[(number - 1) % len(SERIES_COLORS)]
        of = (section == number) & within & ~ensemble
        axes.plot(at[of], line[of], "o", color=color, markersize=6, alpha=0.6)
        rows = [place for (each, _), place in lines.items() if each == number]
        axes.axhspan(min(rows) - 0.6, max(rows) + 0.6, color=color, alpha=0.06, linewidth=0)
        axes.annotate(
            f"section {number}",
            (1, np.mean([min(rows), max(rows)])),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=color,
        )
    axes.plot(at[~within], line[~within], "X", color="black", markersize=10)
    if ensemble.any():
        chaotic = ensemble & within
        (many,) = axes.plot(
            at[chaotic], line[chaotic], "D", color="black", fillstyle="none", markersize=7
        )
        one = Line2D([], [], marker="o", color="0.5", linewidth=0)
        figure.legend(
            [one, many],
            [ONE_RUN, MANY_RUNS],
            loc="outside lower center",
            fontsize=9,
            frameon=False,
        )
    axes.set_xscale("log")
    axes.set_xlim(nothing / 3, largest * 3)
    ticks = 10.0 ** np.arange(first, last + 1, 2)
    axes.set_xticks([nothing, *ticks], ["none", *(f"{tick:g}" for tick in ticks)])
    axes.minorticks_off()
    axes.set_yticks(list(lines.values()), [quantity for _, quantity in lines], fontsize=9)
    axes.set_ylim(max(lines.values()) + 0.8, -0.8)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of what is allowed that is used; left of the line at 1 is within")
    return figure


def _lines(section: np.ndarray, quantity: np.ndarray) -> tuple[dict, np.ndarray]:
    """A place for each (section, quantity) from the top down, one left free between sections."""
    lines: dict[tuple[int, str], float] = {}
    place = -1
    for key in zip(section.tolist(), quantity.tolist(), strict=True):
        if key not in lines:
            new_section = bool(lines) and next(reversed(lines))[0] != key[0]
            place += 2 if new_section else 1
            lines[key] = float(place)
    return lines, np.asarray([lines[key] for key in zip(section, quantity, strict=True)])
