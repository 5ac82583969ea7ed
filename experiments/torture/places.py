"""Where in its work a sweep was killed, by what its store shows."""

import json
import re
from typing import NamedTuple

from experiments.torture import worker
from initlab.sweeps.root import read_attributes
from initlab.sweeps.storage import open_storage

__all__ = ["PLACES", "State", "find_place", "look"]

PLACES = (
    "before its first chunk",
    "between chunks",
    "inside a write",
    "while assembling",
    "after the end",
)
"""What a killed call was at. Assembling: all chunks are there, and the store is not complete."""

MARKER = re.compile(r"progress/\d+\.json")
RECORD = "progress/sweep.json"


class State(NamedTuple):
    """What a store holds: its share of chunks, files of an unmarked chunk, files half written."""

    finished: float
    unmarked: frozenset[str]
    partial: frozenset[str]
    is_made: bool
    is_complete: bool


def look(store: str, seeds: int) -> State:
    """What a store holds; its processes are dead, or write on meanwhile.

    Args:
      store: a folder or a URL.
      seeds: the sweep's.

    Returns:
      The state.
    """
    storage = open_storage(store)
    names = list(storage.names())
    markers = [name for name in names if MARKER.fullmatch(name)]
    known: set[str] = set()
    for content in storage.map(storage.read, [*markers, RECORD]):
        known |= set(json.loads(content)["checksums"]) if content else set()
    return State(
        len(markers) / worker.chunks(seeds),
        frozenset(name for name in names if "/c/" in name and name not in known),
        frozenset(name for name in names if name.endswith(".partial")),
        RECORD in names,
        "zarr.json" in names and bool(read_attributes(storage).get("complete")),
    )


def find_place(before: State, after: State) -> int:
    """What a call was at when it was killed.

    A file that an earlier call left says nothing of this one, so that a write over exactly the
    files that were left counts as between chunks.

    Args:
      before: the store when the call began.
      after: the store when its processes were dead.

    Returns:
      An index of PLACES.
    """
    if after.is_complete:
        return PLACES.index("after the end")
    if after.finished >= 1:
        return PLACES.index("while assembling")
    # The files of a store that is being made are half written too, before any chunk.
    if after.unmarked - before.unmarked or (after.partial - before.partial and after.finished):
        return PLACES.index("inside a write")
    first = after.finished == before.finished
    return PLACES.index("before its first chunk" if first else "between chunks")
