"""What breaks the symmetry of hidden units: which piece of the start, or which term of the update.

    python -m experiments.what_breaks_symmetry

The lecture's truth table. One hidden layer whose weights, biases and outgoing weights each start at
zero, constant or random, trained by gradient descent and with everything that is said to break
symmetry: for each it is measured whether units come to compute different functions, at which step,
which term of that step did it, and whether the net then learns.
"""

import itertools
from collections.abc import Sequence

import jax
import numpy as np
import xarray

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.what_breaks_symmetry import attribution, truth_table
from experiments.what_breaks_symmetry.figure import draw_breaking
from experiments.what_breaks_symmetry.tables import show, summarize, trained_under, verdict
from experiments.what_breaks_symmetry.training import (
    PIECES,
    Problem,
    Start,
    Treatment,
    start_params,
)
from initlab.initializers import constant, normal, zeros

__all__ = ["EXPERIMENT"]

TASK = flags.define_name("task", "flower", names.BINARY_TASKS, "Data")
HIDDEN = flags.define_count("hidden", 4, "Hidden units.", least=2)
NAMES = flags.define_names(
    "activation", ("tanh", "sigmoid", "relu"), names.ACTIVATIONS, "Hidden activations"
)
SEEDS = flags.define_count("seeds", 8, "Seeds for each cell.")
STEPS = flags.define_count("steps", 1000, "Steps of each run.", most=flags.MOST_STEPS)
CONSTANT = flags.define_scale("constant", 0.5, "Value of a constant piece of a start.")
SCALE = flags.define_scale("scale", 0.5, "Std of a random piece.")
LEARNING_RATE = flags.define_scale("learning_rate", 1.2, "Learning rate; Adam has its own.")
ADAM_LEARNING_RATE = flags.define_scale("adam_learning_rate", 0.05, "Adam's learning rate.")
MINIBATCH = flags.define_share("minibatch", 0.1, "Share of the examples in a minibatch.")
MOMENTUM = flags.define_share(
    "momentum", 0.9, "Momentum; its learning rate is (1 - momentum) times the others'."
)
WEIGHT_DECAY = flags.define_scale("weight_decay", 1e-4, "Weight decay.")
INPUT_NOISE = flags.define_scale("input_noise", 0.1, "Std of the noise on the inputs.")
LABEL_NOISE = flags.define_share("label_noise", 0.05, "Share of labels turned over.")
DROPOUT = flags.define_share("dropout", 0.1, "Share of hidden units left out.")
flags.define_scale(
    "trained_fraction", 0.5, "A run learned if its loss ends under this share of a constant's."
)
SMOKE = {"seeds": 2, "steps": 10, "activation": ["relu"]}


def treatments() -> dict[str, Treatment]:
    """Every treatment by its name: gradient descent, and gradient descent with one thing more."""
    rate = LEARNING_RATE.value
    return {
        "full batch": Treatment(rate),
        "minibatch": Treatment(rate, minibatch=MINIBATCH.value),
        # Of a constant gradient, momentum m sums to 1 / (1 - m) of it: the same step in the end.
        "momentum": Treatment(rate * (1 - MOMENTUM.value), momentum=MOMENTUM.value),
        "Adam": Treatment(ADAM_LEARNING_RATE.value, adam=1.0),
        "weight decay": Treatment(rate, weight_decay=WEIGHT_DECAY.value),
        "input noise": Treatment(rate, input_noise=INPUT_NOISE.value),
        "label noise": Treatment(rate, label_noise=LABEL_NOISE.value),
        "dropout": Treatment(rate, dropout=DROPOUT.value),
    }


def measure() -> xarray.Dataset:
    """Every activation's runs: one program each."""
    task = names.BINARY_TASKS[TASK.value]()
    tried = treatments()
    networks = {
        name: initlab.networks.mlp((task.x.shape[1], HIDDEN.value, 1), names.ACTIVATIONS[name])
        for name in NAMES.value
    }
    starts = start_params(
        networks[NAMES.value[0]].specs,
        range(SEEDS.value),
        # The last piece varies fastest, as in the axes of the results.
        list(itertools.starmap(Start, itertools.product(range(len(PIECES)), repeat=3))),
        (zeros(), constant(CONSTANT.value), normal(SCALE.value)),
    )
    found = [
        attribution.run_all(
            Problem(networks[name], task),
            STEPS.value,
            range(SEEDS.value),
            starts,
            Treatment(*np.asarray(list(tried.values()), np.float32).T),
        )
        for name in harness.track(list(networks), "activations")
    ]
    arrays = jax.tree.map(lambda *each: np.stack(each), *found)
    return _label(arrays, NAMES.value, list(tried))


def _label(
    found: attribution.Found, activations: Sequence[str], tried: Sequence[str]
) -> xarray.Dataset:
    """Arrays [activation, seed, start, treatment, ...] with names on their axes."""
    dims = ("activation", "treatment", *truth_table.STARTS, "seed")
    pieces = (len(PIECES),) * 3

    def named(array: np.ndarray) -> tuple:
        split = array.reshape(*array.shape[:2], *pieces, *array.shape[3:])
        moved = np.moveaxis(split, (5, 1), (1, 5))
        return (dims if moved.ndim == 6 else (*dims, "term"), moved)

    arrays = found._asdict()
    for name in ("apart", "broken"):
        event = arrays.pop(name)
        arrays |= {f"{name}_{field}": array for field, array in event._asdict().items()}
    arrays["visible_step"] = arrays.pop("visible")
    return xarray.Dataset(
        {name: named(array) for name, array in arrays.items()},
        coords={
            "activation": np.asarray(activations, dtype=object),
            "treatment": np.asarray(tried, dtype=object),
            **{name: np.asarray(PIECES, dtype=object) for name in truth_table.STARTS},
            "seed": np.arange(found.loss.shape[1]),
            "term": np.asarray(attribution.TERMS, dtype=object),
        },
    )


def draw(results: xarray.Dataset, settings: Settings):
    """The truth table in colours."""
    return draw_breaking(
        truth_table.cells(results, trained_under(settings)),
        outcomes=truth_table.OUTCOMES,
        legend=truth_table.LEGEND,
    )


EXPERIMENT = harness.Experiment(
    "what_breaks_symmetry",
    measure,
    summarize,
    show,
    draw,
    SMOKE,
    verdict,
    judging=frozenset({"trained_fraction"}),
)
