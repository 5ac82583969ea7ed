"""The integrity of a store's files: checksums, and JSON whose errors name the file."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from initlab.sweeps.storage import Storage

__all__ = ["checksum", "crc32", "files_are_there", "read_json", "read_record", "write_record"]

OWN = "crc32"
"""What a record calls the checksum of its own other entries."""


def crc32(content: bytes) -> int:
    """CRC-32 of bytes: it detects damage, not intent, and costs less than the write."""
    return zlib.crc32(content)


def checksum(file: Path) -> int:
    """CRC-32 of a file's bytes."""
    return crc32(file.read_bytes())


def files_are_there(storage: Storage, checksums: Mapping[str, int], remedy: str) -> bool:
    """Whether files exist; raises if the bytes of one are not those that were written.

    Args:
      storage: where they are.
      checksums: `{file: its CRC-32}`.
      remedy: what happens once a damaged file is removed, for the message.

    Returns:
      False if any is missing.

    Raises:
      ValueError: if one has other bytes.
      OSError: if one cannot be read.
    """
    for name, expected in checksums.items():
        content = storage.read(name)
        if content is None:
            return False
        if crc32(content) != expected:
            raise ValueError(
                f"{storage.locate(name)} is damaged: its bytes are not those that were written; "
                f"remove it, and {remedy}"
            )
    return True


def read_json(storage: Storage, name: str, remedy: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
      storage: where it is.
      name: the file.
      remedy: what to do where it is damaged, for the message.

    Raises:
      ValueError: if it is missing or holds no JSON object.
      OSError: if it cannot be read.
    """
    content = storage.read(name)
    where = storage.locate(name)
    if content is None:
        raise ValueError(f"{where} is missing; {remedy}")
    try:
        said = json.loads(content)
    # Nested a thousand deep, as random bytes rarely are.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is damaged ({error}); {remedy}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{where} is damaged (it holds no JSON object); {remedy}")
    return said


def write_record(storage: Storage, name: str, content: Mapping[str, Any]) -> None:
    """Writes what resuming reads, with a checksum of itself, whole or not at all."""
    # Not files.write_json, whose null for an infinity would not equal the specification again.
    record = {**content, OWN: _own_checksum(content)}
    storage.write(name, (json.dumps(record, indent=1) + "\n").encode())


def read_record(
    storage: Storage, name: str, entries: Mapping[str, type | tuple[type, ...]], remedy: str
) -> dict[str, Any]:
    """What `write_record` wrote; records of earlier versions have no checksum of themselves.

    Args:
      storage: where it is.
      name: the file.
      entries: what it must hold, with its types.
      remedy: what to do where it is damaged, for the message.

    Raises:
      ValueError: if it is missing or damaged.
      OSError: if it cannot be read.
    """
    record = read_json(storage, name, remedy)
    where = storage.locate(name)
    if lacking := sorted(set(entries) - set(record)):
        raise ValueError(f"{where} is damaged (it lacks {lacking}); {remedy}")
    strange = [each for each, kinds in entries.items() if not isinstance(record[each], kinds)]
    own = record.pop(OWN, None)
    if strange or own not in (None, _own_checksum(record)):
        raise ValueError(f"{where} is damaged (its entries are not what was written); {remedy}")
    return record


def _own_checksum(content: Mapping[str, Any]) -> int:
    return crc32(json.dumps(content, sort_keys=True).encode())
