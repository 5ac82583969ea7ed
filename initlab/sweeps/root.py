"""The store's root: attributes that are checked one by one, and copies of its arrays' metadata."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from initlab.sweeps.encoding import GROUP, ROOT
from initlab.sweeps.integrity import read_json
from initlab.sweeps.storage import Storage

__all__ = ["CHECKED", "add_attributes", "mend_root", "read_attributes", "with_checksums"]

CHECKED = "attributes_crc32"
"""The attribute that holds a CRC-32 of each that was written here; others may add more."""

REMEDY = "remove it, and the same call writes it again"


def read_attributes(storage: Storage) -> dict[str, Any]:
    """The store's attributes.

    Raises:
      ValueError: if its zarr.json is damaged.
    """
    return _read(storage)["attributes"]


def add_attributes(storage: Storage, attributes: Mapping[str, Any]) -> None:
    """Adds to the store's attributes, or replaces them by name."""
    root = _read(storage)
    root["attributes"] |= attributes
    _write(storage, root, attributes)


def with_checksums(root: bytes) -> bytes:
    """The root's file with checksums of all its attributes."""
    content = json.loads(root)
    return _encoded(content, content["attributes"])


def mend_root(storage: Storage, fresh: bytes) -> None:
    """Writes the root again where it is missing or does not repeat its arrays' metadata.

    Args:
      storage: the store, whose other metadata are whole.
      fresh: the root of a new store of its specification.

    Raises:
      ValueError: if its attributes are damaged.
      OSError: if it must be written, and cannot be.
    """
    if storage.read(ROOT) is None:
        storage.write(ROOT, with_checksums(fresh))
        return
    root, new = _read(storage), json.loads(fresh)
    # Stores of earlier versions have no checksums of attributes.
    for name in ("specification", "coordinates"):
        if root["attributes"].get(name) != new["attributes"].get(name):
            raise _damaged(storage, name)
    copies = new["consolidated_metadata"]["metadata"]
    for name in copies:
        if (content := storage.read(f"{name}/{ROOT}")) is not None and f"{name}/{ROOT}" != GROUP:
            copies[name] = json.loads(content)
    same = ("zarr_format", "node_type", "consolidated_metadata")
    if any(root.get(key) != new[key] for key in same):
        _write(storage, {**new, "attributes": root["attributes"]}, {})


def _read(storage: Storage) -> dict[str, Any]:
    root = read_json(storage, ROOT, REMEDY)
    attributes = root.get("attributes")
    if not isinstance(attributes, dict):
        where = storage.locate(ROOT)
        raise ValueError(f"{where} is damaged (it holds no attributes); {REMEDY}")
    checksums = attributes.get(CHECKED, {})
    if not isinstance(checksums, dict):
        raise _damaged(storage, CHECKED)
    for name, expected in checksums.items():
        if name not in attributes or _checksum(attributes[name]) != expected:
            raise _damaged(storage, name)
    return root


def _write(storage: Storage, root: dict[str, Any], written: Mapping[str, Any]) -> None:
    storage.write(ROOT, _encoded(root, written))


def _encoded(root: dict[str, Any], written: Mapping[str, Any]) -> bytes:
    attributes = json.loads(json.dumps(root["attributes"]))
    checksums = {name: _checksum(attributes[name]) for name in written}
    attributes[CHECKED] = {**attributes.get(CHECKED, {}), **checksums}
    return json.dumps({**root, "attributes": attributes}, indent=2).encode()


def _checksum(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _damaged(storage: Storage, name: str) -> ValueError:
    where = storage.locate(ROOT)
    return ValueError(
        f"{where} is damaged (its attribute {name!r} is not what was written); {REMEDY}"
    )
