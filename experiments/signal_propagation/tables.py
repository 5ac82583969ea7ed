"""Predicted and measured signals beside each other: differences in standard errors, the verdict."""

from typing import Any

import numpy as np
import xarray
from scipy.special import fdtrc

from experiments.harness import Settings
from initlab import report

__all__ = [
    "KINDS",
    "LAW",
    "QUANTITIES",
    "compare",
    "joint_probability",
    "show",
    "summarize",
    "verdict",
]

QUANTITIES = {
    "length": "length",
    "decorrelation": "1 - correlation",
    "gradient": "squared gradient",
}
"""What is compared, and what the table calls it."""

RARE = 0.01
"""Differences that chance makes less often are none of its."""

CHANCE = "chance: its layers are off together"
LAW = "width: as in its exact law, past the first order"
SECOND_ORDER = "width: within the square of the correction, which is of the first order"
UNEXPLAINED = "not explained"

KINDS = ("wide", "finite")
"""Predicted for wide networks, and with the first correction for their width."""


def compare(results: xarray.Dataset) -> xarray.Dataset:
    """Adds `QUANTITY_error`, the standard error of the mean over seeds, and `QUANTITY_off`.

    Args:
      results: of each quantity the measurement over (activation, seed, layer),
        `QUANTITY_predicted` over (activation, kind, layer), and over (activation, layer) the mean
        `QUANTITY_law` of networks drawn from the exact law and its standard error
        `QUANTITY_law_error`, NaN where there is none.

    Returns:
      The same, with `QUANTITY_off = (mean - predicted) / error` over (activation, kind, layer): 0
      where the two are equal, infinite where only the error is 0; and `QUANTITY_law_off`, to
      both errors.
    """
    added = {}
    for name in QUANTITIES:
        measured, predicted = results[name], results[f"{name}_predicted"]
        error = measured.std("seed", ddof=1) / np.sqrt(measured.sizes["seed"])
        gap = measured.mean("seed") - predicted
        with np.errstate(divide="ignore", invalid="ignore"):
            off = xarray.where(gap == 0, 0.0, gap / error)
        both = np.hypot(error, results[f"{name}_law_error"])
        law_off = (measured.mean("seed") - results[f"{name}_law"]) / both
        added |= {
            f"{name}_error": error,
            f"{name}_off": off.transpose(*predicted.dims),
            f"{name}_law_off": law_off.transpose(*results[f"{name}_law"].dims),
        }
    return results.assign(added)


def joint_probability(measured: np.ndarray, predicted: np.ndarray) -> float:
    """Hotelling's p: how often chance puts all layers' means together as far from the prediction.

    `T^2 = n d^T S^-1 d`, and `(n - p) / (p (n - 1)) T^2` is of F(p, n - p). Layers of one network
    hang together, so that a mean that is off by chance is off at many of them: 50 layers are not
    50 tests.

    Args:
      measured: [n seeds, p layers].
      predicted: [p].

    Returns:
      The probability; NaN unless there are more than twice as many seeds as layers.

    Source: Hotelling 1931, The generalization of Student's ratio.

    >>> stream = np.random.default_rng(0)
    >>> shared = stream.normal(size=(99, 1)) + 0.1 * stream.normal(size=(99, 3))
    >>> joint_probability(shared, np.full(3, 0.1)) > 0.05 > joint_probability(shared, np.arange(3))
    True
    """
    seeds, layers = measured.shape
    gap = measured.mean(axis=0) - predicted
    if seeds <= 2 * layers or not np.isfinite(measured).all() or not np.isfinite(gap).all():
        return float("nan")
    # In standard deviations: lengths and decorrelations of many layers differ by powers of ten.
    spread = measured.std(axis=0, ddof=1)
    if not spread.all():
        return float("nan")
    correlations = np.atleast_2d(np.corrcoef(measured, rowvar=False))
    scaled = gap / spread
    distance = seeds * scaled @ np.linalg.solve(correlations, scaled)
    ratio = (seeds - layers) / (layers * (seeds - 1)) * distance
    return float(fdtrc(layers, seeds - layers, ratio))


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """A row for each activation and quantity: its ends, and how many layers agree.

    Args:
      results: as `compare` gives them.
      settings: not read: what the table needs of them is stored with the results.

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
            row["why"] = _why(of, name, layers, row, results.attrs)
            rows.append(row)
    return {
        "seeds": results.sizes["seed"],
        "width": results.attrs["width"],
        "theory": results.attrs["theory"],
        "errors": allowed,
        "share": results.attrs["share"],
        "short": sum(row["why"] is not None for row in rows),
        "unexplained": sum(row["why"] == UNEXPLAINED for row in rows),
        "rows": rows,
    }


def _why(of: xarray.Dataset, name: str, layers: slice, row: dict, limits: dict) -> str | None:
    """Why a row that has a finite-width term agrees at too few layers; None if it does not."""
    if row["finite"] is None or row["finite"]["within"] >= limits["share"] * row["layers"]:
        return None
    if row["finite"]["chance"] > RARE:
        return CHANCE
    law = row["law"]
    if law and (law["within"] >= limits["share"] * row["layers"] or law["chance"] > RARE):
        return LAW
    wide, finite = (of[f"{name}_predicted"].sel(kind=kind).values[layers] for kind in KINDS)
    gap = np.abs(of[name].mean("seed").values[layers] - finite)
    # What a first-order term leaves out is of the order of its square.
    allowed = limits["errors"] * of[f"{name}_error"].values[layers] + (finite - wide) ** 2 / wide
    is_within = np.sum(gap <= allowed) >= limits["share"] * row["layers"]
    return SECOND_ORDER if is_within else UNEXPLAINED


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
