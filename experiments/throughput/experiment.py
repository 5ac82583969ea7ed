"""How fast: the lab beside plain JAX, a Python loop, NumPy and PyTorch, on the same training runs.

    python -m experiments.throughput

Full-batch gradient descent in float32, from the same initial weights, in one process, the sides in
turn, round by round. Nothing is timed before all sides give the same losses. Ratios are medians of
the rounds' ratios, so that what slows the machine down slows both sides. The lab's time is that of
a whole sweep: it draws its weights and measures the loss before the first step and after the last;
the baselines are given their weights, and measure the loss at the end.
"""

import math
import tempfile
import time

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
MINUTES = flags.define_scale(
    "minutes", 0, "Time for everything, compiling included; 0: 3.5 on an accelerator, else no end."
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
    "conv": 8,
}
"""Runs computed at once: many where they are small, but enough steps of each in a measurement."""


ACCELERATOR_MINUTES = 3.5
"""What the default takes on an accelerator: rounds, sizes, counts that come later are left out."""


def measure() -> xarray.Dataset:
    """All sides on all sizes, then the cost against the number of runs; less on Ctrl-C."""
    # Compile times are those of compiling, not of reading what an earlier call has compiled: what
    # is kept is this call's own, so that a sweep is compiled in its first round alone.
    with tempfile.TemporaryDirectory() as own:
        jax.config.update("jax_compilation_cache_dir", own)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        return _measure()


def _measure() -> xarray.Dataset:
    # As many powers of ten as the largest count has digits after its first.
    counts = [10**power for power in range(2, len(str(MOST_RUNS.value)))]
    total = len(SIZE.value) * ROUNDS.value * len(installed()) + len(counts)
    platform = jax.devices()[0].platform
    minutes = MINUTES.value or (math.inf if platform == "cpu" else ACCELERATOR_MINUTES)
    deadline = time.monotonic() + 60 * minutes
    parts, interrupted = {}, False
    with progress_bar(total, unit="measurements") as bar:
        try:
            for number, size in enumerate(SIZE.value):
                # The time that is left in equal parts, one of them for the cost.
                share = (deadline - time.monotonic()) / (len(SIZE.value) - number + 1)
                if share <= 0:
                    break
                parts[size] = time_sides(
                    size,
                    _work(size),
                    runs=RUNS.value or DEFAULT_RUNS[size],
                    steps=STEPS.value,
                    seconds=SECONDS.value,
                    rounds=ROUNDS.value,
                    deadline=time.monotonic() + share,
                    advance=bar.update,
                )
                if parts[size].attrs["interrupted"]:
                    interrupted = True
                    break
        except KeyboardInterrupt:
            # What is measured is worth its table.
            if not parts:
                raise
            interrupted = True
        cost = measure_cost(
            _work(COST_SIZE.value),
            counts,
            steps=COST_STEPS.value,
            memory_gib=MEMORY.value,
            deadline=-math.inf if interrupted else deadline,
            advance=bar.update,
        )
    interrupted = interrupted or cost.attrs["interrupted"]
    coordinate = xarray.DataArray(np.asarray(list(parts), dtype=object), dims="size")
    results = xarray.concat(list(parts.values()), coordinate).merge(cost)
    left_out = [size for size in SIZE.value if size not in parts]
    left_out += [f"cost of {runs} runs" for runs in counts[cost.sizes["cost_runs"] :]]
    return results.assign_attrs(
        platform=platform,
        cost_size=COST_SIZE.value,
        left_out=", ".join(left_out),
        interrupted=interrupted,
    )


def _work(size: str) -> Workload:
    return make_workload(SIZES[size], SCALE.value, LEARNING_RATE.value)


def draw(results: xarray.Dataset, settings: Settings):
    """Run-steps per second, by size and side, and against the number of runs."""
    return draw_throughput(results)


EXPERIMENT = harness.Experiment("throughput", measure, summarize, show, draw, SMOKE)
