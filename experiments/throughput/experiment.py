"""How fast: the lab beside plain JAX, a Python loop, NumPy and PyTorch, on the same training runs.

    python -m experiments.throughput

Full-batch gradient descent in float32, from the same initial weights, in one process, the sides in
turn, round by round. Nothing is timed before all sides give the same losses. Ratios are medians of
the rounds' ratios, so that what slows the machine down slows both sides. The lab's time is that of
a whole sweep: it draws its weights and measures the loss before the first step and after the last;
its rivals are given their weights, and measure the loss at the end.
"""

import itertools
import time
from collections.abc import Mapping

import jax
import numpy as np
import xarray
from tqdm import tqdm

from experiments import harness
from experiments.harness import Settings, flags
from experiments.throughput.baselines import BATCHED, LOOPS, installed, prepare
from experiments.throughput.figure import draw_throughput
from experiments.throughput.tables import show, summarize
from experiments.throughput.workloads import (
    SIZES,
    Workload,
    count_flops,
    draw_starts,
    make_workload,
    measure_peak,
)

SIZE = flags.define_names("size", tuple(SIZES), SIZES, "Networks")
SCALE = flags.define_scale("scale", 0.1, "Std of the initial weights.")
LEARNING_RATE = flags.define_scale("learning_rate", 1.2, "Learning rate.")
ROUNDS = flags.define_count("rounds", 5, "Measurements of every side.")
SECONDS = flags.define_scale("seconds", 1.0, "About how long one measurement takes.")
RUNS = flags.define_count("runs", 0, "Runs computed at once; 0: by the size.", least=0)
STEPS = flags.define_count("steps", 0, "Steps of every side; 0: by --seconds.", least=0)
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

COMPARED_RUNS, COMPARED_STEPS, TOLERANCE = 8, 20, 1e-3
"""The losses of so many runs after so many steps are the same on all sides, relatively."""

PILOT_STEPS, LEAST_STEPS = 16, 20
"""A measurement's steps are found by a first one of PILOT_STEPS."""

COST_SIDES = ("lab", "plain_vmap")
COST_RUN_STEPS, COST_LEAST, COST_MOST = 10**6, 10, 1000
"""Steps of the cost: COST_RUN_STEPS shared by the runs, within these bounds."""


def measure() -> xarray.Dataset:
    """All sides on all sizes, then the cost against the number of runs."""
    # Compile times are those of compiling, not of reading what an earlier call has compiled.
    jax.config.update("jax_enable_compilation_cache", False)
    sides = [side for side in (*BATCHED, *LOOPS) if side in installed()]
    total = len(SIZE.value) * ROUNDS.value * len(sides)
    with tqdm(total=total, unit="measurement", disable=None) as bar:
        parts = [_measure_size(size, sides, bar) for size in SIZE.value]
    coordinate = xarray.DataArray(np.asarray(SIZE.value, dtype=object), dims="size")
    results = xarray.concat(parts, coordinate).merge(_measure_cost())
    return results.assign_attrs(platform=jax.devices()[0].platform, cost_size=COST_SIZE.value)


def check_agreement(losses: Mapping[str, np.ndarray], where: str) -> None:
    """Asserts that all sides computed the same training.

    Args:
      losses: of the same runs, by sides.
      where: what to call it in the message.

    Raises:
      ValueError: if a side's losses are not finite, or further than TOLERANCE from the first's.
    """
    first, *others = losses
    for side in others:
        apart = np.max(np.abs(losses[side] / losses[first] - 1))
        if not apart <= TOLERANCE:
            raise ValueError(
                f"{where}: {side} and {first} do not compute the same training; losses after "
                f"{COMPARED_STEPS} steps: {losses[side]} and {losses[first]}, apart by {apart:.2g}"
            )


