"""A sweep's Zarr store, which plain xarray opens, and in it the record of what is finished."""

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from initlab.files import replace_atomically
from initlab.sweeps import provenance
from initlab.sweeps.integrity import checksum, files_are_there, read_json
from initlab.sweeps.layout import Layout, fill_value
from initlab.sweeps.plan import Plan
from initlab.sweeps.specification import check_same

__all__ = [
    "LOCK",
    "add_attributes",
    "check_folder",
    "open_arrays",
    "open_results",
    "prepare",
    "read_attributes",
    "read_plan",
    "write_record",
]

LOCK = "progress/lock"
GROUP = "progress/zarr.json"
RECORD = "progress/sweep.json"
"""Written once everything but chunks is there: the specification, the lengths of a chunk, and
checksums of the files that hold metadata and coordinates."""


def check_folder(path: Path) -> None:
    """Raises ValueError if the folder holds anything but a sweep, finished or not."""
    if path.is_dir() and any(path.iterdir()) and not (path / LOCK).exists():
        raise ValueError(f"out must be empty or a sweep's folder; {path} holds other files")


def prepare(path: Path, layout: Layout, plan: Plan, specification: Mapping[str, Any]) -> None:
    """Makes the store, or checks that the one that is there is this sweep's and whole.

    Metadata or coordinates that are missing are written again. The caller holds the lock.

    Args:
      path: the store's folder.
      layout: what the results hold.
      plan: the chunks, for a store that is not there yet.
      specification: what decides the bits.

    Raises:
      ValueError: if the store was made by another sweep, or is damaged.
      OSError: if it cannot be written.
    """
    is_new = not (path / RECORD).exists()
    if is_new:
        record: dict[str, Any] = {
            "specification": specification,
            "chunk": list(plan.chunk),
            "checksums": {},
        }
    else:
        record = _read_record(path)
        check_same(path, record["specification"], specification)
        plan = plan._replace(chunk=tuple(record["chunk"]))
    checksums = dict(record["checksums"])
    for name, (arguments, data) in _nodes(layout, plan).items():
        files = [f"{name}/zarr.json"] + ([f"{name}/c/0"] if data is not None else [])
        known = {file: checksums.get(file, 0) for file in files}
        if is_new or not files_are_there(path, known, "the same call writes it again"):
            # A variable's chunks stay where only its metadata is missing.
            _write_node(path, name, arguments, data, overwrite=is_new or data is not None)
            checksums |= {file: checksum(path / file) for file in files}
    known = {GROUP: checksums.get(GROUP, 0)}
    if is_new or not files_are_there(path, known, "the same call writes it again"):
        _write_group(path)
        checksums[GROUP] = checksum(path / GROUP)
    if is_new or not (path / "zarr.json").exists():
        _write_root(path, layout, specification)
    read_attributes(path)
    if is_new or checksums != record["checksums"]:
        write_record(path / RECORD, {**record, "checksums": checksums})
    # Temporary files of a writer that was killed: ours and Zarr's, which end alike.
    for unfinished in path.rglob("*.partial"):
        unfinished.unlink()


def read_plan(path: Path, plan: Plan) -> Plan:
    """The plan with the chunks that the store was made with."""
    return plan._replace(chunk=tuple(_read_record(path)["chunk"]))


def open_arrays(path: Path, layout: Layout) -> dict[str, Any]:
    """Every variable's Zarr array, to be written."""
    import zarr

    return {
        name: zarr.open_array(path / name, mode="r+").with_config({"write_empty_chunks": True})
        for name in layout.variables
    }


def open_results(path: Path) -> xarray.Dataset:
    """The store as a dataset, opened lazily."""
    results = xarray.open_zarr(path, consolidated=False, chunks=None)
    # xarray reads text as a dtype of NumPy's that other formats do not know.
    text = {
        name: (column.dims, column.values.astype(object), column.attrs)
        for name, column in results.coords.items()
        if column.dtype.kind == "T"
    }
    return results.assign_coords(text)


