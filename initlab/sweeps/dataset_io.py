"""Results on disk: a Zarr store that plain xarray opens, replaced whole or not at all."""

from pathlib import Path

import xarray

from initlab.files import replace_atomically

__all__ = ["load", "save"]


def save(results: xarray.Dataset, path: Path) -> None:
    """Writes the dataset as a Zarr store; an earlier one is replaced once this one is whole.

    Args:
      results: the dataset; its attrs must be what JSON can hold.
      path: the store's folder.
    """
    with replace_atomically(path) as partial:
        # The encoding holds the chunks of the sweep's store, which may no longer divide what was
        # computed from it.
        results.drop_encoding().to_zarr(partial, mode="w", consolidated=False, zarr_format=3)


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
