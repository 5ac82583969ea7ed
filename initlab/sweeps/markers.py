"""Finished chunks: each has a marker, which is written after all its data."""

import re
from typing import Any

from initlab.sweeps.computation import Computed
from initlab.sweeps.encoding import Encoder, encode
from initlab.sweeps.integrity import crc32, files_are_there, read_record, write_record
from initlab.sweeps.layout import Layout, arrange
from initlab.sweeps.plan import Chunk, Plan
from initlab.sweeps.storage import Storage

__all__ = ["add_seconds", "is_finished", "marked_numbers", "write_chunk"]

REMEDY = "remove it, and the same call computes its chunk again"

SECONDS = ("compile_seconds", "run_seconds")

MARKER = re.compile(r"progress/(\d+)\.json")


def write_chunk(storage: Storage, encoder: Encoder, layout: Layout, computed: Computed) -> None:
    """Writes a chunk's data, then its marker: a chunk that lacks the marker never counts.

    Args:
      storage: where the store is.
      encoder: of the store's arrays.
      layout: what the results hold.
      computed: the chunk's results.

    Raises:
      OSError: with the file that could not be written.
    """
    chunk = computed.chunk
    files = {}
    for name, part in arrange(layout, chunk, computed.history).items():
        file = _file(layout, name, chunk)
        files[file] = encode(encoder, name, file, chunk.region, part)
    checksums = {file: crc32(content) for file, content in files.items()}
    seconds = {name: getattr(computed, name) for name in SECONDS}
    try:
        for _ in storage.map(lambda file: storage.write(*file), files.items()):
            pass
        write_record(storage, _marker(chunk.number), {"checksums": checksums, **seconds})
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror or error}; finished chunks are kept, and the same call goes on "
            "once this file can be written",
            error.filename,
        ) from error


def is_finished(storage: Storage, layout: Layout, chunk: Chunk) -> bool:
    """Whether a chunk has its marker and all its files.

    Raises:
      ValueError: if a file of it is damaged.
      OSError: if one cannot be read.
    """
    marker = _marker(chunk.number)
    if storage.read(marker) is None:
        return False
    checksums = _read_marker(storage, chunk.number)["checksums"]
    if set(checksums) != {_file(layout, name, chunk) for name in layout.variables}:
        where = storage.locate(marker)
        raise ValueError(f"{where} is damaged (it is not this chunk's marker); {REMEDY}")
    return files_are_there(storage, checksums, "the same call computes its chunk again")


def marked_numbers(storage: Storage) -> set[int]:
    """Numbers of the chunks that have a marker; their files are not read."""
    found = (MARKER.fullmatch(name) for name in storage.names("progress"))
    return {int(each.group(1)) for each in found if each}


def add_seconds(storage: Storage, plan: Plan) -> dict[str, float]:
    """Seconds of compiling and of running, over all chunks and all processes that computed them."""
    markers = list(storage.map(lambda number: _read_marker(storage, number), range(plan.count)))
    return {name: sum(marker[name] for marker in markers) for name in SECONDS}


def _read_marker(storage: Storage, number: int) -> dict[str, Any]:
    entries = {"checksums": dict} | dict.fromkeys(SECONDS, (int, float))
    return read_record(storage, _marker(number), entries, REMEDY)


def _marker(number: int) -> str:
    return f"progress/{number}.json"


def _file(layout: Layout, name: str, chunk: Chunk) -> str:
    # A Zarr chunk holds all steps and layers of its runs: their indices are 0.
    beyond = len(layout.variables[name].shape) - len(chunk.index)
    return "/".join((name, "c", *map(str, chunk.index), *("0" for _ in range(beyond))))
