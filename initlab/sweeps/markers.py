"""Finished chunks: each has a marker, which is written after all its data."""

from pathlib import Path
from typing import Any

from initlab.sweeps.computation import Computed
from initlab.sweeps.integrity import checksum, files_are_there, read_json
from initlab.sweeps.layout import Layout, arrange
from initlab.sweeps.plan import Chunk, Plan
from initlab.sweeps.zarr_store import write_record

__all__ = ["add_seconds", "is_finished", "marked_numbers", "write_chunk"]

REMEDY = "remove it, and the same call computes its chunk again"


def write_chunk(path: Path, arrays: dict[str, Any], layout: Layout, computed: Computed) -> None:
    """Writes a chunk's data, then its marker: a chunk that lacks the marker never counts.

    Args:
      path: the store's folder.
      arrays: the store's arrays by variable.
      layout: what the results hold.
      computed: the chunk's results.

    Raises:
      OSError: with the file that could not be written.
    """
    chunk = computed.chunk
    checksums = {}
    for name, part in arrange(layout, chunk, computed.history).items():
        file = path / _file(layout, name, chunk)
        try:
            arrays[name][chunk.region] = part
            # Read again from the disk: what Zarr compressed is not known here.
            checksums[_file(layout, name, chunk)] = checksum(file)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror or error}; finished chunks are kept, and the same call goes on "
                "once this file can be written",
                str(file),
            ) from error
    seconds = {"compile_seconds": computed.compile_seconds, "run_seconds": computed.run_seconds}
    write_record(_marker(path, chunk.number), {"checksums": checksums, **seconds})


def is_finished(path: Path, layout: Layout, chunk: Chunk) -> bool:
    """Whether a chunk has its marker and all its files.

    Raises:
      ValueError: if a file of it is damaged.
    """
    marker = _marker(path, chunk.number)
    if not marker.exists():
        return False
    checksums = read_json(marker, REMEDY).get("checksums")
    if not isinstance(checksums, dict) or set(checksums) != {
        _file(layout, name, chunk) for name in layout.variables
    }:
        raise ValueError(f"{marker} is damaged (it is not this chunk's marker); {REMEDY}")
    return files_are_there(path, checksums, "the same call computes its chunk again")


def marked_numbers(path: Path) -> set[int]:
    """Numbers of the chunks that have a marker; their files are not read."""
    stems = (file.stem for file in (path / "progress").glob("*.json"))
    return {int(stem) for stem in stems if stem.isdecimal()}


def add_seconds(path: Path, plan: Plan) -> dict[str, float]:
    """Seconds of compiling and of running, over all chunks and all processes that computed them."""
    markers = [read_json(_marker(path, number), REMEDY) for number in range(plan.count)]
    return {
        name: sum(marker[name] for marker in markers) for name in ("compile_seconds", "run_seconds")
    }


def _marker(path: Path, number: int) -> Path:
    return path / "progress" / f"{number}.json"


def _file(layout: Layout, name: str, chunk: Chunk) -> str:
    # A Zarr chunk holds all steps and layers of its runs: their indices are 0.
    beyond = len(layout.variables[name].shape) - len(chunk.index)
    return "/".join((name, "c", *map(str, chunk.index), *("0" for _ in range(beyond))))
