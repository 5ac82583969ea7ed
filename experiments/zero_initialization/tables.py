"""Facts counted by activation and depth, the losses beside them, and the verdict."""

import numpy as np
import xarray

from experiments.harness import Settings
from initlab import report

__all__ = ["show", "summarize", "verdict"]

FACTS = ("base", "step_holds", "alone", "together")
"""Booleans of the results that the induction rests on, one after another."""

SAME_LOSS = 1e-3
"""Rounding in float32, grown over a few thousand steps, stays far below it."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """How many facts held, by activation and depth; the losses of the nets beside them."""
    rows = []
    for activation in results["activation"].values:
        for depth in results["depth"].values:
            part = results.sel(activation=activation, depth=depth)
            counts = {name: [int(part[name].sum()), int(part[name].size)] for name in FACTS}
            steps = [int(part["steps"].min()), int(part["steps"].max())]
            rows.append(
                {
                    "activation": str(activation),
                    "depth": int(depth),
                    "steps": steps,
                    "moving": int(part["moving"].sum()),
                    **counts,
                }
            )
    logistic = results["logistic_loss"].isel(training_step=-1)
    wide = results["wide_loss"]
    # Each wide net is followed by its one-unit net; the random one is last.
    apart = np.abs(wide[0:-1:2].values - wide[1:-1:2].values).max()
    return {
        "widths": results["width"].values.tolist(),
        "constants": results["constant"].values.tolist(),
        "inputs": [str(name) for name in results["task"].values],
        "facts": rows,
        "broken": sum(row[name][1] - row[name][0] for row in rows for name in FACTS),
        "logistic_gap": float(logistic.max() - logistic.min()),
        "logistic_loss": {
            str(name): report.quartiles(logistic.sel(start=name).values)
            for name in results["start"].values
        },
        "wide_loss": {str(net): float(wide.sel(net=net)[-1]) for net in wide["net"].values},
        "wide_accuracy": {
            str(net): float(results["wide_accuracy"].sel(net=net)[-1]) for net in wide["net"].values
        },
        "wide_minus_one_unit": float(apart),
    }


def show(summary: dict, settings: Settings) -> str:
    """The facts by activation and depth, then what stands beside them."""
    rows = [
        {
            "activation": row["activation"],
            "hidden layers": str(row["depth"]),
            "base": _of(row["base"]),
            "step": _of(row["step_holds"]),
            "steps trained": "-".join(str(steps) for steps in sorted(set(row["steps"]))),
            "conclusion": _of(row["alone"]),
            "still moving": str(row["moving"]),
            "under vmap": _of(row["together"]),
        }
        for row in summary["facts"]
    ]
    logistic = {name: report.format_quartiles(q) for name, q in summary["logistic_loss"].items()}
    losses, scores = summary["wide_loss"], summary["wide_accuracy"]
    return "\n".join(
        [
            f"Facts that held, over widths {summary['widths']}, constants {summary['constants']} "
            f"and the inputs of {' and '.join(summary['inputs'])}.",
            "Units are compared to the last bit; `conclusion` is asserted after every step, on all",
            f"points for each constant alone, on {settings['examples_together']} of them for "
            f"{settings['runs']} runs under vmap. `still moving`: how many of",
            "the runs alone had a gradient in a hidden layer at their end; the others stood still.",
            "",
            report.format_table(rows),
            "",
            f"Logistic regression (moons): losses of all starts and seeds end within "
            f"{summary['logistic_gap']:.1g} of each other:",
            report.format_table([logistic]),
            "",
            f"{settings['wide']} sigmoid units that start identical, and their one unit "
            "(breast_cancer): the losses are never further apart than "
            f"{summary['wide_minus_one_unit']:.1g}.",
            report.format_table(
                [
                    {
                        "net": net,
                        "final loss": f"{losses[net]:.4f}",
                        "accuracy": f"{scores[net]:.1%}",
                    }
                    for net in losses
                ]
            ),
        ]
    )


def verdict(summary: dict) -> int:
    """1 if any fact is broken (by rounding, since the theorem is one of real numbers)."""
    return int(summary["broken"] > 0 or not summary["wide_minus_one_unit"] < SAME_LOSS)


def _of(count: list[int]) -> str:
    return f"{count[0]}/{count[1]}"
