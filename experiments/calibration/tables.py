"""What refiners did to starts that fail, as a table."""

from typing import Any

import numpy as np
import xarray

from experiments.harness import Settings
from initlab import report

__all__ = ["at_best_rates", "show", "summarize"]


def at_best_rates(results: xarray.Dataset) -> xarray.Dataset:
    """The results of each network and refiner at the learning rate that trains most seeds.

    Args:
      results: as for `summarize`.

    Returns:
      The same with `loss` over (model, refiner, seed) and learning_rate over (model, refiner).
    """
    best = report.best_rate(results["loss"], results.attrs["trained_under"])
    return results.isel(learning_rate=best)


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """For each network and refiner the best rate's losses and P(train); how many trained.

    Args:
      results: `loss` over (model, refiner, learning_rate, seed), `verdict` and `failures` over
        (model, refiner), attrs trained_under.
      settings: unused; every experiment's `summarize` takes them.

    Returns:
      seeds, trained_under, rows, and by refiner how many networks train: those with a P(train)
      whose 95 % interval lies above one half.
    """
    under, seeds = results.attrs["trained_under"], results.sizes["seed"]
    rows, trains = [], dict.fromkeys(map(str, results["refiner"].values), 0)
    best = at_best_rates(results)
    for model in results["model"].values:
        for refiner in results["refiner"].values:
            of = best.sel(model=model, refiner=refiner)
            losses = of["loss"].values
            trained = int((np.isfinite(losses) & (losses < under)).sum())
            interval = report.wilson_interval(trained, seeds)
            # Most seeds train, beyond what so few can show by chance.
            trains[str(refiner)] += interval[0] > 0.5
            rows.append(
                {
                    "model": str(model),
                    "refiner": str(refiner),
                    "verdict": str(of["verdict"].item()),
                    "failures": str(of["failures"].item()),
                    "learning_rate": float(of["learning_rate"]),
                    "loss": report.quartiles(losses),
                    "p_train": trained / seeds,
                    "interval": list(interval),
                }
            )
    return {
        "seeds": seeds,
        "trained_under": under,
        "models": results.sizes["model"],
        "trains": {name: int(count) for name, count in trains.items()},
        "rows": rows,
    }


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The training, a line for each network and refiner, how many networks each makes train.

    Args:
      summary: of `summarize`.
      settings: examples, width, steps and learning_rate, for the head.

    Returns:
      The text.
    """
    rows = [
        {
            "network": row["model"],
            "refiner": row["refiner"],
            "audit": row["verdict"],
            "final loss [quartiles]": report.format_quartiles(row["loss"]),
            "P(train) [95 % interval]": report.format_share(row["p_train"], row["interval"]),
            "rate": f"{row['learning_rate']:g}",
            "failures": row["failures"],
        }
        for row in summary["rows"]
    ]
    counts = ", ".join(
        f"{name} {count} of {summary['models']}" for name, count in summary["trains"].items()
    )
    return (
        f"{settings['examples']} digits, {settings['width']} units, {summary['seeds']} seeds, "
        f"{settings['steps']} steps of gradient descent at the best of the rates "
        f"{', '.join(settings['learning_rate'])}.\n"
        f"A run trained if its loss ended under {summary['trained_under']:.4f}.\n\n"
        + report.format_table(rows)
        + f"\n\nNetworks that train (the interval lies above one half): {counts}."
    )
