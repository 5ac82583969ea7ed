"""Where the first correction for a network's width stops, against the exact law of that width.

`theory.sample_finite_width` draws signals of networks of n units exactly, so that a mean over draws
is off by its standard error alone; `finite_width_correlation` and `finite_width_variance` are of
the first order in depth / width. What is compared are the means over networks of 1 - c, c the
cosine of two inputs, and of q, a signal's mean square.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray

from experiments.lab_results.question import Cell, Question
from initlab import report, theory
from initlab.types import Activation

__all__ = ["QUESTION", "find", "reach_of"]

ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
}

WIDTHS = {"full": (32, 64, 128, 256, 512, 1024), "small": (8, 16)}
DRAWS = {"full": 2048, "small": 256}
DEPTH = {"full": 96, "small": 8}
DEEPEST = 1
"""Layers over width at most."""

CORRELATION = 0.5
AT_ONCE = 1 << 22
"""Pre-activations of a layer that are drawn together."""

OFF = 0.05
"""Share by which a first order may be off."""

KINDS = {"distance": "mean 1 - c", "q": "mean q"}


def _cells(size: str, seeds: int) -> list[dict[str, Any]]:
    names = ACTIVATIONS if size == "full" else ("tanh",)
    return [
        {
            "activation": name,
            "width": width,
            "depth": min(DEPTH[size], DEEPEST * width),
            "correlation": CORRELATION,
            "draws": seeds or DRAWS[size],
        }
        for name in names
        for width in WIDTHS[size]
    ]


def find(cell: Cell) -> dict[str, Any]:
    """By layer [depth + 1]: the law's means with their standard errors, and both theories."""
    activation, width, depth = ACTIVATIONS[cell["activation"]], cell["width"], cell["depth"]
    variances = theory.critical_variances(activation)
    correlation = cell["correlation"]

    def draw(key: jax.Array) -> theory.FiniteSample:
        return theory.sample_finite_width(
            key, activation, *variances, 1.0, correlation, width, depth
        )

    keys = jax.random.split(jax.random.key(0), cell["draws"])
    together = max(1, min(cell["draws"], AT_ONCE // (2 * width)))
    found = jax.device_get(jax.jit(lambda keys: jax.lax.map(draw, keys, batch_size=together))(keys))
    count = cell["draws"] ** 0.5
    distance, q = found.cosine_distance, found.q
    band = theory.finite_width_variance(activation, *variances, 1.0, width, depth)
    wide = theory.propagate(activation, *variances, 1.0, correlation, depth)
    return {
        "distance": distance.mean(axis=0),
        "distance_error": distance.std(axis=0, ddof=1) / count,
        "distance_first": theory.finite_width_correlation(
            activation, *variances, 1.0, correlation, width, depth
        ),
        "distance_wide": 1 - wide.c,
        "q": q.mean(axis=0),
        "q_error": q.std(axis=0, ddof=1) / count,
        "q_first": band.mean,
        "q_wide": wide.q,
    }


def _assemble(cells: Sequence[Cell], found: Sequence[Mapping[str, np.ndarray]]) -> xarray.Dataset:
    names = list(dict.fromkeys(cell["activation"] for cell in cells))
    widths = sorted({cell["width"] for cell in cells})
    layers = max(cell["depth"] for cell in cells) + 1
    values = {kind: np.full((len(names), len(widths), layers), np.nan) for kind in found[0]}
    for cell, each in zip(cells, found, strict=True):
        place = names.index(cell["activation"]), widths.index(cell["width"])
        for kind, column in each.items():
            values[kind][(*place, slice(column.size))] = column
    return xarray.Dataset(
        {kind: (("activation", "width", "depth"), each) for kind, each in values.items()},
        {
            "activation": np.asarray(names, dtype=object),
            "width": widths,
            "depth": np.arange(layers),
        },
        {"draws": cells[0]["draws"]},
    )


def summarize(results: xarray.Dataset) -> dict[str, Any]:
    """For each activation and width: how deep the first order is good to 5 %, and how it goes on.

    `reach` is [depth, earliest, latest] at which the first order is off by OFF: the first at which
    it measurably is, and those where it would be were the law two standard errors away, either
    way; None where it is not in the depths that were measured. `power` is that of the width in it.
    """
    rows = []
    for name in results["activation"].values:
        for kind in KINDS:
            reaches = {}
            for width in results["width"].values:
                of = results.sel(activation=name, width=width)
                off, error = off_by(of, kind)
                measured = np.isfinite(off)
                off, error = off[measured], error[measured]
                reach = reach_of(off, error)
                reaches[int(width)] = reach
                rows.append(
                    {
                        "activation": str(name),
                        "kind": kind,
                        "width": int(width),
                        "depth": off.size - 1,
                        "reach": reach,
                        "at_deepest": [float(off[-1]), float(error[-1])],
                        "at_twentieth": _at_share(off, error, int(width)),
                    }
                )
            for row in rows[-len(reaches) :]:
                row["power"] = _power(reaches)
    return {"rows": rows, "draws": results.attrs["draws"]}


def off_by(of: xarray.Dataset, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """`first order / law - 1` by layer, and its standard error.

    Args:
      of: of one activation and width.
      kind: "distance" or "q".

    Returns:
      Two arrays [depth + 1]; NaN beyond what was measured.
    """
    law, error, first = (of[f"{kind}{part}"].values for part in ("", "_error", "_first"))
    return first / law - 1, np.abs(first) * error / law**2


def reach_of(off: np.ndarray, error: np.ndarray) -> list[int | None]:
    """The depths at which a first order is off by OFF: as measured, and at the errors' ends.

    Args:
      off: by layer, the input's first.
      error: its standard errors.

    Returns:
      `[depth, earliest, latest]`, each None where it stays within.

    >>> off, error = np.array([0.0, -0.02, -0.04, -0.06, -0.08]), np.full(5, 0.011)
    >>> reach_of(off, error)
    [3, 2, 4]
    """
    size = np.abs(off)

    def first(beyond: np.ndarray) -> int | None:
        return int(np.argmax(beyond)) if beyond.any() else None

    # The law is off the first order from some depth on, and chance may cross the line before it.
    return [first(_from_here_on(size + shift * error > OFF)) for shift in (0, 2, -2)]


def _from_here_on(beyond: np.ndarray) -> np.ndarray:
    return np.logical_and.accumulate(beyond[::-1])[::-1]


def _at_share(off: np.ndarray, error: np.ndarray, width: int) -> list[float] | None:
    """The first order's error at depth / width = 1 / 20, with its standard error."""
    depth = round(width / 20)
    if depth < 2 or depth >= off.size:
        return None
    return [float(off[depth]), float(error[depth])]


def _power(reaches: Mapping[int, list[int | None]]) -> list[float] | None:
    """Least squares of log depth over log width, with the ends that the depths' errors allow."""
    known = {width: reach for width, reach in reaches.items() if None not in reach}
    if len(known) < 3:
        return None
    widths = np.log(list(known))
    away = widths - widths.mean()
    depths, early, late = np.log(np.array(list(known.values()), float).clip(1)).T
    slope = away @ depths / (away @ away)
    # Depths are whole numbers: half of one is their own uncertainty.
    whole = 0.5 / np.exp(depths)
    spread = np.hypot((late - early) / 4, whole / 3**0.5)
    error = np.sqrt(np.sum((away * spread) ** 2)) / (away @ away)
    return [float(slope), float(slope - 1.96 * error), float(slope + 1.96 * error)]


def show(summary: Mapping[str, Any]) -> str:
    """The table: off by how much at depth / width = 1 / 20, and the depth at which by OFF."""
    rows = [
        {
            "of": KINDS[row["kind"]],
            "activation": row["activation"],
            "width": str(row["width"]),
            f"off by {OFF:.0%} at depth": _reach_text(row),
            "off at depth / width 1/20": _off_text(row["at_twentieth"]),
            "off at the deepest": f"{row['depth']}: {_off_text(row['at_deepest'])}",
            "power of width": "-"
            if row["power"] is None
            else "{:.2f} [{:.2f}, {:.2f}]".format(*row["power"]),
        }
        for row in summary["rows"]
    ]
    return (
        f"The first order in depth / width beside the exact law of {summary['draws']} networks a "
        "width, at critical\nvariances, for two inputs of correlation "
        f"{CORRELATION:g}: first order / law - 1, +- its standard error. Depths at\nwhich it is "
        f"off by {OFF:.0%}, with those of a law two standard errors away; their power of the width "
        "is 1 if\ndepth / width decides.\n\n" + report.format_table(rows)
    )


def _reach_text(row: Mapping[str, Any]) -> str:
    depth, early, late = (f"over {row['depth']}" if each is None else each for each in row["reach"])
    return f"{depth} [{early}, {late}]"


def _off_text(off: Sequence[float] | None) -> str:
    return "-" if off is None else f"{off[0]:+.1%} +- {off[1]:.1%}"


QUESTION = Question(_cells, find, _assemble, summarize, show)
