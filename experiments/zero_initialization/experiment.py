"""Why zero weights never leave symmetry: the lecture's induction, checked fact by fact.

    python -m experiments.zero_initialization

For every width, depth, activation and constant: base (the start is symmetric, and so are all
activations), step (a gradient step keeps any symmetric params symmetric) and conclusion (asserted
after each step of training, alone and under vmap). Beside it: logistic regression, which may start
from zero, and a wide net of identical units, which is its one-unit net.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray
from absl import logging

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.zero_initialization import equivalent_nets, facts, promises
from experiments.zero_initialization.figure import draw_induction
from experiments.zero_initialization.tables import show, summarize, verdict

__all__ = ["EXPERIMENT"]

WIDTHS = flags.define_numbers(
    "width", (2, 3, 5, 7, 16, 37, 64, 65, 129, 257), "Hidden widths.", whole=True
)
DEPTHS = flags.define_numbers(
    "depth", (1, 2, 3, 4), "Hidden layers.", whole=True, most=flags.MOST_LAYERS
)
NAMES = flags.define_names(
    "activation", ("tanh", "sigmoid", "relu", "gelu"), names.ACTIVATIONS, "Hidden activations"
)
CONSTANTS = flags.define_numbers("constant", (0, 0.01, 0.1, 0.5), "Weights at the start.")
TASK_NAMES = flags.define_names(
    "task", ("flower", "breast_cancer"), names.BINARY_TASKS, "Data; the first one is trained on"
)
STEPS = flags.define_count(
    "steps", 20000, "Steps with one hidden layer of up to 65 units.", most=flags.MOST_STEPS
)
STEPS_BEYOND = flags.define_count(
    "steps_beyond", 2000, "Steps with more units or layers.", most=flags.MOST_STEPS
)
LEARNING_RATE = flags.define_scale("learning_rate", 0.5, "Learning rate.")
RUNS = flags.define_count("runs", 64, "Runs under one vmap: constants x learning rates.")
EXAMPLES_TOGETHER = flags.define_count("examples_together", 48, "Examples of the runs under vmap.")
DRAWS = flags.define_count("draws", 16, "Random symmetric params that the step is tried on.")
WIDE = flags.define_count("wide", 64, "Hidden units of the wide net.")
SEEDS = flags.define_count("seeds", 64, "Seeds of logistic regression.")
SMOKE = {
    "width": ["5"],
    "depth": ["1", "2"],
    "activation": ["tanh"],
    "task": ["flower"],
    "constant": ["0", "0.5"],
    "steps": 20,
    "steps_beyond": 20,
    "runs": 4,
    "draws": 2,
    "wide": 4,
    "seeds": 2,
}
LONG_WIDTH = 65
WIDE_CONSTANTS = (0.0, 0.5)
SNAPSHOTS = 20


def measure() -> xarray.Dataset:
    """Checks every fact, then trains logistic regression and the wide net."""
    if doubt := promises.not_promised(jax.devices()[0], [int(each) for each in WIDTHS.value]):
        logging.warning("%s", doubt)
    facts = _facts()
    steps = STEPS_BEYOND.value
    # The longest interval that divides the steps and leaves at least about SNAPSHOTS of them.
    every = max(count for count in range(1, steps // SNAPSHOTS + 2) if steps % count == 0)
    logistic = equivalent_nets.logistic_runs(
        initlab.tasks.moons(), SEEDS.value, steps, every, LEARNING_RATE.value
    )
    # Classes of unequal size: on equal ones the zero start is a saddle of what identical units can
    # do, which only rounding leaves, and each net's rounding is its own.
    histories = equivalent_nets.wide_and_narrow_runs(
        initlab.tasks.breast_cancer(),
        names.ACTIVATIONS["sigmoid"],
        WIDE.value,
        WIDE_CONSTANTS,
        steps=steps,
        every=every,
        learning_rate=LEARNING_RATE.value,
    )
    runs = {name: np.asarray(history.values["loss"]) for name, history in histories.items()}
    scores = {name: np.asarray(history.values["accuracy"]) for name, history in histories.items()}
    return facts.assign_coords(
        start=np.asarray(list(equivalent_nets.LOGISTIC_STARTS), dtype=object),
        net=np.asarray(list(runs), dtype=object),
        training_step=np.arange(0, steps + 1, every),
    ).assign(
        logistic_loss=(("start", "seed", "training_step"), logistic["loss"].values),
        wide_loss=(("net", "training_step"), np.stack(list(runs.values()))),
        wide_accuracy=(("net", "training_step"), np.stack(list(scores.values()))),
    )


def _facts() -> xarray.Dataset:
    widths, depths = ([int(each) for each in flag.value] for flag in (WIDTHS, DEPTHS))
    constants = [float(each) for each in CONSTANTS.value]
    rate = LEARNING_RATE.value
    # As many rates, over a factor of 50, as make --runs with the constants.
    rates = np.geomspace(rate, rate / 50, max(1, RUNS.value // len(constants)))
    nets = [
        {
            "activation": activation,
            "hidden": [width] * depth,
            "tasks": TASK_NAMES.value,
            "constants": constants,
            "steps": STEPS.value if depth == 1 and width <= LONG_WIDTH else STEPS_BEYOND.value,
            "learning_rate": rate,
            "learning_rates_together": rates.tolist(),
            "examples_together": EXAMPLES_TOGETHER.value,
            "draws": DRAWS.value,
        }
        for activation in NAMES.value
        for depth in depths
        for width in widths
    ]
    found = harness.fill(nets, _facts_of)
    dims = ("activation", "depth", "width")
    beyond = {
        "base": ("task", "constant"),
        "step_holds": ("task",),
        "alone": ("constant",),
        "moving": ("constant",),
        "together": (),
        "steps": (),
    }
    shape = (len(NAMES.value), len(depths), len(widths))
    stacked = {name: np.stack([each[name] for each in found]) for name in beyond}
    return xarray.Dataset(
        {
            name: ((*dims, *more), stacked[name].reshape(*shape, *stacked[name].shape[1:]))
            for name, more in beyond.items()
        },
        coords={
            "activation": np.asarray(NAMES.value, dtype=object),
            "depth": depths,
            "width": widths,
            "task": np.asarray(TASK_NAMES.value, dtype=object),
            "constant": constants,
        },
    )


def _facts_of(net: Mapping[str, Any]) -> dict[str, Any]:
    tasks = [names.TASKS[name]() for name in net["tasks"]]
    networks = [_network(task, net["hidden"], net["activation"]) for task in tasks]
    constants, steps, rate = net["constants"], net["steps"], net["learning_rate"]
    # The first task is trained on; under vmap on some of its examples, spread over all of them.
    network, task = networks[0], tasks[0]
    rows = np.linspace(0, len(task.x) - 1, min(net["examples_together"], len(task.x))).astype(int)
    few = initlab.tasks.from_arrays(task.x[rows], task.y[rows])
    alone, moving = facts.alone_holds(network, task, steps, constants, rate)
    return {
        "base": [
            facts.base_holds(network, task.x, constants)
            for network, task in zip(networks, tasks, strict=True)
        ],
        "step_holds": [
            facts.step_holds(network, task, rate, net["draws"])
            for network, task in zip(networks, tasks, strict=True)
        ],
        "alone": alone,
        "moving": moving,
        "together": facts.together_holds(
            network, few, steps, constants, net["learning_rates_together"]
        ),
        "steps": steps,
    }


def _network(task, hidden, activation):
    sizes = (task.x.shape[1], *hidden, 1)
    return initlab.networks.mlp(sizes, names.ACTIVATIONS[activation])


def draw(results: xarray.Dataset, settings: Settings):
    """The facts as a grid, and the curves of what stands beside them."""
    return draw_induction(results)


EXPERIMENT = harness.Experiment(
    "zero_initialization", measure, summarize, show, draw, SMOKE, verdict
)
