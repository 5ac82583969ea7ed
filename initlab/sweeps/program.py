"""The program that computes a block of runs on each device."""

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from initlab import checks
from initlab.networks.dense import LANES
from initlab.sweeps.axes import Axis
from initlab.sweeps.closures import callbacks
from initlab.sweeps.plan import Chunk, chunk_points
from initlab.training import Run
from initlab.types import History

__all__ = [
    "Program",
    "Traced",
    "check_memory",
    "choose_block",
    "compile_program",
    "default_block",
    "dispatch",
    "program_digest",
    "trace_run",
]

CPU_BLOCK = 128
"""Most runs that one CPU device computes together."""

CPU_BYTES = 2**20
"""Activations of all those runs: few enough to stay near the core, at one run in any case."""

ACCELERATOR_BLOCK = 4096
"""The same of an accelerator that says nothing of itself."""

MEMORY_SHARE = 1 / 8
"""Of an accelerator's memory: what a block's runs may hold by the estimate of `_bytes_of_run`."""

THREADS, WAVES = 2048, 32
"""Threads that a GPU's core runs at once, and how many times that many examples fill it: what one
wave waits for, others hide."""


class Traced(NamedTuple):
    """A run that has been traced: its Python is not run again.

    Attributes:
      measured: `point -> History` without params; it evaluates the trace.
      shapes: the same History, as shapes and dtypes.
    """

    measured: Callable[[dict[str, jax.Array]], History]
    shapes: History


class Program(NamedTuple):
    """A compiled program for `width` runs, a block on each device."""

    compiled: Any
    sharding: NamedSharding
    width: int


