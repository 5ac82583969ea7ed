"""Of each map: the share that trains, how rough its border is; beside published shares."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray

from experiments.harness import Settings
from experiments.trainability_map.maps import CRITERIA
from experiments.trainability_map.runs import Setting
from initlab import report

__all__ = ["PUBLISHED", "PUBLISHED_SETTING", "show", "summarize", "verdict"]

PUBLISHED = {"tanh": 0.4917, "relu": 0.2925, "identity": 0.2532}
"""Shares of converged runs with the settings of Sohl-Dickstein's notebook, 64 x 64 pixels."""

TOLERANCE = 0.03
"""How far a mean over seeds may be from them."""

PUBLISHED_SETTING = Setting(
    network="mlp",
    width=8,
    task="gaussian",
    inputs=8,
    examples=0,
    data_seed=0,
    batch_size=0,
    steps=100,
    bias=False,
    parametrization="mean_field",
    values={"sigma_w": 1.0, "sigma_b": 0.0, "learning_rate": 1.0, "offset": 0.0, "depth": 1},
)

BORDERS = {"dimension": report.box_dimension, "uncertainty": report.uncertainty_exponent}


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """A row for each map, and the share of runs that differ between dtypes.

    Args:
      results: what the experiment's `measure` returns.
      settings: its flags.

    Returns:
      The numbers of the table. A dimension or exponent is [value, low, high], or None of a map
      without a boundary or too small for one.
    """
    rows = []
    for zoom in range(results.sizes["zoom"]):
        for name in results["activation"].values:
            for dtype in results["dtype"].values:
                of = results.isel(zoom=zoom).sel(activation=name, dtype=dtype)
                rows.append({"zoom": zoom, "activation": str(name), "dtype": str(dtype)} | _row(of))
    if settings["published"]:
        for row in rows:
            row["published"] = PUBLISHED[row["activation"]]
            row["within"] = bool(abs(row["share"] - row["published"]) <= TOLERANCE)
    return {
        "x": results.attrs["x"],
        "y": results.attrs["y"],
        "seeds": results.attrs["seeds"],
        "pixels": [results.sizes["x"], results.sizes["y"]],
        "rows": rows,
        "differ": _differing(results),
    }


def _row(of: xarray.Dataset) -> dict[str, Any]:
    share = of["p_train"].values >= 0.5
    single = of["trained"].transpose("seed", "y", "x").values
    by_seed = single.mean(axis=(1, 2))
    count = len(by_seed)
    return {
        "center": [float(of[f"{axis}_coordinate"].mean()) for axis in "xy"],
        "span": [float(np.ptp(of[f"{axis}_coordinate"].values)) for axis in "xy"],
        "share": float(of["p_train"].mean()),
        # Of the seeds that are kept one by one.
        "share_error": float(by_seed.std(ddof=1) / count**0.5) if count > 1 else None,
        "between": float(((of["p_train"] > 0) & (of["p_train"] < 1)).mean()),
        "diverged": float((of["first_nonfinite_step"] >= 0).mean()),
        "dimension": _of_border(report.box_dimension, report.boundary(share)),
        "dimension_of_seeds": _of_border(report.box_dimension, report.boundary(single)),
        "uncertainty": _of_border(report.uncertainty_exponent, share),
        "uncertainty_of_seeds": _of_border(report.uncertainty_exponent, single),
    }


def _of_border(
    measure: Callable[[np.ndarray], report.Scaling], maps: np.ndarray
) -> list[float] | None:
    try:
        found = measure(maps)
    except ValueError:
        # No boundary, or too few pixels for two sizes: there is no number.
        return None
    return [found.exponent, found.low, found.high]


def _differing(results: xarray.Dataset) -> list[dict[str, Any]]:
    """Of each map in two dtypes: which runs train in one of them alone."""
    if results.sizes["dtype"] < 2:
        return []
    found = []
    for zoom in range(results.sizes["zoom"]):
        for name in results["activation"].values:
            first, second = (
                results["trained"]
                .isel(zoom=zoom, dtype=each)
                .sel(activation=name)
                .transpose("seed", "y", "x")
                .values
                for each in (0, 1)
            )
            near = _near_border(first) | _near_border(second)
            differs = first != second
            found.append(
                {
                    "zoom": zoom,
                    "activation": str(name),
                    "runs": int(differs.size),
                    "differ": float(differs.mean()),
                    "near_border": float(near.mean()),
                    "differ_near_border": float(differs[near].mean()) if near.any() else 0.0,
                }
            )
    return found


def _near_border(maps: np.ndarray) -> np.ndarray:
    """Pixels [S, H, W] of squares that hold both kinds."""
    squares = report.boundary(maps)
    near = np.zeros_like(maps)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            near[:, rows, columns] |= squares
    return near


def show(summary: Mapping[str, Any], settings: Settings) -> str:
    """The table."""
    rows = [
        {
            "zoom": str(row["zoom"]),
            "activation": row["activation"],
            "dtype": row["dtype"],
            "trained": _with_error(row["share"], row["share_error"]),
            "0 < P < 1": f"{row['between']:.3f}",
            "dimension: P = 1/2": _with_interval(row["dimension"]),
            "of one seed": _with_interval(row["dimension_of_seeds"]),
            "uncertainty exponent: P = 1/2": _with_interval(row["uncertainty"]),
            "one seed's": _with_interval(row["uncertainty_of_seeds"]),
        }
        | (
            {
                "published": f"{row['published']:.4f}",
                "verdict": "within" if row["within"] else "OUT",
            }
            if settings["published"]
            else {}
        )
        for row in summary["rows"]
    ]
    across, down = summary["pixels"]
    text = (
        f"{summary['x']} x {summary['y']}, {across} x {down} pixels, {summary['seeds']} seeds.\n"
        f"Trained: {CRITERIA[settings['criterion']]}.\n"
        "Dimension (box counting) and uncertainty exponent: both 1 of a smooth border; 95 % "
        "intervals\nover box sizes, and over seeds where there are several maps.\n\n"
        f"{report.format_table(rows)}"
    )
    for each in summary["differ"]:
        text += (
            f"\n\nzoom {each['zoom']}, {each['activation']}: {each['differ']:.2%} of "
            f"{each['runs']} runs train in one dtype alone; of the {each['near_border']:.1%} "
            f"beside a border {each['differ_near_border']:.1%}."
        )
    return text


def verdict(summary: Mapping[str, Any]) -> int:
    """1 if a published share is out."""
    return int(any(not row.get("within", True) for row in summary["rows"]))


def _with_error(share: float, error: float | None) -> str:
    return f"{share:.4f}" if error is None else f"{share:.4f} +- {error:.4f}"


def _with_interval(found: list[float] | None) -> str:
    return "-" if found is None else "{:.2f} [{:.2f}, {:.2f}]".format(*found)
