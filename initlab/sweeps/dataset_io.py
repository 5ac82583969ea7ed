"""Results on disk: a Zarr store that plain xarray opens, replaced whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray

from initlab.files import replace_atomically
from initlab.sweeps.manifest import check_files, read_manifest, write_manifest

__all__ = ["load", "save"]

REMEDY = "restore it from a copy, or compute the results again"


def save(
    results: xarray.Dataset, path: Path, *, measured_with: Mapping[str, Any] | None = None
) -> None:
    """Writes the dataset as a Zarr store; an earlier one is replaced once this one is whole.

    Args:
      results: the dataset; its attrs must be what JSON can hold.
      path: the store's folder.
      measured_with: what decided the numbers, by name; what JSON can hold.
    """
    with replace_atomically(path) as partial:
        # The encoding holds the chunks of the sweep's store, which may no longer divide what was
        # computed from it.
        results.drop_encoding().to_zarr(partial, mode="w", consolidated=False, zarr_format=3)
        write_manifest(partial, measured_with or {})


def load(path: Path) -> tuple[xarray.Dataset, dict[str, Any] | None]:
    """Opens a store that `save` wrote, and checks every byte of it.

    Args:
      path: the store's folder.

    Returns:
      The dataset, in memory, and what it was measured with; None for a store without a manifest,
      which earlier versions wrote and which nothing can check.

    Raises:
      FileNotFoundError: if there is no store.
      ValueError: if a file of it is damaged; the message names it.
    """
    if not path.exists():
        raise FileNotFoundError(f"there are no results at {path}")
    if not path.is_dir():
        raise ValueError(f"{path} must be the folder of a Zarr store, and is a file; {REMEDY}")
    manifest = read_manifest(path, REMEDY)
    if manifest is not None:
        check_files(path, manifest["checksums"], REMEDY)
        return _read(path), manifest["measured_with"]
    try:
        return _read(path), None
    # Nothing has checked these files: whatever reading them raises, the message names the store.
    except Exception as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); {REMEDY}"
        ) from error


def _read(path: Path) -> xarray.Dataset:
    with xarray.open_zarr(path, consolidated=False, zarr_format=3) as results:
        return results.load()
