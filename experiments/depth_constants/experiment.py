"""For a very deep network you might want a different constant: which one, and what theory says.

    python -m experiments.depth_constants

Trains plain networks of 1 to 64 hidden layers on a few digits, from `randn * scale` in every layer
(the lecture's recipe: first, hidden and last layer alike) and zero biases, by gradient descent on
all examples. The scales are those of the flag and the named constants, as the standard deviations
that they give hidden weights [width, width]. Depth is known to change the learning rate that a
network bears: on the critical line the tangent kernel grows in proportion to depth (Xiao et al.
2020, arXiv:1912.13053), so each rate of the flag is divided by the depth, and each cell of the map
shows the rate that trained most of its seeds: what is left is the start's doing.

Theory is drawn over the map: where depth is six depth scales. tanh has a fixed length, and the
scale is that of correlations, xi_c. relu has none off its critical scale: there its length itself
dies out or grows by a factor in each layer, and the scale is that of the length.
"""

from typing import Any

import numpy as np
import optax
import xarray

import initlab
from experiments import harness, names
from experiments.depth_constants import edges
from experiments.depth_constants.figure import draw_depth_constants
from experiments.harness import Settings, flags
from initlab import probes, report
from initlab.initializers import by_role, normal
from initlab.types import Task

NAMES = flags.define_names("activation", ("tanh", "relu"), names.ACTIVATIONS, "Activations")
DEPTHS = flags.define_numbers(
    "depth", (1, 2, 4, 8, 16, 32, 64), "Numbers of hidden layers.", whole=True
)
WIDTH = flags.define_count("width", 32, "Units of each hidden layer.")
SCALES = flags.define_numbers(
    "scale",
    (0.001, 0.0032, 0.032, 0.056, 0.1, 0.13, 0.15, 0.21, 0.3, 0.36, 0.5, 1, 3.2, 10),
    "Std of the weights, beside those of 0.01, Glorot, He and the critical one.",
)
SEEDS = flags.define_count("seeds", 16, "Seeds for each cell.")
EXAMPLES = flags.define_count("examples", 64, "Training examples of the task.", least=2)
TASK = flags.define_name("task", "digits", names.TASKS, "Task")
STEPS = flags.define_count("steps", 300, "Steps of gradient descent.")
LEARNING_RATES = flags.define_numbers(
    "learning_rate", (0.2, 2), "Learning rates times depth; the best is taken in each cell."
)
FRACTION = flags.define_trained_fraction()
SMOKE = {
    "activation": ["tanh"],
    "depth": ["1", "4"],
    "width": 16,
    "scale": ["0.001", "0.1", "10"],
    "seeds": 4,
    "examples": 16,
    "steps": 60,
}


def measure() -> xarray.Dataset:
    """Every activation and depth is a program; scales, seeds and learning rates are swept."""
    task = _task()
    inputs, outputs = task.x.shape[1], task.objective.outputs(task.y)
    activations = {name: names.ACTIVATIONS[name] for name in NAMES.value}
    named = {
        std
        for activation in activations.values()
        for std in edges.constants(activation, WIDTH.value).values()
    }
    axes = {
        "scale": sorted({*named, *map(float, SCALES.value)}),
        "seed": range(SEEDS.value),
        "learning_rate": [float(rate) for rate in LEARNING_RATES.value],
    }

    def describe(activation, depth):
        return initlab.make_run(
            initlab.networks.mlp((inputs, *[WIDTH.value] * depth, outputs), activation),
            lambda p: by_role(weight=normal(p["scale"])),
            task,
            optimizer=lambda p: optax.sgd(p["learning_rate"] / depth),
            steps=STEPS.value,
            every=STEPS.value,
            probes=(probes.loss,),
        )

    structure = {"activation": activations, "depth": sorted(map(int, DEPTHS.value))}
    return harness.sweep(describe, axes, structure=structure)


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """For each activation and depth: P(train) of the constants, the best scale, the edges."""
    task = _task()
    constant_loss = task.objective.constant_loss(task.y)
    cells = edges.best_rates(results.load(), constant_loss, FRACTION.value)
    seeds = results.sizes["seed"]
    groups = []
    for name in cells["activation"].values:
        of = cells.sel(activation=name)
        stds = edges.constants(names.ACTIVATIONS[name], WIDTH.value)
        predicted = edges.predicted_edges(names.ACTIVATIONS[name], WIDTH.value, of["depth"].values)
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
        "trained_under": FRACTION.value * constant_loss,
        "activations": groups,
    }


def show(summary: dict, settings: Settings) -> str:
    """A table for each activation, and how far the edges are from theory's."""
    said = [
        f"{EXAMPLES.value} examples of {TASK.value}, {WIDTH.value} units in each hidden layer, "
        f"{summary['seeds']} seeds, {summary['steps']} steps of gradient\ndescent at the best of "
        f"the rates {', '.join(LEARNING_RATES.value)} over depth. A run trained when its loss ended"
        f" under\n{summary['trained_under']:.4f}; shares with 95 % intervals. Best: the constants "
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


def draw(results: xarray.Dataset, settings: Settings):
    """Maps of P(train) and of the final loss, with the constants and both edges."""
    task = _task()
    cells = edges.best_rates(results.load(), task.objective.constant_loss(task.y), FRACTION.value)
    depths = cells["depth"].values
    fine = np.geomspace(depths.min(), depths.max(), 200)
    summary = summarize(results, settings)
    found = {group["activation"]: _edges(group, fine) for group in summary["activations"]}
    return draw_depth_constants(
        cells,
        constants={each["activation"]: each["constants"] for each in summary["activations"]},
        edges=found,
        trained_under=summary["trained_under"],
        title=f"Which constant for which depth: {summary['seeds']} seeds a cell, networks of width "
        f"{WIDTH.value}, {EXAMPLES.value} examples of {TASK.value}, {summary['steps']} steps",
    )


def _task() -> Task:
    return initlab.tasks.take(names.TASKS[TASK.value](), EXAMPLES.value)


def _row(of: xarray.Dataset, stds: dict, predicted: dict, seeds: int) -> dict:
    """One depth of one activation."""
    named = {
        name: of.sel(scale=std, method="nearest", tolerance=1e-9 * std)
        for name, std in stds.items()
    }
    counts = {name: int(each["trained"]) for name, each in named.items()}
    measured = edges.measured_edges(of["scale"].values, of["p_train"].values)
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
        "best_constants": edges.tied_best({name: (count, seeds) for name, count in counts.items()}),
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


def _edges(group: dict, fine: np.ndarray) -> dict[str, Any]:
    """What the figure draws: theory's edge at every depth, the measured one where it was found."""
    rows = group["rows"]
    return {
        "depth": fine,
        "predicted": edges.predicted_edges(
            names.ACTIVATIONS[group["activation"]], WIDTH.value, fine
        ),
        "measured": {
            side: [
                (row["depth"], row["edges"][side]["measured"])
                for row in rows
                if not row["edges"][side]["beyond"] and np.isfinite(row["edges"][side]["measured"])
            ]
            for side in edges.SIDES
        },
    }


EXPERIMENT = harness.Experiment("depth_constants", measure, summarize, show, draw, SMOKE)
