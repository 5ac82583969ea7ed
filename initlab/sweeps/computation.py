"""Computes chunks of runs one after the other: compiled once, dispatched ahead, fetched."""

import collections
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab.sweeps.axes import Axis
from initlab.sweeps.plan import Chunk
from initlab.sweeps.program import Program, Traced, compile_program, dispatch
from initlab.types import History

__all__ = ["Computed", "Job", "compute_chunks"]


class Job(NamedTuple):
    """What is computed and where: a structure's runs, axes, a block on each of the devices."""

    runs: Sequence[Traced]
    axes: Sequence[Axis]
    block: int
    devices: Sequence[Any]


class Computed(NamedTuple):
    """A chunk's results: arrays whose first axis runs over its runs; and what they cost."""

    chunk: Chunk
    history: History
    compile_seconds: float
    run_seconds: float


class _Call(NamedTuple):
    chunk: Chunk
    runs: int
    is_last: bool
    history: History
    compile_seconds: float


def compute_chunks(
    job: Job, chunks: Iterable[Chunk], advance: Callable[[int], object]
) -> Iterator[Computed]:
    """Computes chunks in the order given.

    While a chunk is being written by the caller, the devices compute the next call.

    Args:
      job: what is computed, and where.
      chunks: those of one combination follow each other, so that each program is compiled once and
        only one is held.
      advance: called with the number of runs that were just computed.

    Yields:
      Each chunk with its results.
    """
    # Two calls in flight: JAX dispatches without waiting, so that the devices compute the next call
    # while the host fetches and writes this one. More would only hold more results in memory.
    waiting: collections.deque[_Call] = collections.deque()
    parts: list[History] = []
    compile_seconds = 0.0
    began = time.perf_counter()

    def collect(call: _Call) -> Iterator[Computed]:
        nonlocal parts, compile_seconds, began
        parts.append(jax.device_get(call.history))
        compile_seconds += call.compile_seconds
        advance(call.runs)
        if call.is_last:
            now = time.perf_counter()
            # Cut: a chunk's last call computes its last run again to fill the program's width.
            history = jax.tree.map(
                lambda *pieces: np.concatenate(pieces)[: call.chunk.runs], *parts
            )
            yield Computed(call.chunk, history, compile_seconds, now - began - compile_seconds)
            parts, compile_seconds, began = [], 0.0, now

    for call in _calls(job, chunks):
        waiting.append(call)
        if len(waiting) > 1:
            yield from collect(waiting.popleft())
    while waiting:
        yield from collect(waiting.popleft())


def _calls(job: Job, chunks: Iterable[Chunk]) -> Iterator[_Call]:
    program: Program | None = None
    combination = -1
    for chunk in chunks:
        compile_seconds = 0.0
        if program is None or chunk.combination != combination:
            began = time.perf_counter()
            combination = chunk.combination
            program = compile_program(job.runs[combination], job.axes, job.block, job.devices)
            compile_seconds = time.perf_counter() - began
        for first in range(0, chunk.runs, program.width):
            runs = min(program.width, chunk.runs - first)
            is_last = first + runs == chunk.runs
            history = dispatch(program, job.axes, chunk, first)
            yield _Call(chunk, runs, is_last, history, compile_seconds)
            compile_seconds = 0.0