def read_attributes(path: Path) -> dict[str, Any]:
    """The store's attributes; ValueError if its zarr.json is damaged."""
    remedy = "remove it, and the same call writes it again"
    attributes = read_json(path / "zarr.json", remedy).get("attributes")
    if not isinstance(attributes, dict):
        raise ValueError(f"{path / 'zarr.json'} is damaged (it holds no attributes); {remedy}")
    return attributes


def add_attributes(path: Path, attributes: Mapping[str, Any]) -> None:
    """Adds to the store's attributes, or replaces them by name."""
    import zarr

    with _naming(path / "zarr.json"):
        zarr.open_group(path, mode="r+").attrs.update(dict(attributes))


def write_record(file: Path, content: Mapping[str, Any]) -> None:
    """Writes what resuming reads, whole or not at all."""
    # Not files.write_json, whose null for an infinity would not equal the specification again.
    with _naming(file), replace_atomically(file) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


def _read_record(path: Path) -> dict[str, Any]:
    remedy = f"restore it from a copy, or remove {path} and start again"
    record = read_json(path / RECORD, remedy)
    if missing := {"specification", "chunk", "checksums"} - set(record):
        raise ValueError(f"{path / RECORD} is damaged (it lacks {sorted(missing)}); {remedy}")
    return record


def _nodes(layout: Layout, plan: Plan) -> dict[str, tuple[dict[str, Any], np.ndarray | None]]:
    """Arguments of each Zarr array, and what is written into it at once."""
    nodes: dict[str, tuple[dict[str, Any], np.ndarray | None]] = {}
    runs = (*(1 for _ in plan.structure), *plan.chunk)
    for name, variable in layout.variables.items():
        nodes[name] = (
            {
                "shape": variable.shape,
                # A Zarr chunk is one of ours, so that no two writers share one.
                "chunks": (*runs, *variable.shape[len(runs) :]),
                "dtype": variable.dtype,
                "fill_value": fill_value(variable.dtype),
                "dimension_names": variable.dims,
                "attributes": dict(variable.attrs),
            },
            None,
        )
    for name, column in layout.coordinates.coords.items():
        arguments = {
            "shape": column.shape,
            "chunks": column.shape,
            "dtype": str if column.dtype == object else column.dtype,
            "dimension_names": column.dims,
            "attributes": dict(column.attrs),
        }
        nodes[str(name)] = (arguments, column.values)
    return nodes


def _write_node(
    path: Path, name: str, arguments: dict[str, Any], data: np.ndarray | None, *, overwrite: bool
) -> None:
    import zarr

    with _naming(path / name):
        array = zarr.create_array(
            path,
            name=name,
            overwrite=overwrite,
            config={"write_empty_chunks": True},
            **arguments,
        )
        if data is not None:
            array[:] = data


def _write_group(path: Path) -> None:
    """Makes progress/ a group, so that Zarr knows it among the store's members."""
    import zarr

    with _naming(path / GROUP):
        (path / GROUP).unlink(missing_ok=True)
        zarr.open_group(path, path="progress", mode="a")


def _write_root(path: Path, layout: Layout, specification: Mapping[str, Any]) -> None:
    import zarr

    attributes = {
        "specification": specification,
        **provenance.provenance(),
        "complete": False,
    }
    coordinates = layout.coordinates
    if zipped := [str(name) for name in coordinates.coords if name not in coordinates.dims]:
        # How xarray knows a coordinate that is no dimension.
        attributes["coordinates"] = " ".join(zipped)
    with _naming(path / "zarr.json"):
        zarr.open_group(path, mode="a").attrs.update(attributes)
        # With copies of all metadata in one place, xarray opens the store without a warning. Zarr
        # warns that not every reader knows them, and of our own files in progress/.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(path)


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Adds the file's name to an OSError that lacks one, as that of a full disk does."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(file)) from error
