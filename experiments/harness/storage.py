"""Sweeps and tables that are kept: the same command goes on where it stopped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import xarray

import initlab
from experiments.harness import checkpoints, runtime
from experiments.harness.command_line import FLAGS, current_settings
from initlab.sweeps import processes
from initlab.sweeps.root import add_attributes
from initlab.sweeps.storage import open_storage
from initlab.training import Run

__all__ = ["fill", "sweep", "sweeps_home"]


def sweeps_home() -> str:
    """The folder or the URL that holds the experiment's sweeps."""
    return FLAGS.sweeps.rstrip("/") or str(Path(FLAGS.out) / "sweeps")


def sweep(
    run: Run | Callable[..., Run],
    axes: Mapping[Any, Iterable[Any]],
    *,
    name: str = "runs",
    structure: Mapping[str, Any] | None = None,
) -> xarray.Dataset:
    """`initlab.sweep`, stored in NAME.zarr of --sweeps, or in sweeps/NAME.zarr of --out.

    Args:
      run: a run, or with a structure a factory of runs.
      axes: as for `initlab.sweep`.
      name: of this sweep among the experiment's.
      structure: as for `initlab.sweep`.

    Returns:
      The results, opened lazily; their attrs hold the flags too.
    """
    path = f"{sweeps_home()}/{name}.zarr"
    results = initlab.sweep(run, axes, out=path, structure=structure, block=FLAGS.block)
    given = {"flags": current_settings()}
    # A store that is resumed keeps the flags that it was started with.
    if runtime.is_first() and "flags" not in results.attrs:
        add_attributes(open_storage(path), given)
    return results.assign_attrs(given)


def fill(
    table: Sequence[Mapping[str, Any]],
    find: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """`checkpoints.fill`, stored in cells/ of --out.

    Args:
      table: its cells, as for `checkpoints.fill`.
      find: what is found in a cell.

    Returns:
      What was found, as NumPy arrays.
    """
    if FLAGS.sweeps and jax.process_count() > 1:
        # Else the process that has a cell would go on, and the others wait for it in a sweep.
        processes.check_shared(Path(FLAGS.out), "--out")
    return checkpoints.fill(Path(FLAGS.out) / "cells", table, find)
