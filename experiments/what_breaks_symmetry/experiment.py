"""What breaks the symmetry of hidden units: which piece of the start, or which term of the update.

    python -m experiments.what_breaks_symmetry

The lecture's truth table. One hidden layer whose weights, biases and outgoing weights each start at
zero, constant or random, trained by gradient descent and with everything that is said to break
symmetry: for each it is measured whether units come to compute different functions, at which step,
which term of that step did it, and whether the net then learns.
"""

import itertools

import jax
import numpy as np
import xarray
from tqdm import tqdm

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.what_breaks_symmetry import attribution, truth_table
from experiments.what_breaks_symmetry.figure import draw_breaking
from experiments.what_breaks_symmetry.training import PIECES, Lesson, Start, Treatment, start_params
from initlab import report
from initlab.initializers import constant, normal, zeros

TASK = flags.define_name("task", "flower", names.BINARY_TASKS, "Data")
HIDDEN = flags.define_count("hidden", 4, "Hidden units.", least=2)
NAMES = flags.define_names(
    "activation", ("tanh", "sigmoid", "relu"), names.ACTIVATIONS, "Hidden activations"
)
SEEDS = flags.define_count("seeds", 8, "Seeds for each cell.")
STEPS = flags.define_count("steps", 1000, "Steps of each run.")
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
FRACTION = flags.define_scale(
    "trained_fraction", 0.5, "A run learned if its loss ends under this share of a constant's."
)
SMOKE = {"seeds": 2, "steps": 10, "activation": ["relu"]}


def treatments() -> dict[str, Treatment]:
    """Every treatment by its name: gradient descent, and gradient descent with one thing more."""
    rate = LEARNING_RATE.value
    return {
        "full batch": Treatment(rate),
        "minibatch": Treatment(rate, minibatch=MINIBATCH.value),
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
            Lesson(networks[name], task),
            STEPS.value,
            range(SEEDS.value),
            starts,
            Treatment(*np.asarray(list(tried.values()), np.float32).T),
        )
        for name in tqdm(networks, unit="activation", disable=None)
    ]
    arrays = jax.tree.map(lambda *each: np.stack(each), *found)
    return _label(arrays, list(tried))


def _label(found: attribution.Found, tried: list[str]) -> xarray.Dataset:
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
            "activation": np.asarray(NAMES.value, dtype=object),
            "treatment": np.asarray(tried, dtype=object),
            **{name: np.asarray(PIECES, dtype=object) for name in truth_table.STARTS},
            "seed": np.arange(SEEDS.value),
            "term": np.asarray(attribution.TERMS, dtype=object),
        },
    )


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """The truth table's codes, and what it says when its runs are counted."""
    table = truth_table.cells(results, _trained_under())
    rows = [
        {
            "activation": str(activation),
            "start": str(start),
            "cells": dict(
                zip(
                    map(str, table["treatment"].values),
                    table["code"].sel(activation=activation, start=start).values.tolist(),
                    strict=True,
                )
            ),
        }
        for activation in table["activation"].values
        for start in table["start"].values
    ]
    counted = truth_table.summary_of(results, _trained_under())
    return {"trained_under": _trained_under(), "rows": rows, **counted}


def show(summary: dict, settings: Settings) -> str:
    """A table for each activation, its legend, and what they say."""
    harmless = summary["harmless"]
    harmful = [name for name in summary["symmetric"] if name not in harmless]
    parts = [
        f"{TASK.value} data, {HIDDEN.value} hidden units, {SEEDS.value} seeds, {STEPS.value} steps."
        f" A run learned if its loss ended under {summary['trained_under']:.4f}.",
        *(_table(summary, activation) for activation in NAMES.value),
        truth_table.LEGEND,
        "Starts without a random piece:\n" + report.format_table(_symmetric_rows(summary)),
    ]
    if summary["random"]:
        by = f"Starts with random pieces, trained by {', '.join(harmless)}:\n"
        parts.append(by + report.format_table(_random_rows(summary)))
    said = [
        f"A start without a random piece is broken by {', '.join(harmful) or 'no treatment'}; "
        f"to the last bit never by {', '.join(harmless) or 'none of the others'}.",
        *map(_sentence, summary["random"].items()),
        f"Events that no term explains: {summary['unexplained']}.",
    ]
    return "\n\n".join([*parts, "\n".join(said)])


def _table(summary: dict, activation: str) -> str:
    rows = [
        {"W1 b1 W2": row["start"], **row["cells"]}
        for row in summary["rows"]
        if row["activation"] == activation
    ]
    losses = [
        f"{name} {report.format_quartiles(quartiles)}"
        for name, quartiles in summary["losses"][activation].items()
    ]
    return (
        f"{activation}\n{report.format_table(rows)}\n"
        f"Final loss [quartiles] of runs whose units are: {'; '.join(losses)}."
    )


def _symmetric_rows(summary: dict) -> list[dict[str, str]]:
    return [
        {
            "treatment": name,
            "units came apart": f"{row['happened']}/{row['runs']}",
            **_told(row),
            "stood still": f"{row['still']}/{row['runs']}",
        }
        for name, row in summary["symmetric"].items()
    ]


def _random_rows(summary: dict) -> list[dict[str, str]]:
    return [
        {
            "random": pieces,
            "functions differ": f"{row['happened']}/{row['runs']}",
            **_told(row),
            "learned": f"{row['learned']}/{row['runs']}",
        }
        for pieces, row in summary["random"].items()
    ]


def _told(row: dict) -> dict[str, str]:
    steps = "-" if row["step"] is None else "-".join(map(str, sorted(set(row["step"]))))
    by = ", ".join(f"{term.replace('_', ' ')} {count}" for term, count in row["by"].items())
    return {"first at step": steps, "by": by or "-"}


def _sentence(item: tuple[str, dict]) -> str:
    pieces, row = item
    how = "always" if row["happened"] == row["runs"] else f"in {row['happened']} of {row['runs']}"
    unless = f", and in no run of: {', '.join(row['not'])}" if row["not"] else ""
    return f"Random {pieces.replace(' ', ' and ')}: broken {how}{unless}."


def draw(results: xarray.Dataset, settings: Settings):
    """The truth table in colours."""
    return draw_breaking(
        truth_table.cells(results, _trained_under()),
        outcomes=truth_table.OUTCOMES,
        legend=truth_table.LEGEND,
    )


def verdict(summary: dict) -> int:
    """1 if units came apart by none of the terms: by rounding, which the layers rule out."""
    return int(summary["unexplained"] > 0)


def _trained_under() -> float:
    task = names.BINARY_TASKS[TASK.value]()
    return FRACTION.value * task.objective.constant_loss(task.y)


EXPERIMENT = harness.Experiment(
    "what_breaks_symmetry", measure, summarize, show, draw, SMOKE, verdict
)
