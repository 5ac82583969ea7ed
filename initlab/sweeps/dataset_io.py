"""Results on disk: a Zarr store that plain xarray opens, replaced whole or not at all."""

import shutil
from pathlib import Path

import xarray

__all__ = ["load", "save"]


def save(results: xarray.Dataset, path: Path) -> None:
    """Writes the dataset as a Zarr store; an earlier one is replaced once this one is whole.

    Args:
      results: the dataset; its attrs must be what JSON can hold.
      path: the store's folder.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    # Chunks that a sweep was written in may no longer fit what was made of it.
    results.drop_encoding().to_zarr(unfinished, mode="w", consolidated=False, zarr_format=3)
    if path.exists():
        shutil.rmtree(path)
    unfinished.rename(path)


def load(path: Path) -> xarray.Dataset:
    """Opens a store that `save` wrote.

    Args:
      path: the store's folder.

    Returns:
      The dataset, in memory.

    Raises:
      FileNotFoundError: if there is no store.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"there are no results at {path}")
    with xarray.open_zarr(path, consolidated=False) as results:
        return results.load()