def cost_steps(runs: int) -> int:
    """Steps where the cost of so many runs is measured: fewer for many, so that it takes seconds.

    >>> cost_steps(100), cost_steps(10_000), cost_steps(1_000_000)
    (1000, 100, 10)
    """
    return int(np.clip(COST_RUN_STEPS // runs, COST_LEAST, COST_MOST))


def _measure_size(size: str, sides: list[str], bar: tqdm) -> xarray.Dataset:
    work = _work(size)
    runs = RUNS.value or DEFAULT_RUNS[size]
    few, many = draw_starts(work, COMPARED_RUNS), draw_starts(work, runs)
    losses = {side: prepare(side, work, few, COMPARED_STEPS).measure().losses for side in sides}
    check_agreement(losses, size)

    starts = {side: many if side in BATCHED else draw_starts(work, 1) for side in sides}
    # All that compute many runs at once take as many steps as plain_vmap.
    paces = {side: "plain_vmap" if side in BATCHED else side for side in sides}
    steps_of = {
        pace: STEPS.value or _affordable_steps(pace, work, starts[pace])
        for pace in sorted(set(paces.values()))
    }
    steps = {side: steps_of[paces[side]] for side in sides}
    programs = {side: prepare(side, work, starts[side], steps[side]) for side in sides}
    run_seconds = np.full((len(BATCHED + LOOPS), ROUNDS.value), np.nan)
    compile_seconds = run_seconds.copy()
    every = (*BATCHED, *LOOPS)
    for number in range(ROUNDS.value):
        for side in sides:
            timed = programs[side].measure()
            place = every.index(side), number
            run_seconds[place], compile_seconds[place] = timed.run_seconds, timed.compile_seconds
            bar.update()
    return xarray.Dataset(
        {
            "run_seconds": (("side", "round"), run_seconds),
            "compile_seconds": (("side", "round"), compile_seconds),
            "runs": ("side", [0 if s not in sides else runs if s in BATCHED else 1 for s in every]),
            "steps": ("side", [steps.get(side, 0) for side in every]),
            "flops": count_flops(SIZES[size], len(work.x)),
            "peak": measure_peak(),
        },
        coords={"side": np.asarray(every, dtype=object)},
    )


def _affordable_steps(side: str, work: Workload, starts) -> int:
    pilot = prepare(side, work, starts, PILOT_STEPS)
    pilot.measure()
    pace = PILOT_STEPS / pilot.measure().run_seconds
    return max(LEAST_STEPS, round(SECONDS.value * pace))


def _measure_cost() -> xarray.Dataset:
    counts = [10**power for power in itertools.takewhile(_within, itertools.count(2))]
    steps = [COST_STEPS.value or cost_steps(runs) for runs in counts]
    names_of = ("cost_seconds", "cost_compile_seconds", "cost_run_seconds", "cost_gib")
    table = np.full((len(names_of), len(COST_SIDES), len(counts)), np.nan)
    work = _work(COST_SIZE.value)
    for column, (runs, length) in enumerate(zip(counts, steps, strict=True)):
        starts = draw_starts(work, runs)
        for row, side in enumerate(COST_SIDES):
            began = time.perf_counter()
            program = prepare(side, work, starts, length)
            table[3, row, column] = program.memory_bytes / 2**30
            if program.memory_bytes <= MEMORY.value * 2**30:
                timed = program.measure()
                whole = time.perf_counter() - began
                table[:3, row, column] = whole, timed.compile_seconds, timed.run_seconds
    return xarray.Dataset(
        {
            **{name: (("cost_side", "cost_runs"), table[row]) for row, name in enumerate(names_of)},
            "cost_steps": ("cost_runs", steps),
        },
        coords={"cost_side": np.asarray(COST_SIDES, dtype=object), "cost_runs": counts},
    )


def _within(power: int) -> bool:
    return 10**power <= MOST_RUNS.value


def _work(size: str) -> Workload:
    return make_workload(SIZES[size], SCALE.value, LEARNING_RATE.value)


def draw(results: xarray.Dataset, settings: Settings):
    """Run-steps per second, by size and side, and against the number of runs."""
    return draw_throughput(results)


EXPERIMENT = harness.Experiment("throughput", measure, summarize, show, draw, SMOKE)
