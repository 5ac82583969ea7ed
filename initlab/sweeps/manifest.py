"""A folder's manifest: the checksum of every file that was written, and what it was made with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from initlab.sweeps.integrity import checksum

__all__ = ["check_files", "read_manifest", "write_manifest"]

MANIFEST = "manifest/zarr.json"
"""A Zarr group whose attributes are the manifest: plain readers of the store pass it by."""


def write_manifest(folder: Path, measured_with: Mapping[str, Any]) -> None:
    """Writes the checksums of all files that are in a Zarr store.

    Args:
      folder: the store's, whole.
      measured_with: what decided its numbers, by name; what JSON can hold.
    """
    checksums = {name: checksum(folder / name) for name in sorted(_files(folder))}
    attributes = {"checksums": checksums, "measured_with": dict(measured_with)}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (folder / MANIFEST).parent.mkdir()
    (folder / MANIFEST).write_text(json.dumps(group, indent=1) + "\n")


def read_manifest(folder: Path, remedy: str) -> dict[str, Any] | None:
    """What `write_manifest` wrote, None for a store that has no manifest.

    Args:
      folder: the store's.
      remedy: what to do where it is damaged, for the message.

    Returns:
      "checksums" and "measured_with", or None.

    Raises:
      ValueError: if it is damaged.
    """
    path = folder / MANIFEST
    if not path.parent.exists():
        return None
    try:
        attributes = json.loads(path.read_text())["attributes"]
        parts = {name: attributes[name] for name in ("checksums", "measured_with")}
    # A file that is missing, a folder in its place, no text, no JSON, another object, lists.
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); {remedy}"
        ) from error
    if not all(isinstance(each, dict) for each in parts.values()):
        raise ValueError(f"{path} is damaged (it holds no checksums); {remedy}")
    return parts


def check_files(folder: Path, checksums: Mapping[str, int], remedy: str) -> None:
    """Raises unless a folder holds the files that were written, and no other.

    Args:
      folder: the store's.
      checksums: of its manifest.
      remedy: what to do where a file is damaged, for the message.

    Raises:
      ValueError: naming the file that is missing, has other bytes or was not written.
    """
    found = _files(folder)
    for name in sorted(checksums.keys() - found):
        raise ValueError(f"{folder / name} is missing; {remedy}")
    for name in sorted(found - checksums.keys()):
        raise ValueError(
            f"{folder / name} is not of these results (it has no checksum); remove it, or {remedy}"
        )
    for name, expected in checksums.items():
        if checksum(folder / name) != expected:
            raise ValueError(
                f"{folder / name} is damaged: its bytes are not those that were written; {remedy}"
            )


def _files(folder: Path) -> set[str]:
    """Names of a store's files, but the manifest and what systems add, as .DS_Store."""
    names = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return {name for name in names if name != MANIFEST and not Path(name).name.startswith(".")}
