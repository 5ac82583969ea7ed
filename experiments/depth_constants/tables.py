"""From the cells of depth and scale to a row for each depth: constants, best scale, both edges."""

import numpy as np
import xarray

from experiments import names
from experiments.depth_constants import edges
from experiments.harness import Settings
from initlab import report

__all__ = ["show", "summarize"]


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """For each activation and depth: P(train) of the constants, the best scale, the edges.

    Args:
      results: of the experiment's `measure`.
      settings: task and examples; width; trained_fraction.

    Returns:
      The numbers of the table.
    """
    task, width = names.chosen_task(settings["task"], settings["examples"]), settings["width"]
    constant_loss = task.objective.constant_loss(task.y)
    cells = report.best_rates(results.load(), constant_loss, settings["trained_fraction"])
    seeds = results.sizes["seed"]
    groups = []
    for name in cells["activation"].values:
        of = cells.sel(activation=name)
        activation = names.ACTIVATIONS[name]
        stds = edges.constants(activation, width)
        predicted = edges.predicted_edges(activation, width, of["depth"].values)
        rows = [
            _row(of.isel(depth=n), stds, {side: at[n] for side, at in predicted.items()}, seeds)
            for n in range(of.sizes["depth"])
        ]
        shares = [row["constants"]["0.01"]["p_train"] for row in rows]
        groups.append(
            {
                "activation": str(name),
                "constants": stds,
                "stops": edges.stops_at(of["depth"].values.tolist(), shares),
                "edge_distance": edges.distances(rows),
                "rows": rows,
            }
        )
    return {
        "seeds": seeds,
        "steps": int(results["step"][-1]),
        "trained_under": settings["trained_fraction"] * constant_loss,
        "activations": groups,
    }


def show(summary: dict, settings: Settings) -> str:
    """A table for each activation, and how far the edges are from theory's.

    Args:
      summary: of `summarize`.
      settings: examples, task, width and learning_rate, for the head.

    Returns:
      The text.
    """
    said = [
        f"{settings['examples']} examples of {settings['task']}, {settings['width']} units in each "
        "hidden layer, "
        f"{summary['seeds']} seeds, {summary['steps']} steps of gradient\ndescent at the best of "
        f"the rates {', '.join(settings['learning_rate'])} over depth. "
        f"A run trained when its loss ended under\n{summary['trained_under']:.4f}; "
        "shares with 95 % intervals. Best: the constants "
        "whose interval reaches the highest one's.\nEdges: scales at which half of the seeds "
        "train, measured / predicted (depth = 6 xi)."
    ]
    for group in summary["activations"]:
        rows = [_shown(row) for row in group["rows"]]
        stds = ", ".join(f"{name} {std:.3g}" for name, std in group["constants"].items())
        said.append(f"\n\n{group['activation']}: {stds}\n\n{report.format_table(rows)}\n")
        stops = group["stops"]
        said.append(
            "0.01 trains at least half of the seeds at every depth."
            if stops is None
            else f"0.01 stops working at {stops} hidden layer{'s' if stops > 1 else ''}."
        )
        far = group["edge_distance"]
        if far["compared"]:
            bounds = f", {far['at_least']} of them at least" if far["at_least"] else ""
            said.append(
                f"\nMeasured and predicted edges differ by {far['median']:.2f} decades in the "
                f"median and {far['largest']:.2f} at most ({far['compared']} edges{bounds})."
            )
    return "".join(said)


def _row(of: xarray.Dataset, stds: dict, predicted: dict, seeds: int) -> dict:
    """One depth of one activation."""
    named = {
        name: of.sel(scale=std, method="nearest", tolerance=1e-9 * std)
        for name, std in stds.items()
    }
    counts = {name: int(each["trained"]) for name, each in named.items()}
    measured = report.measured_edges(of["scale"].values, of["p_train"].values)
    best = of.isel(scale=int(np.lexsort((of["loss"].values, -of["trained"].values))[0]))
    return {
        "depth": int(of["depth"]),
        "constants": {
            name: {
                "p_train": counts[name] / seeds,
                "p_train_interval": report.wilson_interval(counts[name], seeds),
                "loss": float(each["loss"]),
                "learning_rate": float(each["learning_rate"]),
            }
            for name, each in named.items()
        },
        "best_constants": report.tied_best(
            {name: (count, seeds) for name, count in counts.items()}
        ),
        "best_scale": {
            "scale": float(best["scale"]),
            "p_train": float(best["p_train"]),
            "loss": float(best["loss"]),
        },
        "edges": edges.compare(measured, predicted),
    }


def _shown(row: dict) -> dict[str, str]:
    cells = {"depth": str(row["depth"])}
    for name, each in row["constants"].items():
        low, high = each["p_train_interval"]
        cells[name] = f"{each['p_train']:.2f} [{low:.2f}, {high:.2f}]"
    everyone = len(row["best_constants"]) == len(row["constants"])
    cells["best"] = "all" if everyone else ", ".join(row["best_constants"]) or "none"
    best = row["best_scale"]
    cells["best scale"] = f"{best['scale']:.3g} ({best['p_train']:.2f})" if best["p_train"] else "-"
    for side, edge in row["edges"].items():
        sign = {"small": "<", "large": ">"}[side] if edge["beyond"] else ""
        measured = "none" if np.isnan(edge["measured"]) else f"{sign}{edge['measured']:.3g}"
        predicted = "none" if np.isnan(edge["predicted"]) else f"{edge['predicted']:.3g}"
        cells[f"{side} edge"] = f"{measured} / {predicted}"
        distance = edge["log10_distance"]
        cells[f"log10 {side}"] = "-" if distance is None else f"{distance:+.2f}"
    return cells
