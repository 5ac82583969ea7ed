"""How far the best rate moves, case by case, beside what is published."""

from typing import Any

import numpy as np
import xarray

from experiments.harness import Settings
from experiments.transfer.cases import CASES
from experiments.transfer.optimum import Movement, movement
from initlab import report

__all__ = ["judge", "movements", "show", "summarize"]


def judge(claim: str, low: float, high: float, tolerance: float) -> str:
    """Whether an interval of the slope confirms a claim.

    Args:
      claim: "moves" or "stays".
      low: lower end of the interval.
      high: upper end.
      tolerance: slopes of up to so much count as staying.

    Returns:
      "confirmed", "refuted", or "undecided" where the interval holds both.

    >>> judge("moves", -1.1, -0.8, 0.15), judge("moves", -0.2, 0.1, 0.15)
    ('confirmed', 'undecided')
    """
    stays = -tolerance <= low and high <= tolerance
    moves = low > tolerance or high < -tolerance
    if not (stays or moves):
        return "undecided"
    return "confirmed" if (claim == "stays") == stays else "refuted"


def movements(results: xarray.Dataset) -> dict[str, tuple[np.ndarray, Movement]]:
    """Sizes and movement of each case, from `loss` over (case, size, learning_rate, seed)."""
    found = {}
    for name in results["case"].values:
        # Cases have sizes and seeds of their own: NaN is one that this case has not.
        loss = results["loss"].sel(case=name).dropna("size", how="all").dropna("seed", how="all")
        loss = loss.transpose("size", "learning_rate", "seed")
        sizes = loss["size"].values
        found[str(name)] = sizes, movement(sizes, loss["learning_rate"].values, loss.values)
    return found


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """Of each case the best rates, the slope and the verdict on its claim."""
    rows = []
    for name, (sizes, found) in movements(results).items():
        case = CASES[name]
        with np.errstate(invalid="ignore"):
            typical = [
                float(np.exp(np.nanmean(np.log(each)))) if np.isfinite(each).any() else None
                for each in found.rates
            ]
        slope = found.slope
        rows.append(
            {
                "case": name,
                "task": case.task,
                "axis": case.axis,
                "sizes": [int(size) for size in sizes],
                "seeds": found.rates.shape[1],
                "best_rates": [None if each is None else each * case.rate for each in typical],
                "slope": list(slope),
                "at_end": found.at_end,
                "claim": case.claim,
                "source": case.source,
                "verdict": judge(case.claim, slope.low, slope.high, settings["tolerance"]),
            }
        )
    return {"tolerance": settings["tolerance"], "rows": rows}


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The table."""
    rows = [
        {
            "case": row["case"],
            "over": f"{row['axis']} {row['sizes'][0]} to {row['sizes'][-1]}",
            "seeds": str(row["seeds"]),
            "best rate": " ".join(
                "-" if each is None else f"{each:.2g}" for each in row["best_rates"]
            ),
            "power of size": "{:+.2f} [{:+.2f}, {:+.2f}]".format(*row["slope"]),
            "at an end": f"{row['at_end']:.0%}",
            "published": f"{row['claim']} ({row['source']})",
            "verdict": row["verdict"],
        }
        for row in summary["rows"]
    ]
    return (
        f"Best learning rate after {settings['steps']} steps by a parabola of the log loss; it "
        f"moves as\nsize^power [95 % over seeds]. Within {summary['tolerance']:g} of 0 it stays."
        f"\n\n{report.format_table(rows)}"
    )
