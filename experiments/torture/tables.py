"""What came of the kills: the table, and the verdict."""

import numpy as np
import xarray

from experiments.harness import Settings
from experiments.torture import kills, places
from initlab import exits, report

__all__ = ["show", "summarize", "verdict"]

STOP_WITHIN = 20.0
"""Seconds within which the others must stop where one process has ended."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """Kills by processes and signal, and what came of them."""
    rows = []
    for count in np.unique(results["processes"]):
        for number, name in enumerate(kills.SIGNALS):
            of = results.isel(
                kill=((results["processes"] == count) & (results["signal"] == number)).values
            )
            alone = of["alone"].values
            if of.sizes["kill"]:
                rows.append(
                    {
                        "processes": int(count),
                        "signal": name,
                        "kills": of.sizes["kill"],
                        **{
                            place.replace(" ", "_"): int((of["place"] == index).sum())
                            for index, place in enumerate(places.PLACES)
                        },
                        "left_alone": int(np.isfinite(alone).sum()),
                        "longest_alone": float(np.nanmax(alone, initial=0.0)),
                    }
                )
    totals = ("datasets", "failed", "refused", "stuck", "differing_bytes")
    return {
        "kills": results.sizes["kill"],
        **{name: int(results[name].sum()) for name in totals},
        "longest_alone": max(row["longest_alone"] for row in rows),
        "rows": rows,
    }


def show(summary: dict, settings: Settings) -> str:
    """The table and the verdict in words."""
    rows = [
        {
            "processes": str(row["processes"]),
            "signal": row["signal"],
            "kills": str(row["kills"]),
            **{place: str(row[place.replace(" ", "_")]) for place in places.PLACES},
            "others left alone": str(row["left_alone"]),
            "longest, s": f"{row['longest_alone']:.1f}" if row["left_alone"] else "",
        }
        for row in summary["rows"]
    ]
    return (
        f"{report.format_table(rows)}\n\n"
        f"{summary['kills']} kills; of {summary['datasets']} finished sweeps "
        f"{summary['differing_bytes']} bytes differ from those of an uninterrupted one, "
        f"{summary['failed']} could not be finished, {summary['refused']} processes ended badly by "
        f"themselves, {summary['stuck']} did not end."
    )


def verdict(summary: dict) -> int:
    """FAILED if a bit differs, a sweep is lost, or a process does not stop in time."""
    wrong = any(summary[name] for name in ("differing_bytes", "failed", "refused", "stuck"))
    is_late = summary["longest_alone"] > STOP_WITHIN
    return exits.FAILED if wrong or is_late else exits.PASSED
