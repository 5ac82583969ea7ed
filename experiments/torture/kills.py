"""A round of kills: a small sweep is killed, resumed, killed ..., and its bits are compared."""

import contextlib
import functools
import math
import os
import random
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray

from experiments.torture import places, worker
from experiments.torture.aim import DATA, MARKER, ROOT, choose
from initlab.sweeps import zarr_store
from initlab.sweeps.storage import open_storage

__all__ = ["SIGNALS", "Kill", "differing_bytes", "kill_and_resume"]

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")

AFTER_A_CHUNK, ANY_MOMENT = "after a chunk", "any moment"
WHEN = (AFTER_A_CHUNK, DATA, ANY_MOMENT, MARKER, ROOT)
"""When kills fall, in turn: by the clock, or at one write of a file of that kind. A number of them
that the number of signals does not divide; a round begins where its number says, so that rounds of
any length bring all pairs."""

SOON = 0.05
"""Seconds after a new chunk within which it is killed: one chunk's computing and writing."""

POLL = 0.01
"""Seconds between two looks for a new chunk."""

LEFT_ALONE = 0.1
"""Share of kills after which the other processes are waited for; else they are killed too."""

END_WITHIN = 60.0
"""Seconds after which a process that should have ended counts as stuck, and is killed."""


class Kill(NamedTuple):
    """One kill, as `kill_and_resume` says."""

    signal: int
    finished: float
    place: int
    alone: float
    stuck: int


def kill_and_resume(cell: Mapping[str, Any], folder: Path) -> dict[str, np.ndarray]:
    """Kills sweeps at random moments and finishes them, as the cell's number draws.

    Args:
      cell: `number`, `kills`, `processes`, `seeds` and `stores`, a folder or a URL; a store that
        does not end with the right bits is left there.
      folder: for compiled programs and what processes say.

    Returns:
      `signal` (its index), `finished` (the share of chunks just after it), `place` (an index of
      `places.PLACES`), `alone` (seconds until the others stopped, NaN where they were killed too)
      and `stuck` (processes that did not end), one entry a kill; and the counts `datasets`,
      `failed` (sweeps that could not be finished), `refused` (processes that ended badly though
      none was killed) and `differing_bytes`.
    """
    draw = random.Random(cell["number"])
    seeds = cell["seeds"]
    life = _measure_life(seeds, cell["stores"], folder)
    kills: list[Kill] = []
    totals = dict.fromkeys(("datasets", "failed", "refused", "differing_bytes"), 0)
    while len(kills) < cell["kills"]:
        name = f"{cell['number']}-{totals['datasets']}"
        store, said = f"{cell['stores']}/{name}.zarr", folder / f"{name}.txt"
        call = worker.Call(store, seeds, cell["processes"], str(folder / "programs"), said)
        while len(kills) < cell["kills"]:
            kill = _kill_one(call, cell["number"] + len(kills), life, draw)
            if isinstance(kill, int):
                totals["refused"] += kill
                break
            kills.append(kill)
        failed = not worker.complete(call)
        wrong = (
            0 if failed else differing_bytes(zarr_store.open_results(open_storage(store)), seeds)
        )
        totals["datasets"] += 1
        totals["failed"] += failed
        totals["differing_bytes"] += wrong
        if not failed and not wrong:
            _remove(store)
            said.unlink()
    return {
        **{
            name: np.asarray(column)
            for name, column in zip(Kill._fields, zip(*kills, strict=True), strict=True)
        },
        **{name: np.asarray(total) for name, total in totals.items()},
    }


def differing_bytes(found: xarray.Dataset, seeds: int) -> int:
    """How many bytes of a finished sweep differ from those of one that was not interrupted.

    Args:
      found: the results.
      seeds: the sweep's.

    Returns:
      The count, over all variables and coordinates; all of a variable's where it is missing, or has
      another shape or dtype.
    """
    wanted = _uninterrupted(seeds)
    differing = 0
    for name in {*found.variables, *wanted.variables}:
        pair = [each[name].values for each in (found, wanted) if name in each.variables]
        if len({(each.dtype, each.shape) for each in pair}) == 1 and len(pair) == 2:
            # Names are objects, and their bytes pointers.
            plain = [each.astype(str) if each.dtype == object else each for each in pair]
            one, other = (np.frombuffer(each.tobytes(), np.uint8) for each in plain)
            differing += int(np.sum(one != other))
        else:
            differing += max(each.nbytes for each in pair)
    return differing


@functools.cache
def _uninterrupted(seeds: int) -> xarray.Dataset:
    return worker.small_sweep(seeds)


