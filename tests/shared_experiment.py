"""An experiment of a second with a sweep and a table of cells, for several processes."""

import numpy as np
from sweep_runs import AXES, small_run
from toy_experiment import Picture

from experiments import harness
from experiments.harness import flags
from initlab.sweeps import run_sweep

CELLS = flags.define_count("cells", 2, "Cells of the table.")

run_sweep.CHUNK_BLOCKS = 1


def measure():
    results = harness.sweep(small_run(), AXES | {"seed": range(16)})
    table = [{"number": number} for number in range(CELLS.value)]
    found = harness.fill(table, lambda cell: {"square": cell["number"] ** 2})
    return results.load().assign(square=("cell", np.stack([each["square"] for each in found])))


EXPERIMENT = harness.Experiment(
    "shared",
    measure,
    lambda results, settings: {"squares": results["square"].values},
    lambda summary, settings: f"squares: {list(summary['squares'])}",
    lambda results, settings: Picture(),
    {"cells": 2},
)

if __name__ == "__main__":
    harness.launch(EXPERIMENT)
