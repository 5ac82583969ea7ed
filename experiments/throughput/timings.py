"""What is timed: every side on one network, and the cost against the number of runs."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray

from experiments.throughput.baselines import BATCHED, LOOPS, prepare, sides_of
from experiments.throughput.workloads import (
    SIZES,
    Workload,
    count_flops,
    count_functions,
    draw_starts,
    measure_peak,
    measure_tanh,
)
from initlab.types import Params

__all__ = ["COMPARED_STEPS", "SIDES", "check_agreement", "cost_steps", "measure_cost", "time_sides"]

SIDES = (*BATCHED, *LOOPS)

# Float32 rounds each side's sums in another order, and gradient descent at this learning rate
# multiplies the difference: after 20 steps it is still far under 1e-3, while a side that computes
# another training (a mean for a sum, another update) is far beyond it.
COMPARED_RUNS, COMPARED_STEPS, TOLERANCE = 8, 20, 1e-3
"""The losses of so many runs after so many steps are the same on all sides, relatively."""

PILOT_STEPS, LEAST_STEPS = 16, 20
"""A measurement's steps are found by a first one of PILOT_STEPS."""

COST_SIDES = ("lab", "plain_vmap")
COST_RUN_STEPS, COST_LEAST, COST_MOST = 10**6, 10, 1000
"""Steps of the cost: COST_RUN_STEPS shared by the runs, within these bounds."""


def check_agreement(losses: Mapping[str, np.ndarray], where: str) -> None:
    """Raises unless all sides computed the same training.

    Args:
      losses: of the same runs, by sides.
      where: what to call it in the message.

    Raises:
      ValueError: if a side's losses are not finite, or further than TOLERANCE from the first's.
    """
    first, *others = losses
    for side in others:
        difference = np.max(np.abs(losses[side] / losses[first] - 1))
        # Not "difference > TOLERANCE": NaN is not within the tolerance either.
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{where}: {side} and {first} do not compute the same training; losses after "
                f"{COMPARED_STEPS} steps: {losses[side]} and {losses[first]}, apart by "
                f"{difference:.2g}"
            )


def time_sides(
    size: str,
    work: Workload,
    *,
    runs: int,
    steps: int,
    seconds: float,
    rounds: int,
    deadline: float = math.inf,
    advance: Callable[[], object] = lambda: None,
) -> xarray.Dataset:
    """Every installed side on one network, the sides in turn, round by round.

    Args:
      size: the network's name, of `SIZES`.
      work: what is to be learnt with it.
      runs: how many the sides of BATCHED compute at once; those of LOOPS compute one.
      steps: of every side; 0 for as many as take about `seconds`.
      seconds: how long one measurement takes about.
      rounds: measurements of every side.
      deadline: on `time.monotonic`; no round but the first is begun that would end after it.
      advance: is called after each measurement.

    Returns:
      What the rounds gave, after Ctrl-C those that are whole, with `interrupted` among its attrs:
      `run_seconds` and `compile_seconds` over (side, round), NaN for what is not measured; `runs`
      and `steps` over side; `flops` and `functions` (values of tanh and the like) of one step of
      one run; `peak` and `tanh_peak`, of either, per second.

    Raises:
      ValueError: if the sides do not compute the same training.
      KeyboardInterrupt: on Ctrl-C before a round is whole.
    """
    sides = [side for side in SIDES if side in sides_of(work)]
    few, many = draw_starts(work, COMPARED_RUNS), draw_starts(work, runs)
    losses = {side: prepare(side, work, few, COMPARED_STEPS).measure().losses for side in sides}
    check_agreement(losses, size)

    starts = {side: many if side in BATCHED else draw_starts(work, 1) for side in sides}
    # All that compute many runs at once take as many steps as plain_vmap.
    paces = {side: "plain_vmap" if side in BATCHED else side for side in sides}
    steps_of = {
        pace: steps or _affordable_steps(pace, work, starts[pace], seconds)
        for pace in sorted(set(paces.values()))
    }
    side_steps = {side: steps_of[paces[side]] for side in sides}
    # Every side is compiled before any is timed: the machine does nothing else between two
    # measurements of a round, whose ratio is what is reported.
    programs = {side: prepare(side, work, starts[side], side_steps[side]) for side in sides}
    run_seconds = np.full((len(SIDES), rounds), np.nan)
    compile_seconds = run_seconds.copy()
    longest, interrupted = 0.0, False
    for number in range(rounds):
        began = time.monotonic()
        if number and began + longest > deadline:
            break
        try:
            for side in sides:
                timed, place = programs[side].measure(), (SIDES.index(side), number)
                run_seconds[place] = timed.run_seconds
                compile_seconds[place] = timed.compile_seconds
                advance()
        except KeyboardInterrupt:
            if not number:
                raise
            # Sides are compared round by round: half a round compares nothing.
            run_seconds[:, number] = compile_seconds[:, number] = np.nan
            interrupted = True
            break
        longest = max(longest, time.monotonic() - began)
    side_runs = [0 if s not in sides else runs if s in BATCHED else 1 for s in SIDES]
    return xarray.Dataset(
        {
            "run_seconds": (("side", "round"), run_seconds),
            "compile_seconds": (("side", "round"), compile_seconds),
            "runs": ("side", side_runs),
            "steps": ("side", [side_steps.get(side, 0) for side in SIDES]),
            "flops": count_flops(SIZES[size], len(work.x)),
            "functions": count_functions(SIZES[size], len(work.x)),
            "peak": measure_peak(),
            "tanh_peak": measure_tanh(),
        },
        coords={"side": np.asarray(SIDES, dtype=object)},
        attrs={"interrupted": interrupted},
    )


