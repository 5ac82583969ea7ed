"""Predicted and measured signals beside each other: differences in standard errors, the verdict."""

from typing import Any

import numpy as np
import xarray

from initlab import report

__all__ = ["KINDS", "QUANTITIES", "compare", "show", "summarize", "verdict"]

QUANTITIES = {
    "length": "length",
    "decorrelation": "1 - correlation",
    "gradient": "squared gradient",
}
"""What is compared, and what the table calls it."""

KINDS = ("wide", "finite")
"""Predicted for wide networks, and with the first correction for their width."""


def compare(results: xarray.Dataset) -> xarray.Dataset:
    """Adds `QUANTITY_error`, the standard error of the mean over seeds, and `QUANTITY_off`.

    Args:
      results: of each quantity the measurement over (activation, seed, layer) and
        `QUANTITY_predicted` over (activation, kind, layer).

    Returns:
      The same, with `QUANTITY_off = (mean - predicted) / error` over (activation, kind, layer): 0
      where the two are equal, infinite where only the error is 0.
    """
    added = {}
    for name in QUANTITIES:
        measured, predicted = results[name], results[f"{name}_predicted"]
        error = measured.std("seed", ddof=1) / np.sqrt(measured.sizes["seed"])
        gap = measured.mean("seed") - predicted
        with np.errstate(divide="ignore", invalid="ignore"):
            off = xarray.where(gap == 0, 0.0, gap / error)
        added |= {f"{name}_error": error, f"{name}_off": off.transpose(*predicted.dims)}
    return results.assign(added)


def summarize(results: xarray.Dataset) -> dict[str, Any]:
    """A row for each activation and quantity: its ends, and how many layers agree.

    Args:
      results: as `compare` gives them.

    Returns:
      The rows, and how many of those that have a finite-width term fall short.
    """
    allowed = results.attrs["errors"]
    rows = []
    for activation in results["activation"].values:
        of = results.sel(activation=activation)
        for name in QUANTITIES:
            # The last layer's gradient is the unit that the others are measured in.
            layers = slice(None, -1) if name == "gradient" else slice(None)
            at = 0 if name == "gradient" else -1
            mean = of[name].mean("seed").values[at]
            row = {
                "activation": str(activation),
                "quantity": name,
                "layer": str(of["layer"].values[at]),
                "measured": float(mean),
                "error": float(of[f"{name}_error"].values[at]),
                "layers": int(of["layer"].values[layers].size),
            }
            for kind in KINDS:
                off = np.abs(of[f"{name}_off"].sel(kind=kind).values[layers])
                known = not np.isnan(of[f"{name}_predicted"].sel(kind=kind).values).all()
                row[kind] = (
                    {
                        "predicted": float(of[f"{name}_predicted"].sel(kind=kind).values[at]),
                        "within": int(np.sum(off <= allowed)),
                        "largest": float(np.max(np.where(np.isnan(off), np.inf, off))),
                    }
                    if known
                    else None
                )
            rows.append(row)
    short = sum(
        row["finite"] is not None
        and row["finite"]["within"] < results.attrs["share"] * row["layers"]
        for row in rows
    )
    return {
        "seeds": results.sizes["seed"],
        "width": results.attrs["width"],
        "theory": results.attrs["theory"],
        "errors": allowed,
        "share": results.attrs["share"],
        "short": int(short),
        "rows": rows,
    }


def verdict(summary: dict[str, Any]) -> int:
    """1 if a quantity that is predicted for this width agrees at too few layers, else 0."""
    return int(summary["short"] > 0)


def show(summary: dict[str, Any]) -> str:
    """The table."""
    allowed = f"{summary['errors']:g}"
    rows = []
    for row in summary["rows"]:
        cells = {
            "activation": row["activation"],
            "quantity": QUANTITIES[row["quantity"]],
            "at": row["layer"],
            "measured": f"{row['measured']:.4g} +- {row['error']:.2g}",
        }
        for kind in KINDS:
            found, short = row[kind], "wide" if kind == "wide" else "this width"
            cells[f"predicted, {short}"] = f"{found['predicted']:.4g}" if found else "none"
            cells[f"within {allowed}"] = f"{found['within']}/{row['layers']}" if found else ""
            cells[f"largest, {short}"] = _number(found["largest"]) if found else ""
            if kind == "wide":
                cells["within, wide"] = cells.pop(f"within {allowed}")
        rows.append(cells)
    head = (
        f"Width {summary['width']}, {summary['seeds']} seeds. Measured: mean over seeds at one "
        "layer, and its standard error. Predicted for wide\nnetworks, and with the first "
        f"correction for this width; layers at which the mean is within {allowed} standard errors "
        "of it,\nand the largest difference in standard errors. Gradient: over that of the last "
        "hidden layer.\n\n"
    )
    tail = f"\n\n{summary['theory']}"
    if any(row["finite"] for row in summary["rows"]):
        least = f"{summary['share']:.0%}"
        tail += (
            f" {summary['short']} of {len(rows)} rows agree at fewer than {least} of their layers."
        )
    return head + report.format_table(rows) + tail


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "not finite"
