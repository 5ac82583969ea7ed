"""One writer at a time: a lock on a folder, which the kernel releases when its holder dies."""

import errno
import os
import socket
from pathlib import Path
from typing import TextIO

__all__ = ["share_lock", "take_lock"]


def take_lock(path: Path, *, shared: bool = False) -> TextIO:
    """Takes the lock of a sweep's folder; closing what is returned releases it.

    Args:
      path: the lock file; made where it is missing, and never removed.
      shared: whether other processes of the same sweep may hold it too.

    Returns:
      The open lock file, which says who holds it.

    Raises:
      BlockingIOError: if another sweep holds it, with the folder and the process.
      OSError: if the file cannot be written.
    """
    # Not "w", which would erase the holder's name before the lock is known to be free.
    file = path.open("a+")
    try:
        _flock(file, path, shared=shared)
        if not shared:
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
    except BaseException:
        file.close()
        raise
    return file


def share_lock(file: TextIO, path: Path) -> None:
    """Lets the other processes of the same sweep hold the lock too, and no other sweep."""
    _flock(file, path, shared=True)


def _flock(file: TextIO, path: Path, *, shared: bool) -> None:
    # Windows has no fcntl, and only a sweep that writes needs a lock.
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise BlockingIOError(
            errno.EWOULDBLOCK, f"another sweep is writing here ({holder})", str(path.parent.parent)
        ) from error
