"""A sweep's Zarr store, which plain xarray opens, and in it the record of what is finished."""

import re
from collections.abc import Mapping
from typing import Any

import xarray

from initlab.sweeps.encoding import ROOT, Encoder, open_encoder, skeleton
from initlab.sweeps.integrity import crc32, files_are_there, read_record, write_record
from initlab.sweeps.layout import Layout
from initlab.sweeps.plan import Plan
from initlab.sweeps.root import CHECKED, mend_root, with_checksums
from initlab.sweeps.specification import check_same, says_arithmetic
from initlab.sweeps.storage import Storage

__all__ = [
    "check_empty_or_sweep",
    "check_may_compute",
    "is_made",
    "open_files",
    "open_results",
    "prepare",
    "read_plan",
]

LOCK = "progress/lock"
RECORD = "progress/sweep.json"
"""Written once everything but chunks is there: the specification, the lengths of a chunk, and
checksums of the files that hold metadata and coordinates."""

AGAIN = "the same call writes it again"

COMPUTED = re.compile(r"progress/\d+\.json|.+/c(/\d+)+")
"""Markers, and files of chunks."""


def is_made(storage: Storage) -> bool:
    """Whether a store is there, finished or not."""
    return storage.read(RECORD) is not None


def check_empty_or_sweep(storage: Storage) -> None:
    """Raises ValueError if anything but a sweep is there, finished or not."""
    if storage.read(LOCK) is not None or is_made(storage):
        return
    if next(storage.names(), None) is not None:
        raise ValueError(f"out must be empty or a sweep's folder; {storage.name} holds other files")


def prepare(storage: Storage, layout: Layout, plan: Plan, specification: Mapping[str, Any]) -> None:
    """Makes the store, or checks that the one that is there is this sweep's and whole.

    Metadata or coordinates that are missing are written again. The caller holds the lock.

    Args:
      storage: where the store is.
      layout: what the results hold.
      plan: the chunks, for a store that is not there yet.
      specification: what decides the bits.

    Raises:
      ValueError: if the store was made by another sweep, or is damaged.
      OSError: if it cannot be written.
    """
    if is_made(storage):
        record = _read_record(storage)
        check_same(storage.name, record["specification"], specification)
        files = skeleton(layout, read_plan(storage, plan), record["specification"])
        root = files.pop(ROOT)
        checksums = _mend(storage, files, record["checksums"])
        mend_root(storage, root)
        if checksums != record["checksums"]:
            write_record(storage, RECORD, {**record, "checksums": checksums})
    else:
        # Of a sweep whose record is lost: its chunks are nobody's, and perhaps another sweep's.
        for name in filter(COMPUTED.fullmatch, list(storage.names())):
            storage.delete(name)
        files = skeleton(layout, plan, specification)
        root = files.pop(ROOT)
        for _ in storage.map(lambda file: storage.write(*file), files.items()):
            pass
        storage.write(ROOT, with_checksums(root))
        checksums = {name: crc32(content) for name, content in files.items()}
        record = {"specification": specification, "chunk": list(plan.chunk)}
        write_record(storage, RECORD, {**record, "checksums": checksums})
    storage.clean()


def read_plan(storage: Storage, plan: Plan) -> Plan:
    """The plan with the chunks that the store was made with."""
    chunk = _read_record(storage)["chunk"]
    if len(chunk) != len(plan.lengths) or any(type(part) is not int or part < 1 for part in chunk):
        where = storage.locate(RECORD)
        raise ValueError(f"{where} is damaged (its chunk is {chunk}); {_remedy(storage)}")
    return plan._replace(chunk=tuple(chunk))


def check_may_compute(storage: Storage) -> None:
    """Raises ValueError if a store does not say by which arithmetic its chunks were computed."""
    if not says_arithmetic(_read_record(storage)["specification"]):
        raise ValueError(
            f"{storage.name} lacks chunks, and was begun by a version that did not record XLA's "
            "flags and the instruction set: other ones would mix other bits into it. Choose "
            "another folder, or finish it with that version (`revision` in its attributes)"
        )


def open_files(storage: Storage, layout: Layout) -> Encoder:
    """What encodes the variables' chunks, by the metadata that the store has."""
    names = list(layout.variables)
    contents = storage.map(lambda name: storage.read(f"{name}/{ROOT}"), names)
    return open_encoder(
        {name: content for name, content in zip(names, contents, strict=True) if content}
    )


def open_results(storage: Storage) -> xarray.Dataset:
    """The store as a dataset, opened lazily; arrays that others added are left out."""
    # By the root's copies of all metadata: of other files that lie in the folder Zarr would warn.
    results = xarray.open_zarr(storage.zarr_store(), consolidated=True, chunks=None)
    results.attrs.pop(CHECKED, None)
    # xarray reads text as a dtype of NumPy's that other formats do not know.
    text = {
        name: (column.dims, column.values.astype(object), column.attrs)
        for name, column in results.coords.items()
        if column.dtype.kind == "T"
    }
    return results.assign_coords(text)


def _read_record(storage: Storage) -> dict[str, Any]:
    entries = {"specification": dict, "chunk": list, "checksums": dict}
    return read_record(storage, RECORD, entries, _remedy(storage))


def _mend(storage: Storage, files: Mapping[str, bytes], known: Mapping[str, int]) -> dict[str, int]:
    """Writes what is missing of metadata and coordinates; the checksums of what is there then."""
    checksums = dict(known)
    for name, content in files.items():
        if not name.endswith(ROOT):
            continue
        data = f"{name.removesuffix(ROOT)}c/0"
        own = {each: files[each] for each in (name, data) if each in files}
        if own.keys() <= known.keys() and files_are_there(
            storage, {each: known[each] for each in own}, AGAIN
        ):
            continue
        # Chunks stay where a variable's metadata are missing, and are read by what is written.
        if data not in own and known.get(name) not in (None, crc32(content)):
            raise ValueError(
                f"{storage.locate(name)} is missing, and this version of zarr would write another; "
                f"{_remedy(storage)}"
            )
        for each, bytes_of_it in own.items():
            storage.write(each, bytes_of_it)
            checksums[each] = crc32(bytes_of_it)
    return checksums


def _remedy(storage: Storage) -> str:
    return f"restore it from a copy, or remove {storage.name} and start again"
