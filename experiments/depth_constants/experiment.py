"""For a very deep network you might want a different constant: which one, and what theory says.

    python -m experiments.depth_constants

Trains plain networks of 1 to 64 hidden layers on a few digits, from `randn * scale` in every layer
(the lecture's recipe: first, hidden and last layer alike) and zero biases, by gradient descent on
all examples. The scales are those of the flag and the named constants, as the standard deviations
that they give hidden weights [width, width]. Depth is known to change the learning rate that a
network bears: on the critical line the tangent kernel grows in proportion to depth (Xiao et al.
2020, arXiv:1912.13053), so each rate of the flag is divided by the depth, and each cell of the map
shows the rate that trained most of its seeds: what is left is the start's doing.

Theory is drawn over the map: where depth is six depth scales. The mean square of tanh's
pre-activations has a fixed point, and the scale is that of correlations, xi_c. relu's has none off
its critical scale: there the mean square itself vanishes or grows by a factor in each layer, and
the scale is that of its growth.
"""

from typing import Any

import numpy as np
import optax
import xarray

import initlab
from experiments import harness, names
from experiments.depth_constants import edges
from experiments.depth_constants.figure import draw_depth_constants
from experiments.depth_constants.tables import show, summarize
from experiments.harness import Settings, flags
from initlab import probes, report
from initlab.initializers import by_role, normal

__all__ = ["EXPERIMENT"]

NAMES = flags.define_names("activation", ("tanh", "relu"), names.ACTIVATIONS, "Activations")
DEPTHS = flags.define_numbers(
    "depth",
    (1, 2, 4, 8, 16, 32, 64),
    "Numbers of hidden layers.",
    whole=True,
    most=flags.MOST_LAYERS,
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
STEPS = flags.define_count("steps", 300, "Steps of gradient descent.", most=flags.MOST_STEPS)
LEARNING_RATES = flags.define_numbers(
    "learning_rate", (0.2, 2), "Learning rates times depth; the best is taken in each cell."
)
flags.define_trained_fraction()  # read by the table, from the settings
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
    task = names.chosen_task(TASK.value, EXAMPLES.value)
    inputs, outputs = task.x.shape[1], task.objective.outputs(task.y)
    activations = {name: names.ACTIVATIONS[name] for name in NAMES.value}
    named = [
        std
        for activation in activations.values()
        for std in edges.constants(activation, WIDTH.value).values()
    ]
    axes = {
        "scale": edges.distinct_scales([*map(float, SCALES.value), *named]),
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


def draw(results: xarray.Dataset, settings: Settings):
    """Maps of P(train) and of the final loss, with the constants and both edges."""
    task = names.chosen_task(settings["task"], settings["examples"])
    constant_loss = task.objective.constant_loss(task.y)
    cells = report.best_rates(results.load(), constant_loss, settings["trained_fraction"])
    depths = cells["depth"].values
    fine = np.geomspace(depths.min(), depths.max(), 200)
    summary = summarize(results, settings)
    found = {
        group["activation"]: _edges(group, settings["width"], fine)
        for group in summary["activations"]
    }
    return draw_depth_constants(
        cells,
        constants={each["activation"]: each["constants"] for each in summary["activations"]},
        edges=found,
        trained_under=summary["trained_under"],
        title=f"Which constant for which depth: {summary['seeds']} seeds a cell, networks of width "
        f"{settings['width']}, {settings['examples']} examples of {settings['task']}, "
        f"{summary['steps']} steps",
    )


def _edges(group: dict, width: int, fine: np.ndarray) -> dict[str, Any]:
    """What the figure draws: theory's edge at every depth, the measured one where it was found."""
    rows = group["rows"]
    return {
        "depth": fine,
        "predicted": edges.predicted_edges(names.ACTIVATIONS[group["activation"]], width, fine),
        "measured": {
            side: [
                (row["depth"], row["edges"][side]["measured"])
                for row in rows
                if not row["edges"][side]["beyond"] and np.isfinite(row["edges"][side]["measured"])
            ]
            for side in edges.SIDES
        },
    }


EXPERIMENT = harness.Experiment(
    "depth_constants",
    measure,
    summarize,
    show,
    draw,
    SMOKE,
    judging=frozenset({"trained_fraction"}),
)
