"""The folder of --out: whose it is, and that a refused run leaves it as it was."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from initlab import report

__all__ = ["check_folder", "claimed"]


def check_folder(out: Path, name: str, figures_only: bool) -> None:
    """Raises ValueError unless an experiment may write its results to a folder.

    Args:
      out: the folder; it need not exist.
      name: the experiment's.
      figures_only: whether it must hold results already.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder, and {out} is a file")
    home = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not os.access(home, os.W_OK):
        raise ValueError(f"--out {out} cannot be written: {home} is read-only")
    if not out.exists() or not any(out.iterdir()):
        if figures_only:
            raise ValueError(f"--figures_only requires results in {out}, and there are none")
        return
    record = out / "run.json"
    if not record.is_file():
        raise ValueError(f"--out {out} holds other files, and no results of {name}")
    owner = json.loads(record.read_text()).get("experiment")
    if owner != name:
        raise ValueError(f"--out {out} holds results of {owner!r}, not of {name!r}")


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
    except (ValueError, TypeError, OSError):
        if before is not None:
            path.write_bytes(before)
        elif [file.name for file in out.iterdir()] == ["run.json"]:
            path.unlink()
            # From the inside out; each was made above and is empty again.
            for empty in made:
                empty.rmdir()
        raise
