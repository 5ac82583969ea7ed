"""One writer at a time: a lock on a folder, which the kernel releases when its holder dies."""

import errno
import os
import socket
from pathlib import Path
from typing import Protocol, Self

__all__ = ["FileLock", "Lock", "holder_here", "refuse", "take_lock"]


class Lock(Protocol):
    """A lock that is held; closing it, or leaving its context, releases it."""

    def share(self) -> None:
        """Lets the other processes of the same sweep hold it too, and no other sweep."""
        ...

    def check(self) -> None:
        """Raises OSError if another sweep has taken it over, or if that cannot be known."""
        ...

    def close(self) -> None:
        """Releases it."""
        ...

    def __enter__(self) -> Self:
        """Returns itself."""
        ...

    def __exit__(self, *raised: object) -> None:
        """Releases it."""
        ...


class FileLock:
    """A lock file and its folder, both locked.

    The folder too, so that nobody who removes the lock file opens the store to a second writer.
    """

    def __init__(self, path: Path):
        self._path = path
        # Not "w", which would erase the holder's name before the lock is known to be free.
        self._file = path.open("a+")
        try:
            self._folder = os.open(path.parent, os.O_RDONLY)
        except BaseException:
            self._file.close()
            raise

    def take(self, *, shared: bool) -> None:
        """Takes it; raises BlockingIOError if another sweep holds it, with the process."""
        # Windows has no fcntl, and only a sweep that writes needs a lock.
        import fcntl

        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        try:
            fcntl.flock(self._file, how)
            try:
                fcntl.flock(self._folder, how)
            except BlockingIOError:
                raise
            except OSError:
                # NFS locks no folder; there the lock on the file is all.
                pass
        except BlockingIOError as error:
            self._file.seek(0)
            raise refuse(self._file.read(), str(self._path.parent.parent)) from error
        if not shared:
            self._file.truncate(0)
            self._file.write(f"{holder_here()}\n")
            self._file.flush()

    def share(self) -> None:
        """Lets the other processes of the same sweep hold it too, and no other sweep."""
        self.take(shared=True)

    def check(self) -> None:
        """Returns: the kernel takes it from nobody who lives."""

    def close(self) -> None:
        """Releases it."""
        self._file.close()
        os.close(self._folder)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Releases it."""
        self.close()


def take_lock(path: Path, *, shared: bool = False) -> FileLock:
    """Takes the lock of a sweep's folder.

    Args:
      path: the lock file; made where it is missing, and never removed.
      shared: whether other processes of the same sweep may hold it too.

    Returns:
      The lock; its file says who holds it.

    Raises:
      BlockingIOError: if another sweep holds it, with the folder and the process.
      OSError: if the file cannot be written.
    """
    lock = FileLock(path)
    try:
        lock.take(shared=shared)
    except BaseException:
        lock.close()
        raise
    return lock


def holder_here() -> str:
    """This process, as others are told of it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def refuse(holder: str, name: str) -> BlockingIOError:
    """The error of whoever comes second.

    Args:
      holder: what the lock says of its holder; "" where it says nothing.
      name: the store's folder or URL.

    Returns:
      The error.
    """
    who = holder.strip() or "another process"
    return BlockingIOError(errno.EWOULDBLOCK, f"another sweep is writing here ({who})", name)
