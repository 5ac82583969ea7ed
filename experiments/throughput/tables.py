"""The table of the throughput: medians, ratios, shares of the peak, the cost of many runs."""

import itertools
from collections.abc import Mapping

import numpy as np
import xarray

from experiments.harness import Settings
from initlab import report

__all__ = ["WANTED", "WANTED_OVER_NUMPY", "show", "summarize"]

WANTED = {
    "2-2-1": 5,
    "2-4-1": 5,
    "2-10-5-1": 4,
    "2-16-16-1": 2.5,
    "2-64-64-1": 1.3,
    "64-128-10": 1,
    "conv": 10,
}
"""How many times as fast as plain_vmap the lab is to be on two CPU cores."""

WANTED_OVER_NUMPY = dict.fromkeys(WANTED, 1) | {"2-4-1": 15}
del WANTED_OVER_NUMPY["conv"]
"""The same for NumPy, in which no convolution is written."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """Medians over the rounds; a ratio is the median of the rounds' ratios.

    Args:
      results: what `throughput.measure` gives.
      settings: the experiment's flags.

    Returns:
      What summary.json holds.
    """
    pace = results["runs"] * results["steps"] / results["run_seconds"]
    limits = {name: float(results[name].max()) for name in ("peak", "tanh_peak")}
    share = pace * results["flops"] / limits["peak"]
    tanh_share = pace * results["functions"] / limits["tanh_peak"]
    sizes = [str(size) for size in results["size"].values]
    measured = {
        size: [
            str(side)
            for side in results["side"].values
            if np.isfinite(pace.sel(size=size, side=side)).any()
        ]
        for size in sizes
    }
    ratios = {
        str(side): {
            size: float((pace.sel(size=size, side="lab") / pace.sel(size=size, side=side)).median())
            for size in sizes
            if side in measured[size]
        }
        for side in results["side"].values
    }
    medians = {
        name: {
            size: {
                side: float(values.sel(size=size, side=side).median()) for side in measured[size]
            }
            for size in sizes
        }
        for name, values in (
            ("run_steps_per_second", pace),
            ("share_of_peak", share),
            ("share_of_tanh_limit", tanh_share),
            # A sweep is compiled in the first round, and read in the others.
            ("compile_seconds", results["compile_seconds"].isel(round=0)),
            ("runs", results["runs"]),
            ("steps", results["steps"]),
        )
    }
    lab = results["run_seconds"].sel(side="lab")
    rounds = {size: int(np.isfinite(lab.sel(size=size)).sum()) for size in sizes}
    # The required ratios are those of two CPU cores.
    on_cpu = results.attrs["platform"] == "cpu"
    return {
        "platform": results.attrs["platform"],
        "rounds": rounds,
        "cost_size": results.attrs["cost_size"],
        "ratio_to_plain_vmap": ratios["plain_vmap"],
        "ratio_to_numpy": ratios["numpy"],
        "ratios": {side: of for side, of in ratios.items() if of},
        **medians,
        "peak_flops_per_second": limits["peak"],
        "tanh_per_second": limits["tanh_peak"],
        "not_measured": {
            size: [str(side) for side in results["side"].values if side not in measured[size]]
            for size in sizes
        },
        "left_out": results.attrs["left_out"],
        "below_wanted": _below(ratios) if on_cpu else [],
        "cost": _cost_rows(results),
    }


def _below(ratios: Mapping[str, Mapping[str, float]]) -> list[dict]:
    return [
        {"size": size, "over": over, "ratio": ratio, "wanted": wanted[size]}
        for over, wanted in (("plain_vmap", WANTED), ("numpy", WANTED_OVER_NUMPY))
        for size, ratio in ratios[over].items()
        if ratio < wanted[size]
    ]


def _cost_rows(results: xarray.Dataset) -> list[dict]:
    rows = []
    for runs, side in itertools.product(results["cost_runs"].values, results["cost_side"].values):
        at = results.sel(cost_runs=runs, cost_side=side)
        rows.append(
            {
                "side": str(side),
                "runs": int(runs),
                "steps": int(at["cost_steps"]),
                "seconds": float(at["cost_seconds"]),
                "compile_seconds": float(at["cost_compile_seconds"]),
                "run_seconds": float(at["cost_run_seconds"]),
                "run_steps_per_second": float(runs * at["cost_steps"] / at["cost_run_seconds"]),
                "needs_gib": float(at["cost_gib"]),
            }
        )
    return rows


def show(summary: dict, settings: Settings) -> str:
    """Two tables: all sides, and the cost against the number of runs.

    Args:
      summary: from `summarize`.
      settings: the experiment's flags.

    Returns:
      The text.
    """
    least, most = (of(summary["rounds"].values()) for of in (min, max))
    rounds = (f"{least} to {most}" if least < most else f"{most}") + " round" + "s" * (most > 1)
    text = (
        f"Full-batch gradient descent on {summary['platform']}, median of {rounds}"
        ". lab/side: how many times as fast the lab is.\nPeak: "
        f"{summary['peak_flops_per_second'] / 1e9:.0f} GFLOP/s in a large float32 product, "
        f"{summary['tanh_per_second'] / 1e9:.2f}e9 values of tanh a second.\n\n"
    )
    text += report.format_table(_side_rows(summary))
    if summary["left_out"]:
        text += f"\n\nNot measured, for want of time or interrupted: {summary['left_out']}"
    if summary["below_wanted"]:
        text += "\n\nBelow what is wanted on two cores: " + ", ".join(
            f"{row['size']} {row['ratio']:.2f} times {row['over']} (wanted {row['wanted']})"
            for row in summary["below_wanted"]
        )
    if summary["cost"]:
        text += f"\n\nCost of {summary['cost_size']} against the number of runs:\n\n"
        text += report.format_table([_cost_cells(row) for row in summary["cost"]])
    return text


def _side_rows(summary: dict) -> list[dict[str, str]]:
    rows = []
    for size, paces in summary["run_steps_per_second"].items():
        for side, pace in paces.items():
            rows.append(
                {
                    "network": size,
                    "side": side,
                    "runs": f"{summary['runs'][size][side]:.0f}",
                    "steps": f"{summary['steps'][size][side]:.0f}",
                    "run-steps/s": f"{pace:.3g}",
                    "lab/side": f"{summary['ratios'][side][size]:.2f}",
                    "share of peak": f"{summary['share_of_peak'][size][side]:.1%}",
                    "of tanh": f"{summary['share_of_tanh_limit'][size][side]:.1%}",
                    "compile s": f"{summary['compile_seconds'][size][side]:.2f}",
                }
            )
        absent = dict.fromkeys(rows[0], "") | {"network": size, "run-steps/s": "not measured"}
        rows += [absent | {"side": side} for side in summary["not_measured"][size]]
    return rows


def _cost_cells(row: dict) -> dict[str, str]:
    is_run = np.isfinite(row["seconds"])
    return {
        "runs": str(row["runs"]),
        "steps": str(row["steps"]),
        "side": row["side"],
        "seconds": f"{row['seconds']:.2f}" if is_run else f"needs {row['needs_gib']:.0f} GiB",
        "of them compiling": f"{row['compile_seconds']:.2f}" if is_run else "",
        "running": f"{row['run_seconds']:.2f}" if is_run else "",
        "run-steps/s": f"{row['run_steps_per_second']:.3g}" if is_run else "",
    }
