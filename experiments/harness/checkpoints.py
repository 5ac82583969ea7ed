"""Tables whose cells take long: each is stored when it is found, and the same call resumes."""

import hashlib
import json
import platform
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

import experiments
import initlab
from experiments.harness import cell_file, runtime
from experiments.harness.progress import track
from initlab.sweeps import provenance
from initlab.sweeps.storage import Location, open_storage

__all__ = ["fill"]


def fill(
    home: Location,
    cells: Sequence[Mapping[str, Any]],
    find: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> list[dict[str, np.ndarray]]:
    """`[find(cell) for cell in cells]`, each kept as soon as it is found.

    A cell is found again only where something that may decide it has changed: itself, a line of the
    code, a package, the device. What has nothing to do with it (other cells, other flags) may. Each
    of several processes finds what is not kept, and the first keeps it.

    Args:
      home: where cells are kept, a file each: a folder or a URL, as for `initlab.sweep`.
      cells: for each, everything that decides what is found, as plain JSON.
      find: a function: what is found in a cell, by name.

    Returns:
      What was found, in the order of the cells; as NumPy arrays to the last bit, NaN among them.

    Raises:
      ValueError: if a kept file is damaged, or holds another cell; the message names it.
      OSError: if a cell cannot be read or written.
      KeyboardInterrupt: saying how many are kept.
    """
    storage = open_storage(home)
    given = {
        # Tables of several experiments may have one home, and equal cells.
        "found_by": f"{find.__module__}.{find.__qualname__}",
        "code_sha256": _code(),
        "versions": provenance.versions(),
        "device": provenance.device() | {"machine": platform.machine()},
    }
    found: list[dict[str, np.ndarray]] = []
    try:
        for number, cell in enumerate(track(cells, "cells"), start=1):
            text = json.dumps({"cell": cell, **given}, sort_keys=True)
            name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
            if (kept := cell_file.read(storage, name, text)) is not None:
                found.append(kept)
                continue
            began = time.monotonic()
            values = {name: np.asarray(value) for name, value in find(cell).items()}
            if runtime.is_first():
                cell_file.write(storage, name, text, values)
            found.append(values)
            seconds = time.monotonic() - began
            logging.info("cell %d/%d, %.1f s: %s", number, len(cells), seconds, _describe(cell))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {len(found)} of {len(cells)} cells are kept in {storage.name}; "
            "the same call goes on from there"
        ) from None
    return found


def _describe(cell: Mapping[str, Any]) -> str:
    """The cell in a line: values may be arrays, and a table has thousands of cells."""
    text = ", ".join(f"{name}={value}" for name, value in cell.items())
    return textwrap.shorten(text, 80, placeholder=" ...")


def _code() -> str:
    """A digest of every line of the lab and its experiments."""
    # Not the commit: a tree that was changed since has none of its own.
    digest = hashlib.sha256()
    # The packages' roots, not this file's folder: whose helper a cell depends on is not known here,
    # and a cell that old code found must not answer for new code.
    for package in (Path(initlab.__file__).parent, Path(experiments.__file__).parent):
        for file in sorted(package.rglob("*.py")):
            digest.update(f"{file.relative_to(package.parent)}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
