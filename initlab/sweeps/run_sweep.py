"""Runs over the product of axes and structure, computed in chunks, as one labelled dataset."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray

from initlab import checks
from initlab.sweeps.axes import read_axes
from initlab.sweeps.computation import Job, compute_chunks
from initlab.sweeps.layout import Layout, arrange, lay_out
from initlab.sweeps.plan import Plan, chunk_lengths
from initlab.sweeps.program import check_memory, choose_block, trace_run
from initlab.sweeps.progress import progress_bar
from initlab.sweeps.resume import write_sweep
from initlab.sweeps.storage import Location, open_storage
from initlab.sweeps.structure import read_structure
from initlab.training import Run

__all__ = ["sweep"]

CHUNK_BLOCKS = 16
"""Blocks of a chunk: an interruption loses up to one chunk's runs."""

CHUNK_BYTES = 2**26
"""Bytes of a chunk's results at most, unless one run has more."""


@checks.checked
def sweep(
    run: Run | Callable[..., Run],
    axes: Mapping[Any, Iterable[Any]],
    *,
    out: Location | None = None,
    structure: Mapping[str, Any] | None = None,
    block: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """`results[name][i_1, i_2, ...] = run({axis: value})`, for the product of the axes.

    Each run is compiled once; `block` of them are computed on each device at a time. The bits of
    the results do not depend on the number of devices or processes, the order of the axes' values,
    chunks or interruptions, on the same backend, version and block.

    Args:
      run: what `make_run` describes; with a structure, a factory `factory(**names) -> run`.
      axes: `{name of a scalar of the point: its values}`; "seed" is one of them. A tuple of names
        with tuples of values is one zipped axis: its dimension is called by the names joined with
        "_", and each name is a coordinate along it.
      out: the folder of a Zarr store, or "s3://bucket/prefix", "gs://bucket/prefix" or
        "memory://name" (with the extra `cloud`). Finished chunks are kept there, and the same call,
        made again, computes only what is missing. Results are held in memory when absent.
      structure: `{name: [number or text, ...]}` or `{name: {label: value}}`: what the factory is
        given, one run for each combination, the first dimensions of the results.
      block: runs on one device at a time, a divisor or a multiple of 16; when absent up to 128 on a
        CPU, fewer for large networks, and on an accelerator what its memory and cores can take; no
        larger than the sweep needs.
      devices: where to run; all devices of this process when absent.
      progress: whether to show a bar where stderr is a terminal.

    Returns:
      A dataset with structure and axes as dimensions and coordinates, then `step`, then `layer` for
      what is measured on each layer; its attrs hold compile_seconds and run_seconds. With `out` it
      is opened lazily, and its attrs say all that is needed to run the sweep again.

    Raises:
      TypeError: if an axis is not named by text or does not hold numbers, or run is no run.
      ValueError: if an axis is empty, has a reserved name or holds a value twice, NaN or infinity;
        if the run does not use an axis or lacks one; if there are no devices; if runs of a
        structure differ in steps or in what they measure; whatever the run's initializer says of a
        value; if `out` was made by another sweep or under another arithmetic, as XLA_FLAGS or the
        CPU's instructions (with what differs), has an unknown scheme, or is damaged.
      ImportError: if `out` is a URL and obstore is not installed.
      OSError: if `out` cannot be written, or another sweep is writing it.
      KeyboardInterrupt: on Ctrl-C, saying how many runs are kept.

    Example: `results = initlab.sweep(run, {"seed": range(10), "scale": [0.1, 1]}, out="runs.zarr")`
    """
    storage = None if out is None else open_storage(out)
    numbers = read_axes(axes)
    combinations = read_structure(run, structure, numbers)
    here = _check_devices(devices)
    if storage is None and jax.process_count() > 1:
        raise ValueError(
            "a sweep of several processes requires out, a folder that all of them write"
        )
    lengths = tuple(axis.length for axis in numbers)
    block = choose_block(block, combinations.runs, here[0], math.prod(lengths))
    check_memory(combinations.runs, block, here[0])
    # Traced before a store is made, so that a run that fails leaves no folder behind.
    runs = [trace_run(each, numbers) for each in combinations.runs]
    layout = lay_out(combinations, numbers, [each.shapes for each in runs])
    together = min(max(CHUNK_BLOCKS, len(here)) * block, CHUNK_BYTES // layout.bytes_for_each_run)
    plan = Plan(combinations.lengths, lengths, chunk_lengths(lengths, together))
    # A device beyond these would compute padding only.
    needed = -(-math.prod(plan.chunk) // block)
    job = Job(runs, numbers, block, here[:needed])
    if storage is None:
        return _in_memory(job, layout, plan, progress)
    return write_sweep(job, combinations, layout, plan, storage, progress)


def _in_memory(job: Job, layout: Layout, plan: Plan, progress: bool) -> xarray.Dataset:
    arrays = {
        name: np.empty(variable.shape, variable.dtype)
        for name, variable in layout.variables.items()
    }
    compile_seconds = run_seconds = 0.0
    with progress_bar(plan.runs, 0, 0, wanted=progress) as bar:
        for computed in compute_chunks(job, plan.chunks(), bar.update):
            for name, part in arrange(layout, computed.chunk, computed.history).items():
                arrays[name][computed.chunk.region] = part
            compile_seconds += computed.compile_seconds
            run_seconds += computed.run_seconds
    results = layout.coordinates.assign(
        {
            name: (variable.dims, arrays[name], dict(variable.attrs))
            for name, variable in layout.variables.items()
        }
    )
    return results.assign_attrs(compile_seconds=compile_seconds, run_seconds=run_seconds)


def _check_devices(given: Sequence[Any] | None) -> list[Any]:
    here = jax.local_devices()
    devices = list(here if given is None else given)
    if not devices:
        raise ValueError("devices must hold at least one device, got none")
    for position, device in enumerate(devices):
        if not hasattr(device, "process_index"):
            raise TypeError(f"devices[{position}] must be a JAX device, got {device!r:.80}")
    if strange := [device for device in devices if device.process_index != jax.process_index()]:
        raise ValueError(f"devices must be this process's own, {here}, got {strange}")
    if len({device.platform for device in devices}) > 1 or len(set(devices)) < len(devices):
        raise ValueError(f"devices must be of one kind, each once, got {devices}")
    return devices
