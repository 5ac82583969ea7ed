"""Which rows of predicted and measured signals agree, why others do not, and the verdict."""

from typing import Any

import numpy as np
import xarray

from experiments.harness import Settings
from initlab import report
from initlab.signals import KINDS, QUANTITIES, joint_probability

__all__ = ["LAW", "show", "summarize", "verdict"]

TITLES = dict(zip(QUANTITIES, ("length", "1 - correlation", "squared gradient"), strict=True))
"""What the table calls what is compared."""

RARE = 0.01
"""The joint probability above which differences count as chance."""

CHANCE = "chance: its layers are off together"
LAW = "width: as in its exact law, past the first order"
SECOND_ORDER = "width: within the square of the correction, which is of the first order"
UNEXPLAINED = "not explained"


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """A row for each activation and quantity: its ends, and how many layers agree.

    Args:
      results: as `signals.compare` returns them.
      settings: "errors", the standard errors within which a layer agrees, and "share", of the
        layers that must.

    Returns:
      The rows, and how many of those that have a finite-width term fall short.
    """
    allowed, share = settings["errors"], settings["share"]
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
                        "chance": joint_probability(
                            of[name].transpose("seed", "layer").values[:, layers],
                            of[f"{name}_predicted"].sel(kind=kind).values[layers],
                        ),
                    }
                    if known
                    else None
                )
            law_off = np.abs(of[f"{name}_law_off"].values[layers])
            row["law"] = None
            if not np.isnan(law_off).all():
                row["law"] = {
                    "predicted": float(of[f"{name}_law"].values[at]),
                    "error": float(of[f"{name}_law_error"].values[at]),
                    "within": int(np.sum(law_off <= allowed)),
                    "chance": joint_probability(
                        of[name].transpose("seed", "layer").values[:, layers],
                        of[f"{name}_law"].values[layers],
                    ),
                }
            row["why"] = _why(of, name, layers, row, allowed, share)
            rows.append(row)
    return {
        "seeds": results.sizes["seed"],
        "width": results.attrs["width"],
        "theory": results.attrs["theory"],
        "errors": allowed,
        "share": share,
        "short": sum(row["why"] is not None for row in rows),
        "unexplained": sum(row["why"] == UNEXPLAINED for row in rows),
        "rows": rows,
    }


def _why(
    of: xarray.Dataset, name: str, layers: slice, row: dict, errors: float, share: float
) -> str | None:
    """Why a row that has a finite-width term agrees at too few layers; None if at enough."""
    least = share * row["layers"]
    if row["finite"] is None or row["finite"]["within"] >= least:
        return None
    if row["finite"]["chance"] > RARE:
        return CHANCE
    law = row["law"]
    if law and (law["within"] >= least or law["chance"] > RARE):
        return LAW
    wide, finite = (of[f"{name}_predicted"].sel(kind=kind).values[layers] for kind in KINDS)
    gap = np.abs(of[name].mean("seed").values[layers] - finite)
    # What a first-order term leaves out is of the order of its square.
    allowed = errors * of[f"{name}_error"].values[layers] + (finite - wide) ** 2 / wide
    return SECOND_ORDER if np.sum(gap <= allowed) >= least else UNEXPLAINED


def verdict(summary: dict[str, Any]) -> int:
    """1 if a quantity that is predicted for this width is off and nothing explains it, else 0."""
    return int(summary["unexplained"] > 0)


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The table."""
    allowed = f"{summary['errors']:g}"
    rows = []
    for row in summary["rows"]:
        cells = {
            "activation": row["activation"],
            "quantity": TITLES[row["quantity"]],
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
            else:
                cells["chance"] = _chance(found["chance"]) if found else ""
        law = row["law"]
        cells["exact law"] = f"{law['predicted']:.4g} +- {law['error']:.2g}" if law else ""
        cells["within, law"] = f"{law['within']}/{row['layers']}" if law else ""
        cells["chance, law"] = _chance(law["chance"]) if law else ""
        if summary["short"]:
            cells["too few layers"] = row["why"] or ""
        rows.append(cells)
    head = (
        f"Width {summary['width']}, {summary['seeds']} seeds. Measured: mean over seeds at one "
        "layer, and its standard error. Predicted for wide\nnetworks, and with the first "
        f"correction for this width; layers at which the mean is within {allowed} standard errors "
        "of it,\nand the largest difference in standard errors. Gradient: over that of the last "
        "hidden layer. Chance: how often all\nlayers together come to be as far off if theory is "
        "right; layers of one network are off together. Exact law:\nthe mean of networks drawn "
        "without their weights, which knows all orders; within of both errors.\n\n"
    )
    tail = f"\n\n{summary['theory']}"
    if any(row["finite"] for row in summary["rows"]):
        least = f"{summary['share']:.0%}"
        tail += (
            f" {summary['short']} of {len(rows)} rows agree at fewer than {least} of their layers,"
            f" {summary['unexplained']} of them\nfor no reason that is known."
        )
    return head + report.format_table(rows) + tail


def _chance(value: float) -> str:
    if np.isnan(value):
        return "few seeds"
    return f"{value:.1%}" if value >= 0.001 else "under 0.1%"


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "not finite"
