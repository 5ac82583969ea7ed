"""What libraries start a layer from, as a table."""

import math
from typing import Any

import xarray

from experiments.harness import Settings
from initlab import report

__all__ = ["MAX_DEPTH", "show", "summarize"]

# Near chi1 = 1 the depth is 6 / |1 - chi1|, and draws are within 0.6 % of their variance: what they
# put at more than 1000 layers may be critical.
MAX_DEPTH = 1000
"""Deeper networks are shown as networks of any depth."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """A dict for each layer."""
    columns = ("framework", "layer", "source", "fan", "factor", "fan_in", "sigma_w2", "bias")
    return {
        "rows": [
            {name: results[name].values[row] for name in columns}
            | {
                quantity: {
                    str(name): float(results[quantity].sel(activation=name)[row])
                    for name in results["activation"].values
                }
                for quantity in ("chi1", "depth")
            }
            for row in range(results.sizes["row"])
        ]
    }


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The table."""
    rows = []
    for row in summary["rows"]:
        law = f"{row['factor']:.3f}" + ("" if row["fan"] == "1" else f" / {row['fan']}")
        bias = row["bias"]
        rows.append(
            {
                "framework": row["framework"],
                "layer": row["layer"],
                "weights: variance": law if row["fan"] != "none" else "follows no fan",
                "fan_in Var": f"{row['sigma_w2']:.3f}",
                "biases": "none" if math.isnan(bias) else f"{bias:.3f} / fan_in" if bias else "0",
            }
            | {f"chi1 {name}": _number(value, ".2f") for name, value in row["chi1"].items()}
            | {f"depth {name}": _depth(value) for name, value in row["depth"].items()}
            | {"from": row["source"]}
        )
    return (
        "What a layer starts from where nobody says otherwise. chi1: by which factor a layer "
        "multiplies the mean\nsquared gradient, and small differences of its inputs. depth: 6 "
        f"depth scales, beyond which no signal comes\nthrough a plain network of such layers; "
        f">{MAX_DEPTH}: critical, as far as the draws can tell.\n\n"
    ) + report.format_table(rows)


def _number(value: float, digits: str) -> str:
    return "" if math.isnan(value) else f"{value:{digits}}"


def _depth(value: float) -> str:
    return f">{MAX_DEPTH}" if value > MAX_DEPTH else _number(value, ".0f")
