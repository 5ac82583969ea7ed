"""The integrity of a store's files: checksums, and JSON whose errors name the file."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["checksum", "files_are_there", "read_json"]


def checksum(file: Path) -> int:
    """CRC-32 of a file's bytes: it detects damage, not intent, and costs less than the write."""
    return zlib.crc32(file.read_bytes())


def files_are_there(folder: Path, checksums: Mapping[str, int], remedy: str) -> bool:
    """Whether files exist; raises if the bytes of one are not those that were written.

    Args:
      folder: where they are.
      checksums: `{file, relative to the folder: its CRC-32}`.
      remedy: what happens once a damaged file is removed, for the message.

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
                f"{remedy}"
            )
    return True


def read_json(file: Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
      file: the file.
      remedy: what to do where it is damaged, for the message.

    Raises:
      ValueError: if it holds no JSON object.
    """
    try:
        content = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file} is damaged (it holds no JSON object); {remedy}")
    return content
