"""A store's files as bytes: Zarr makes them in memory, and the storage writes them."""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from initlab.sweeps import provenance
from initlab.sweeps.layout import Layout, fill_value
from initlab.sweeps.plan import Plan

__all__ = ["GROUP", "ROOT", "Encoder", "encode", "open_encoder", "skeleton"]

ROOT = "zarr.json"
GROUP = "progress/zarr.json"


class Encoder(NamedTuple):
    """The variables' arrays, and the files that are made when something is assigned to them."""

    arrays: Mapping[str, Any]
    files: dict[str, Any]


def skeleton(layout: Layout, plan: Plan, specification: Mapping[str, Any]) -> dict[str, bytes]:
    """All of a new store but the record and the chunks.

    Args:
      layout: what the results hold.
      plan: the chunks.
      specification: what decides the bits.

    Returns:
      `{file: its bytes}`: the root's metadata, each variable's, and the coordinates.
    """
    import zarr
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {}
    store = MemoryStore(files)
    zarr.open_group(store, mode="w", attributes=_attributes(layout, specification))
    # A group, so that Zarr knows it among the store's members.
    zarr.open_group(store, path="progress", mode="w")
    for name, (arguments, data) in _nodes(layout, plan).items():
        array = zarr.create_array(
            store, name=name, config={"write_empty_chunks": True}, **arguments
        )
        if data is not None:
            array[:] = data
    # With copies of all metadata in one place, xarray opens the store without a warning. Zarr warns
    # that not every reader knows them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(store)
    return {name: content.to_bytes() for name, content in files.items()}


def open_encoder(metadata: Mapping[str, bytes]) -> Encoder:
    """Encodes chunks as the store's own metadata says.

    Args:
      metadata: `{variable: content of its zarr.json}`.

    Returns:
      The encoder.
    """
    import zarr
    from zarr.buffer.cpu import Buffer
    from zarr.storage import MemoryStore

    files: dict[str, Any] = {
        f"{name}/{ROOT}": Buffer.from_bytes(content) for name, content in metadata.items()
    }
    store = MemoryStore(files)
    arrays = {
        name: zarr.open_array(store, path=name, mode="r+").with_config({"write_empty_chunks": True})
        for name in metadata
    }
    return Encoder(arrays, files)


def encode(encoder: Encoder, name: str, file: str, region: Any, part: np.ndarray) -> bytes:
    """A chunk of a variable as it stands in its file.

    Args:
      encoder: the store's.
      name: the variable's.
      file: the chunk's.
      region: where the chunk lies in the variable.
      part: its numbers.

    Returns:
      The file's bytes.

    Raises:
      ValueError: if the metadata divide the variable into other chunks.
    """
    encoder.arrays[name][region] = part
    content = encoder.files.pop(file, None)
    if content is None or len(encoder.files) != len(encoder.arrays):
        raise ValueError(f"{name}/{ROOT} has other chunks than progress/sweep.json says")
    return content.to_bytes()


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


def _attributes(layout: Layout, specification: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {"specification": specification, **provenance.provenance(), "complete": False}
    coordinates = layout.coordinates
    if zipped := [str(name) for name in coordinates.coords if name not in coordinates.dims]:
        # How xarray knows a coordinate that is no dimension.
        attributes["coordinates"] = " ".join(zipped)
    return attributes
