"""How fast: the lab beside plain JAX, a Python loop, NumPy and PyTorch, on the same training runs.

    python -m experiments.throughput

Full-batch gradient descent in float32, from the same initial weights, in one process, the sides in
turn, round by round. Nothing is timed before all sides give the same losses. Ratios are medians of
the rounds' ratios, so that what slows the machine down slows both sides. The lab's time is that of
a whole sweep: it draws its weights and measures the loss before the first step and after the last;
the baselines are given their weights, and measure the loss at the end.
"""

import jax
import numpy as np
import xarray

from experiments import harness
from experiments.harness import Settings, flags
from experiments.throughput.baselines import installed
from experiments.throughput.figure import draw_throughput
from experiments.throughput.tables import show, summarize
from experiments.throughput.timings import measure_cost, time_sides
from experiments.throughput.workloads import SIZES, Workload, make_workload
from initlab.sweeps.progress import progress_bar

__all__ = ["EXPERIMENT"]

SIZE = flags.define_names("size", tuple(SIZES), SIZES, "Networks")
SCALE = flags.define_scale("scale", 0.1, "Std of the initial weights.")
LEARNING_RATE = flags.define_scale("learning_rate", 1.2, "Learning rate.")
ROUNDS = flags.define_count("rounds", 5, "Measurements of every side.")
SECONDS = flags.define_scale("seconds", 1.0, "About how long one measurement takes.")
RUNS = flags.define_count("runs", 0, "Runs computed at once; 0: by the size.", least=0)
STEPS = flags.define_count(
    "steps", 0, "Steps of every side; 0: by --seconds.", least=0, most=flags.MOST_STEPS
)
MOST_RUNS = flags.define_count(
    "most_runs", 10**6, "The cost is measured for 100, 1000, ... runs up to it.", least=100
)
COST_SIZE = flags.define_name("cost_size", "2-4-1", SIZES, "Network whose cost is measured")
COST_STEPS = flags.define_count(
    "cost_steps", 0, "Steps where the cost is measured; 0: fewer for many runs.", least=0
)
MEMORY = flags.define_scale("memory_gib", 8, "Programs that need more are not run.")
SMOKE = {
    "size": ["2-2-1"],
    "rounds": 2,
    "runs": 16,
    "steps": 3,
    "most_runs": 100,
    "cost_steps": 2,
}

DEFAULT_RUNS = {
    "2-2-1": 1024,
    "2-4-1": 1024,
    "2-10-5-1": 1024,
    "2-16-16-1": 512,
    "2-64-64-1": 256,
    "64-128-10": 128,
}
"""Runs computed at once: many where they are small, but enough steps of each in a measurement."""


def measure() -> xarray.Dataset:
    """All sides on all sizes, then the cost against the number of runs."""
    # Compile times are those of compiling, not of reading what an earlier call has compiled.
    jax.config.update("jax_enable_compilation_cache", False)
    # As many powers of ten as the largest count has digits after its first.
    counts = [10**power for power in range(2, len(str(MOST_RUNS.value)))]
    total = len(SIZE.value) * ROUNDS.value * len(installed()) + len(counts)
    with progress_bar(total, unit="measurements") as bar:
        parts = [
            time_sides(
                size,
                _work(size),
                runs=RUNS.value or DEFAULT_RUNS[size],
                steps=STEPS.value,
                seconds=SECONDS.value,
                rounds=ROUNDS.value,
                advance=bar.update,
            )
            for size in SIZE.value
        ]
        cost = measure_cost(
            _work(COST_SIZE.value),
            counts,
            steps=COST_STEPS.value,
            memory_gib=MEMORY.value,
            advance=bar.update,
        )
    coordinate = xarray.DataArray(np.asarray(SIZE.value, dtype=object), dims="size")
    results = xarray.concat(parts, coordinate).merge(cost)
    return results.assign_attrs(platform=jax.devices()[0].platform, cost_size=COST_SIZE.value)


def _work(size: str) -> Workload:
    return make_workload(SIZES[size], SCALE.value, LEARNING_RATE.value)


def draw(results: xarray.Dataset, settings: Settings):
    """Run-steps per second, by size and side, and against the number of runs."""
    return draw_throughput(results)


EXPERIMENT = harness.Experiment("throughput", measure, summarize, show, draw, SMOKE)
