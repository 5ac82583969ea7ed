"""Runs computed in blocks of one fixed shape, spread over devices, gathered into a dataset."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from initlab import checks
from initlab.sweeps.axes import axis_values, grid_points
from initlab.sweeps.labels import label
from initlab.training import Run
from initlab.types import Trace

__all__ = ["sweep"]

CPU_BLOCK = 64
"""Runs that one CPU device computes together: few enough to stay in its cache."""

ACCELERATOR_BLOCK = 4096
"""Runs that one accelerator computes together: enough to fill it."""


def sweep(
    run: Run,
    axes: Mapping[str, Iterable[Any]],
    *,
    block: int | None = None,
    devices: Sequence[Any] | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """`results[name][i_1, i_2, ...] = run({axis: value})`, for the product of the axes.

    One program is compiled; it computes `block` runs on each device at a time. The results do not
    depend on the number of devices, on the same backend, version and block.

    Args:
      run: what `make_run` describes.
      axes: `{name of a scalar of the point: its values}`; "seed" is one of them.
      block: runs on one device at a time; 64 on a CPU, 4096 on an accelerator when absent.
      devices: where to run; all local devices when absent.
      progress: whether to show a bar where the output is a terminal.

    Returns:
      A dataset with the axes as dimensions and coordinates, then `step`, then `layer` for what is
      measured on each layer; its attrs hold compile_seconds and run_seconds.

    Raises:
      TypeError: if an axis is not named by text or does not hold numbers.
      ValueError: if an axis is empty, has a reserved name or holds a value twice, NaN or infinity;
        if the run does not use an axis or lacks one; if there are no devices; and whatever the
        run's initializer says of a value.
    """
    values = axis_values(axes)
    _check_every_value(run, values)
    devices = list(jax.local_devices() if devices is None else devices)
    if not devices:
        raise ValueError("devices must hold at least one device, got none")
    if block is None:
        block = CPU_BLOCK if devices[0].platform == "cpu" else ACCELERATOR_BLOCK
    checks.check_count("block", block, 1)

    points = grid_points(values)
    total = next(iter(points.values())).size
    # Never by the number of devices: the block decides the bits.
    block = min(block, total)
    devices = devices[: -(-total // block)]
    chunk = block * len(devices)
    sharding = NamedSharding(Mesh(np.asarray(devices), ("runs",)), PartitionSpec("runs"))

    def inputs(first: int) -> dict[str, jax.Array]:
        # The last chunk is filled up with its last point, so that every chunk has one shape.
        rows = np.minimum(np.arange(first, first + chunk), total - 1)
        return {
            name: jax.device_put(_narrow(column[rows]), sharding) for name, column in points.items()
        }

    began = time.perf_counter()
    compiled = _compile(run, sharding, inputs(0))
    compile_seconds = time.perf_counter() - began

    began = time.perf_counter()
    pieces = []
    with tqdm(total=total, unit="run", disable=None if progress else True) as bar:
        for first in range(0, total, chunk):
            pieces.append(jax.device_get(compiled(inputs(first))))
            bar.update(min(chunk, total - first))
    run_seconds = time.perf_counter() - began

    trace = jax.tree.map(lambda *parts: np.concatenate(parts)[:total], *pieces)
    results = label(trace, values, run.layers)
    return results.assign_attrs(compile_seconds=compile_seconds, run_seconds=run_seconds)


def _compile(run: Run, sharding: NamedSharding, inputs: dict[str, jax.Array]):
    """The program for one chunk: each device computes its own block, and nothing is exchanged."""

    def measured(point: dict[str, jax.Array]) -> Trace:
        return run(point)._replace(params=())

    across = jax.shard_map(
        jax.vmap(measured),
        mesh=sharding.mesh,
        in_specs=sharding.spec,
        out_specs=sharding.spec,
        check_vma=False,
    )
    return jax.jit(across).lower(inputs).compile()


def _check_every_value(run: Run, values: Mapping[str, np.ndarray]) -> None:
    """Lets the run look at each value of each axis once, beside the first values of the others."""
    first = {name: column[0].item() for name, column in values.items()}
    for name, column in values.items():
        for value in column.tolist():
            try:
                run.check(first | {name: value})
            except (TypeError, ValueError) as error:
                raise type(error)(f"axis {name!r}, value {value!r}: {error}") from error


def _narrow(column: np.ndarray) -> np.ndarray:
    kind = np.int32 if column.dtype.kind == "i" else jax.dtypes.canonicalize_dtype(np.float64)
    return column.astype(kind)
