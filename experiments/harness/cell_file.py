"""A table's cell as a file: its values, what decided them, and checksums of both."""

import io
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from initlab.sweeps.storage import Storage

__all__ = ["read", "write"]

GIVEN, MANIFEST = "given", "manifest"
"""Entries of the file beside the values."""

REMEDY = "remove it, and the same call finds its cell again"


def write(storage: Storage, name: str, given: str, values: Mapping[str, np.ndarray]) -> None:
    """Writes a cell, whole or not at all.

    Args:
      storage: where it is kept.
      name: the file's.
      given: everything that decided the values, as JSON.
      values: by name.
    """
    arrays = {**values, GIVEN: np.asarray(given)}
    manifest = json.dumps({name: _checksum(array) for name, array in arrays.items()})
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays, **{MANIFEST: np.asarray(manifest)})
    storage.write(name, content.getvalue())


def read(storage: Storage, name: str, given: str) -> dict[str, np.ndarray] | None:
    """The values of a cell.

    Args:
      storage: where it is kept.
      name: a file of `write`.
      given: what decides the values that are wanted, as JSON.

    Returns:
      The values by name; None where there is no such file.

    Raises:
      ValueError: if the file is damaged, or holds the values of another cell.
      OSError: if it cannot be read.
    """
    path = storage.locate(name)
    try:
        content = storage.read(name)
    except IsADirectoryError as error:
        raise ValueError(f"{path} is damaged (it is a folder); {REMEDY}") from error
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            arrays: dict[str, np.ndarray] = dict(kept)
        manifest: Any = json.loads(str(arrays.pop(MANIFEST)))
        is_whole = manifest == {name: _checksum(array) for name, array in arrays.items()}
    # Files in which bytes have changed raise as much as the readers of zip, NumPy and JSON can.
    except Exception as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}); {REMEDY}"
        ) from error
    if not is_whole:
        raise ValueError(f"{path} is damaged: its values are not those that were written; {REMEDY}")
    held = str(arrays.pop(GIVEN))
    if held != given:
        raise ValueError(f"{path} holds another cell ({_difference(held, given)}); {REMEDY}")
    return arrays


def _checksum(array: np.ndarray) -> int:
    # The header too: the same bytes in another shape or dtype are other numbers.
    header = f"{array.dtype.str} {array.shape}\n".encode()
    return zlib.crc32(np.ascontiguousarray(array).tobytes(), zlib.crc32(header))


def _difference(held: str, given: str) -> str:
    """The first entry of two cells, in JSON, that differs."""
    there, here = json.loads(held), json.loads(given)
    for part in sorted(here):
        one, other = there.get(part), here[part]
        if isinstance(one, dict) and isinstance(other, dict):
            for name in sorted(one.keys() | other.keys()):
                if one.get(name) != other.get(name):
                    return f"{name}: there {one.get(name)!r}, here {other.get(name)!r}"
        elif one != other:
            return f"{part}: there {one!r}, here {other!r}"
    return "its description is written otherwise"
