"""Sweeps and tables that are kept: the same command goes on where it stopped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray

import initlab
from experiments.harness import checkpoints, runtime
from experiments.harness.command_line import FLAGS, current_settings
from initlab.sweeps.root import add_attributes
from initlab.sweeps.storage import open_storage
from initlab.training import Run

__all__ = ["fill", "sweep", "sweeps_home"]


def sweeps_home() -> str:
    """The folder or the URL that holds the experiment's sweeps."""
    return FLAGS.sweeps.rstrip("/") or str(Path(FLAGS.out) / "sweeps")


def cells_home() -> str:
    """The folder or the URL that holds the cells of the experiment's tables."""
    return f"{FLAGS.sweeps.rstrip('/') or FLAGS.out}/cells"


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
    """`checkpoints.fill`, stored in cells/ of --sweeps, or else of --out.

    Args:
      table: its cells, as for `checkpoints.fill`.
      find: what is found in a cell.

    Returns:
      What was found, as NumPy arrays.
    """
    return checkpoints.fill(cells_home(), table, find)
