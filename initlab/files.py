"""Files and folders that are written whole or not at all, and values that strict JSON can hold."""

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from initlab import checks

__all__ = ["plain", "replace_atomically", "write_json"]


@contextlib.contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """A path to write to instead: it takes the place of `path` at the end, or is removed.

    A reader, and the next run after a crash, finds the old file or the new one, never half of it.
    An old folder is removed just before the new one takes its place: it is whole or missing.

    Args:
      path: the file or folder that is made or replaced, in a folder that exists.

    Yields:
      A path beside it.

    Raises:
      OSError: if it cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "x.txt"
    >>> with replace_atomically(path) as partial:
    ...     _ = partial.write_text("whole")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('whole', ['x.txt'])
    """
    # Beside it: os.replace is atomic within one file system only. The name says whose it is, since
    # processes on one store write at the same time.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if path.is_dir():
            # No system renames a folder onto one that holds files.
            shutil.rmtree(path)
        os.replace(partial, path)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
        raise


@checks.checked
def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes strict JSON, whole or not at all; NaN and infinity become null.

    Args:
      path: the file.
      content: what json can hold, and NumPy numbers and arrays.

    Raises:
      TypeError: if JSON cannot hold a value; nothing is written then.
      OSError: if the file cannot be written.
    """
    text = json.dumps(plain(content), indent=2, allow_nan=False) + "\n"
    with replace_atomically(path) as partial:
        partial.write_text(text)


def plain(value: Any) -> Any:
    """A value as strict JSON holds it: NumPy's numbers and arrays as Python's, tuples as lists.

    NaN and both infinities are null: JSON has no word for them, and one that was made up would be
    text among numbers.

    Args:
      value: a mapping, a sequence, an array or one value.

    Returns:
      The same in dicts, lists, numbers, text, booleans and None; any other object as it is.

    >>> plain({"loss": np.array([0.5, np.inf]), "seeds": (np.int64(3),)})
    {'loss': [0.5, None], 'seeds': [3]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