@functools.cache
def _measure_life(seeds: int, stores: str, folder: Path) -> float:
    """Seconds from the start of a sweep in one process to its end, compiling aside."""
    store, said = f"{stores}/whole.zarr", folder / "whole.txt"
    # An interrupted torture may have left it.
    _remove(store)
    # What it imports is no part of a life.
    worker.start_server()
    started = time.monotonic()
    processes = worker.start(worker.Call(store, seeds, 1, str(folder / "programs"), said))
    if not _end_before(processes, END_WITHIN) or any(each.exitcode for each in processes):
        raise ValueError(
            f"the sweep that is to be killed does not end well by itself:\n{said.read_text()}"
        )
    seconds = time.monotonic() - started
    # The others find the programs compiled.
    seconds -= zarr_store.open_results(open_storage(store)).attrs["compile_seconds"]
    _remove(store)
    said.unlink()
    return seconds


def _kill_one(call: worker.Call, turn: int, life: float, draw: random.Random) -> Kill | int:
    """Starts a call and kills it; if it ended before, how many of its processes ended badly.

    A sweep whose chunks are all there is not killed again, but finished.
    """
    number, when = turn % len(SIGNALS), WHEN[turn % len(WHEN)]
    sent = getattr(signal, SIGNALS[number])
    before = places.look(call.out, call.seeds)
    left = worker.chunks(call.seeds) - round(before.finished * worker.chunks(call.seeds))
    if not left:
        return 0
    if when not in (AFTER_A_CHUNK, ANY_MOMENT) and open_storage(call.out).folder is not None:
        target, aim = choose(draw, when, call.count, sent, chunks=left, is_new=not before.is_made)
        processes = worker.start(call, target, aim)
        victim = processes[target]
        # Where the write does not come, all end by themselves.
        hit = _end_before([victim], END_WITHIN) and victim.exitcode != 0
        ended = not hit and _end_before(processes, END_WITHIN)
    else:
        processes = worker.start(call)
        victim = draw.choice(processes)
        if when == ANY_MOMENT:
            delay = draw.uniform(0, life)
        else:
            delay = draw.uniform(0, SOON)
            _wait_for_chunk(processes, call.out, call.seeds, before.finished)
        ended = _end_before(processes, delay)
    if ended:
        return sum(process.exitcode != 0 for process in processes)
    alone, stuck = _kill(processes, victim, sent, draw)
    after = places.look(call.out, call.seeds)
    return Kill(number, after.finished, places.find_place(before, after), alone, stuck)


def _wait_for_chunk(processes: Sequence[BaseProcess], store: str, seeds: int, kept: float) -> None:
    """Waits for a new chunk, or until no process can write one."""
    until = time.monotonic() + END_WITHIN
    while any(process.is_alive() for process in processes) and time.monotonic() < until:
        if _finished(store, seeds) > kept:
            return
        time.sleep(POLL)


def _end_before(processes: Sequence[BaseProcess], seconds: float) -> bool:
    """Whether all processes end by themselves within some seconds."""
    until = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    return not any(process.is_alive() for process in processes)


def _kill(
    processes: Sequence[BaseProcess],
    victim: BaseProcess,
    number: signal.Signals,
    draw: random.Random,
) -> tuple[float, int]:
    """Sends one process a signal and ends the others; seconds that they took, and how many hung."""
    others = [process for process in processes if process is not victim]
    _send(victim, number)
    stuck = 0 if _end_before([victim], END_WITHIN) else 1
    began, alone = time.monotonic(), math.nan
    if others and draw.random() < LEFT_ALONE:
        stuck += 0 if _end_before(others, END_WITHIN) else 1
        alone = time.monotonic() - began
    else:
        time.sleep(draw.uniform(0, 0.3) if others else 0)
    for process in processes:
        _send(process, signal.SIGKILL)
    for process in processes:
        process.join()
    return alone, stuck


def _send(process: BaseProcess, number: signal.Signals) -> None:
    if process.is_alive() and process.pid is not None:
        # It may end meanwhile, and the fork server reaps it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _finished(store: str, seeds: int) -> float:
    # A store that is not made yet has no files.
    names = [Path(name) for name in open_storage(store).names("progress")]
    marked = [name for name in names if name.suffix == ".json" and name.stem.isdecimal()]
    return len(marked) / worker.chunks(seeds)


def _remove(store: str) -> None:
    storage = open_storage(store)
    if storage.folder is None:
        for name in list(storage.names()):
            storage.delete(name)
    elif storage.folder.exists():
        shutil.rmtree(storage.folder)
