"""Published beside measured: the numbers of the table, and its text."""

from collections.abc import Mapping
from typing import Any

import xarray

from experiments.harness import Settings
from experiments.published.claims import VERDICTS, interval, judge
from experiments.published.reproductions import REPRODUCTIONS
from initlab import report

__all__ = ["show", "summarize", "verdict"]


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """Each claim with the measured mean, its interval over seeds, and the verdict.

    Args:
      results: over "row": reproduction, quantity, and of the seeds measured and std.
      settings: the experiment's flags.

    Returns:
      rows, and how many have each verdict.
    """
    is_same = settings["size"] == "published"
    rows = []
    for index in range(results.sizes["row"]):
        of = results.isel(row=index)
        name, quantity = of["reproduction"].item(), of["quantity"].item()
        reproduction = REPRODUCTIONS[name]
        (claim,) = (each for each in reproduction.claims if each.quantity == quantity)
        mean, seeds = float(of["measured"]), int(of["seeds"])
        low, high = interval(mean, float(of["std"]), seeds)
        rows.append(
            {
                "reproduction": name,
                "source": reproduction.source,
                "quantity": quantity,
                "published": str(claim),
                "range": list(claim.range),
                "measured": mean,
                "low": low,
                "high": high,
                "seeds": seeds,
                "verdict": judge(claim, low, high, is_same),
            }
        )
    counts = {each: sum(row["verdict"] == each for row in rows) for each in VERDICTS}
    return {"rows": rows, **counts}


def show(summary: Mapping[str, Any], settings: Settings) -> str:
    """The table, what it is of, and the sources."""
    rows = [
        {
            "result": row["reproduction"],
            "quantity": row["quantity"],
            "published": row["published"],
            "measured [95 % interval]": _with_interval(row),
            "seeds": str(row["seeds"]),
            "verdict": row["verdict"],
        }
        for row in summary["rows"]
    ]
    chosen = dict.fromkeys(row["reproduction"] for row in summary["rows"])
    sources = "\n".join(f"{name}: {REPRODUCTIONS[name].source}" for name in chosen)
    counts = ", ".join(f"{summary[each]} {each}" for each in VERDICTS)
    note = (
        "\n\nSmall settings: published numbers are not of these, and nothing is compared."
        if settings["size"] == "small"
        else ""
    )
    return f"{report.format_table(rows)}\n\n{counts}, of {len(rows)} rows.{note}\n\n{sources}"


def verdict(summary: Mapping[str, Any]) -> int:
    """1 if a published number is not reproduced."""
    return int(summary["disagrees"] > 0)


def _with_interval(row: Mapping[str, Any]) -> str:
    mean, low, high = (
        "-" if row[name] is None else f"{row[name]:.4g}" for name in ("measured", "low", "high")
    )
    return f"{mean} [{low}, {high}]"
