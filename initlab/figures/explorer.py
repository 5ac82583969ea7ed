"""A dataset of results as one interactive page: hover, zoom, a slider over steps, chosen seeds."""

import html
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from initlab import checks, extras
from initlab.markup import as_data, as_script

__all__ = ["MOST_NUMBERS", "explorer_page"]

STATIC = Path(__file__).parent / "static"

MOST_NUMBERS = 1_000_000
"""So many numbers a page holds, about 8 MB; of more it has the first seeds alone."""


@checks.checked
def explorer_page(results: xarray.Dataset, *, title: str) -> str:
    """One HTML file whose reader chooses what is drawn over what, at which step, of which seeds.

    Args:
      results: numbers or truth values over named dimensions; what is neither is left out. A
        dimension "seed" is drawn as its median and 5 to 95 % quantiles, or seed by seed; one that
        is called "step" has a slider where it is not the axis.
      title: the page's.

    Returns:
      HTML that loads nothing, with plotly.js in it. NaN and infinity are gaps. Where all seeds are
      more than `MOST_NUMBERS` numbers, the first ones, and the page says how many.

    Raises:
      ValueError: if no variable can be drawn, or even one seed is more than `MOST_NUMBERS`.
    """
    # Plotly takes longer to import than all that other figures need.
    with extras.needed("initlab.figures.explorer_page"):
        from plotly import offline

    drawn = {
        str(name): variable
        for name, variable in results.data_vars.items()
        if variable.size and variable.dtype.kind in "biuf"
    }
    if not drawn:
        raise ValueError("results must have a variable of numbers, got none")
    chosen, kept = _first_seeds(xarray.Dataset(drawn))
    dimensions = {name for variable in chosen.data_vars.values() for name in variable.dims}
    data = {
        "title": title,
        "note": kept,
        "dimensions": {name: _labels(chosen, name) for name in sorted(map(str, dimensions))},
        "variables": {
            str(name): {"dims": list(map(str, variable.dims)), "values": _numbers(variable.values)}
            for name, variable in chosen.data_vars.items()
        },
    }
    page = (STATIC / "explorer.html").read_text(encoding="utf-8")
    pieces = {
        "title": html.escape(title),
        "style": (STATIC / "explorer.css").read_text(encoding="utf-8"),
        "charts": as_script(offline.get_plotlyjs()),
        "data": as_data(data),
        "script": as_script((STATIC / "explorer.js").read_text(encoding="utf-8")),
    }
    for name, piece in pieces.items():
        page = page.replace(f"<!-- page:{name} -->", piece)
    return page


def _first_seeds(results: xarray.Dataset) -> tuple[xarray.Dataset, str]:
    """As many seeds as the page holds, and what it says of it."""
    size = sum(variable.size for variable in results.data_vars.values())
    if size <= MOST_NUMBERS:
        return results, ""
    seeds = results.sizes.get("seed", 1)
    each = sum(
        variable.size // seeds if "seed" in variable.dims else variable.size
        for variable in results.data_vars.values()
    )
    count = MOST_NUMBERS // each
    if count < 1 or "seed" not in results.dims:
        raise ValueError(
            f"results must hold at most {MOST_NUMBERS:,} numbers for each seed, got {each:,}; "
            "leave variables or steps out"
        )
    return results.isel(seed=slice(count)), f"the first {count} of {seeds} seeds"


def _labels(results: xarray.Dataset, name: str) -> list[Any]:
    """A dimension's labels, as numbers where they are finite numbers, else as text."""
    values = results[name].values if name in results.coords else np.arange(results.sizes[name])
    if values.dtype.kind in "iuf" and np.isfinite(values).all():
        return values.tolist()
    return [str(value) for value in values.tolist()]


def _numbers(values: np.ndarray) -> list[float | None]:
    """Four digits of each, which a picture shows; None for what is not finite."""
    return [
        float(f"{value:.4g}") if np.isfinite(value) else None
        for value in values.astype(float).ravel().tolist()
    ]