def _affordable_steps(side: str, work: Workload, starts: Params, seconds: float) -> int:
    pilot = prepare(side, work, starts, PILOT_STEPS)
    # The first measurement of a program also fills caches and starts threads.
    pilot.measure()
    pace = PILOT_STEPS / pilot.measure().run_seconds
    return max(LEAST_STEPS, round(seconds * pace))


def cost_steps(runs: int) -> int:
    """Steps where the cost of so many runs is measured: fewer for many, so that it takes seconds.

    >>> cost_steps(100), cost_steps(10_000), cost_steps(1_000_000)
    (1000, 100, 10)
    """
    return int(np.clip(COST_RUN_STEPS // runs, COST_LEAST, COST_MOST))


def measure_cost(
    work: Workload,
    counts: Sequence[int],
    *,
    steps: int,
    memory_gib: float,
    deadline: float = math.inf,
    advance: Callable[[], object] = lambda: None,
) -> xarray.Dataset:
    """Seconds of one call, compilation included, against the number of runs.

    Args:
      work: what is to be learnt.
      counts: the numbers of runs.
      steps: of every count; 0 for `cost_steps`.
      memory_gib: programs that need more are not run.
      deadline: on `time.monotonic`; no count is begun after it.
      advance: is called after each count.

    Returns:
      `cost_seconds`, `cost_compile_seconds`, `cost_run_seconds` and `cost_gib` over (cost_side,
      cost_runs), seconds NaN where a program was not run; `cost_steps` over cost_runs. Counts that
      an interruption, which the attrs tell, or the deadline left out are missing.
    """
    columns = ("cost_seconds", "cost_compile_seconds", "cost_run_seconds", "cost_gib")
    table = np.full((len(columns), len(COST_SIDES), len(counts)), np.nan)
    lengths = [steps or cost_steps(runs) for runs in counts]
    done, interrupted = 0, True
    with contextlib.suppress(KeyboardInterrupt):
        for column, (runs, length) in enumerate(zip(counts, lengths, strict=True)):
            if time.monotonic() > deadline:
                break
            starts = draw_starts(work, runs)
            for row, side in enumerate(COST_SIDES):
                began = time.perf_counter()
                program = prepare(side, work, starts, length)
                table[3, row, column] = program.memory_bytes / 2**30
                if program.memory_bytes <= memory_gib * 2**30:
                    timed = program.measure()
                    whole = time.perf_counter() - began
                    table[:3, row, column] = whole, timed.compile_seconds, timed.run_seconds
            done += 1
            advance()
        interrupted = False
    found = xarray.Dataset(
        {
            **{name: (("cost_side", "cost_runs"), table[row]) for row, name in enumerate(columns)},
            "cost_steps": ("cost_runs", lengths),
        },
        coords={"cost_side": np.asarray(COST_SIDES, dtype=object), "cost_runs": list(counts)},
        attrs={"interrupted": interrupted},
    )
    return found.isel(cost_runs=slice(done))
