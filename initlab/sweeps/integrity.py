"""Files that a store needs: read and compared with what was written, errors that name the file."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["checksum", "files_are_there", "read_json"]


def checksum(file: Path) -> int:
    """CRC-32 of a file's bytes."""
    return zlib.crc32(file.read_bytes())


def files_are_there(folder: Path, checksums: Mapping[str, int], cure: str) -> bool:
    """Whether files exist, with the bytes that were written.

    Args:
      folder: where they are.
      checksums: `{file, relative to the folder: its CRC-32}`.
      cure: what removing a damaged file leads to, for the message.

    Returns:
      False if any is missing.

    Raises:
      ValueError: if one has other bytes.
    """
    for name, expected in checksums.items():
        file = folder / name
        if not file.is_file():
            return False
        if checksum(file) != expected:
            raise ValueError(
                f"{file} is damaged: its bytes are not those that were written; remove it, and "
                f"{cure}"
            )
    return True


def read_json(file: Path, cure: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
      file: the file.
      cure: what to do where it is damaged, for the message.

    Raises:
      ValueError: if it holds no JSON object.
    """
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); {cure}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} is damaged (it holds no JSON object); {cure}")
    return content
