"""The folder of --out: whose it is, and that a refused run leaves it as it was."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from initlab import report

__all__ = ["check_folder", "claimed", "read_folder", "read_record", "remedy"]

KEPT = {"sweeps", "cells"}
"""What a run that was interrupted goes on from; each file in them says whose it is."""

WRITTEN = {"results.zarr", "summary.json", "figure.png", "figure.svg", "figure.html"}
"""What a finished run leaves beside run.json."""


def read_folder(given: str) -> Path:
    """The folder of --out.

    Args:
      given: as on the command line; "~" is the home folder.

    Returns:
      Its path.

    Raises:
      ValueError: if it is no path of this machine.
    """
    if not given.strip():
        raise ValueError("--out must name a folder, got an empty name")
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", given):
        raise ValueError(
            f"--out must be a folder of this machine, got {given} ({scheme[1]}); sweeps and cells "
            "alone may lie elsewhere, with --sweeps"
        )
    return Path(given).expanduser()


def check_folder(out: Path, name: str, figures_only: bool) -> None:
    """Raises unless an experiment may write its results to a folder.

    Args:
      out: the folder; it need not exist.
      name: the experiment's.
      figures_only: whether it must hold results already.

    Raises:
      ValueError: if there is another thing, or the results of another experiment.
      OSError: if the system refuses the path.
    """
    _check_way(out)
    if not out.exists() or not any(out.iterdir()):
        if figures_only:
            raise ValueError(f"--figures_only requires results in {out}, and there are none")
        return
    if not (out / "run.json").exists():
        if _can_go_on(out) and not figures_only:
            return
        raise ValueError(
            f"--out {out} holds other files, and no results of {name} (no run.json): give a new "
            "folder"
        )
    owner = read_record(out)["experiment"]
    if owner != name:
        raise ValueError(f"--out {out} holds results of {owner!r}, not of {name!r}")


def read_record(out: Path) -> dict[str, Any]:
    """What run.json says.

    Args:
      out: the experiment's folder.

    Returns:
      Its content; "experiment" is text in it, and "flags" a dict.

    Raises:
      ValueError: if it is missing or damaged.
    """
    path = out / "run.json"
    try:
        record = json.loads(path.read_text())
    # A folder in its place, bytes that are no text, brackets nested without end.
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}); {remedy(out)}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{path} is damaged (it holds no JSON object); {remedy(out)}")
    for name, kind in (("experiment", str), ("flags", dict)):
        if not isinstance(record.get(name), kind):
            raise ValueError(f"{path} is damaged (it does not say {name!r}); {remedy(out)}")
    return record


def remedy(out: Path) -> str:
    """What helps where a folder's run.json is damaged, for a message."""
    restored = "restore it from a copy"
    if _can_go_on(out):
        return f"{restored}, or remove it: the call that measures goes on from what is kept"
    return f"{restored}, or give another --out to measure anew"


def _can_go_on(out: Path) -> bool:
    """Whether a folder holds kept runs or cells, and nothing but what an experiment writes."""
    names = {each.name for each in out.iterdir()} - {"run.json"}
    return bool(names & KEPT) and names <= KEPT | WRITTEN


def _check_way(out: Path) -> None:
    """Raises ValueError unless the folder is there, or can be made where it is wanted."""
    for place in (out, *out.absolute().parents):
        if place.is_symlink() and not place.exists():
            raise ValueError(
                f"--out {out} cannot be made: {place} is a link to {os.readlink(place)}, which "
                "does not exist; remove the link, or make what it leads to"
            )
        if place.exists():
            break
    if not place.is_dir():
        raise ValueError(f"--out {out} must be a folder, and {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"--out {out} cannot be written: {place} is read-only")


@contextlib.contextmanager
def claimed(out: Path, record: Mapping[str, Any]) -> Iterator[None]:
    """Writes run.json, with finished false, before sweeps are written beside it.

    What is refused before anything is computed leaves the folder as it was: run.json is put back,
    or removed with the folders that were made for it.

    Args:
      out: the folder.
      record: what run.json says besides.

    Yields:
      Nothing, while the folder belongs to the run.
    """
    path = out / "run.json"
    before = path.read_bytes() if path.exists() else None
    made = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    report.write_json(path, {**record, "finished": False})
    try:
        yield
    # Not KeyboardInterrupt: what is kept by then belongs to this run, which will go on.
    except Exception:
        if before is not None:
            path.write_bytes(before)
        elif [file.name for file in out.iterdir()] == ["run.json"]:
            path.unlink()
            # From the inside out; each was made above and is empty again.
            for empty in made:
                empty.rmdir()
        raise