def default_block(run: Run, device: Any) -> int:
    """How many runs one device computes together by default.

    Args:
      run: what is swept.
      device: one of those used.

    Returns:
      A power of two. On a CPU the largest, up to 128, whose activations take up to a mebibyte; on
      an accelerator the largest whose runs fit a share of its memory and, where it says how many
      cores it has, that fills them no more than WAVES times.
    """
    if device.platform == "cpu":
        return _power_of_two(min(CPU_BLOCK, CPU_BYTES // _bytes_of_signals(run)))
    memory = (device.memory_stats() or {}).get("bytes_limit")
    cores = getattr(device, "core_count", None)
    fitting = [] if memory is None else [int(MEMORY_SHARE * memory) // _bytes_of_run(run)]
    filling = [cores * THREADS * WAVES // run.description["examples"]] if cores else []
    return _power_of_two(max(LANES, min(fitting + filling, default=ACCELERATOR_BLOCK)))


def _bytes_of_run(run: Run) -> int:
    """Activations with their gradients, and parameters with gradient, update and two moments."""
    parameters = sum(math.prod(shape) for shape in run.description["parameters"].values())
    size = np.dtype(run.description["dtype"]).itemsize
    return 2 * _bytes_of_signals(run) + 5 * parameters * size


def _bytes_of_signals(run: Run) -> int:
    """Bytes of one run's activations."""
    shapes = run.description["parameters"].values()
    units = sum(shape[-1] for shape in shapes if len(shape) > 1)
    count = units * run.description["examples"] + run.description.get("convolved", 0)
    return count * np.dtype(run.description["dtype"]).itemsize


def check_memory(runs: Sequence[Run], block: int, device: Any) -> None:
    """Raises ValueError if the parameters of a block of runs alone exceed a device's memory.

    Before anything is made: a program that needs more is killed by the system, or refused after its
    store was begun.

    Args:
      runs: all that are swept.
      block: runs on one device.
      device: one of those used.
    """
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if device.platform == "cpu" and hasattr(os, "sysconf"):
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for run in runs:
        shapes = run.description["parameters"].values()
        parameters = sum(math.prod(shape) for shape in shapes)
        needed = block * parameters * np.dtype(run.description["dtype"]).itemsize
        if limit is not None and needed > limit:
            raise ValueError(
                f"a network of {parameters:.3g} parameters, in blocks of {block} runs, requires "
                f"{needed / 2**30:.3g} GiB of memory, and {device.device_kind} has "
                f"{limit / 2**30:.3g} GiB: make it smaller, or lower block"
            )


def choose_block(given: int | None, runs: Sequence[Run], device: Any, count: int) -> int:
    """The block of a sweep: as given or the runs' default, and no larger than a small sweep needs.

    Never by the number of devices: the block decides the bits.

    Args:
      given: the caller's, or None.
      runs: all that are swept.
      device: one of those used.
      count: how many points each run is computed at.

    Returns:
      A divisor or a multiple of `LANES`.

    Raises:
      TypeError, ValueError: if what is given is neither.
    """
    if given is None:
        given = min(default_block(run, device) for run in runs)
    checks.check_count("block", given, 1)
    # Runs may lie in vector lanes, and those left over from a full vector are computed by other
    # instructions: a run's bits would depend on its place in the block.
    if given % LANES and LANES % given:
        raise ValueError(f"block must divide {LANES} or be a multiple of it, got {given}")
    enough = -(-count // LANES) * LANES if count > LANES else _power_of_two(2 * count - 1)
    return min(int(given), enough)


def _power_of_two(most: int) -> int:
    """The largest one up to `most`, at least 1."""
    return 1 << max(0, most.bit_length() - 1)


def trace_run(run: Run, axes: Sequence[Axis]) -> Traced:
    """Traces a run at one point with the axes' names; nothing is computed."""

    def measured(point: dict[str, jax.Array]) -> History:
        return run(point)._replace(params=())

    point = _abstract_points(axes, ())
    # A mesh around it would make jit trace it again: jit keeps traces by their surroundings.
    replay, constants = jax.closure_convert(measured, point)
    return Traced(
        lambda point: replay(point, *constants), jax.eval_shape(replay, point, *constants)
    )


def program_digest(traced: Traced, axes: Sequence[Axis], block: int) -> dict[str, Any]:
    """What a block of runs computes, the numbers and the Python it closes over included.

    Args:
      traced: the run.
      axes: whose names its points have.
      block: how many runs.

    Returns:
      "program_sha256", of the StableHLO text; and, for a program that calls back into Python,
      "callbacks", their digests by name.

    Raises:
      ValueError: if a callback cannot be recorded.
    """
    staged = jax.jit(jax.vmap(traced.measured)).trace(_abstract_points(axes, (block,)))
    text = staged.lower().as_text()
    found = {"program_sha256": hashlib.sha256(text.encode()).hexdigest()}
    called = callbacks(staged.jaxpr)
    return found | ({"callbacks": called} if called else {})


def compile_program(
    traced: Traced, axes: Sequence[Axis], block: int, devices: Sequence[Any]
) -> Program:
    """Compiles one block on each device; nothing is exchanged between them.

    Args:
      traced: the run.
      axes: whose names its points have.
      block: runs on each device.
      devices: of this process.

    Returns:
      The program.
    """
    mesh = Mesh(np.asarray(devices), ("runs",))
    spec = PartitionSpec("runs")
    sharding = NamedSharding(mesh, spec)
    width = block * len(devices)
    across = jax.shard_map(
        jax.vmap(traced.measured), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    points = _abstract_points(axes, (width,), sharding)
    return Program(jax.jit(across).lower(points).compile(), sharding, width)


def dispatch(program: Program, axes: Sequence[Axis], chunk: Chunk, first: int) -> History:
    """Starts computing `width` runs of a chunk, from its run `first` on, without waiting for them.

    Past the chunk's end the last run is computed again, so that every call has one shape.
    """
    rows = np.minimum(np.arange(first, first + program.width), chunk.runs - 1)
    points = {
        name: column.astype(_dtype(column))
        for name, column in chunk_points(axes, chunk, rows).items()
    }
    return program.compiled(jax.device_put(points, program.sharding))


def _abstract_points(
    axes: Sequence[Axis], shape: tuple[int, ...], sharding: NamedSharding | None = None
) -> dict[str, jax.ShapeDtypeStruct]:
    return {
        name: jax.ShapeDtypeStruct(shape, _dtype(column), sharding=sharding)
        for axis in axes
        for name, column in axis.columns.items()
    }


def _dtype(column: np.ndarray) -> Any:
    return np.int32 if column.dtype.kind == "i" else jax.dtypes.canonicalize_dtype(np.float64)
