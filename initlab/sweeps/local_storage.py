"""A store in a folder of a file system that all its processes share."""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from initlab.sweeps.lock import FileLock, take_lock

__all__ = ["LocalStorage"]

Item = TypeVar("Item")
Result = TypeVar("Result")

OWN_PARTIAL = re.compile(r"initlab-[0-9a-f]{16}\.partial")


class LocalStorage:
    """Files below a folder, which is made when the first of them is written."""

    def __init__(self, path: Path):
        self.folder = path.absolute()
        self.name = str(self.folder)
        # In a folder of our own, so that nobody else's file is ever taken for an unfinished one;
        # named at random, since processes on several hosts write at the same time.
        self._partial = self.folder / "progress" / f"initlab-{secrets.token_hex(8)}.partial"

    def locate(self, name: str) -> str:
        """The file's path."""
        return str(self.folder / name)

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None."""
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """Writes a file beside the store's lock and renames it into place."""
        file = self.folder / name
        try:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            self._partial.write_bytes(content)
            os.replace(self._partial, file)
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._partial.unlink()
            if isinstance(error, OSError):
                # A full disk's error lacks the file's name.
                reason = error.strerror or str(error)
                raise OSError(error.errno, reason, str(file)) from error
            raise

    def delete(self, name: str) -> None:
        """Removes the file."""
        (self.folder / name).unlink()

    def names(self, folder: str = "") -> Iterator[str]:
        """Every file's name, links not followed."""
        for file in (self.folder / folder).rglob("*"):
            if not file.is_dir():
                yield file.relative_to(self.folder).as_posix()

    def clean(self) -> None:
        """Removes files that were never renamed into place, and no other's."""
        for file in self._partial.parent.iterdir():
            if OWN_PARTIAL.fullmatch(file.name):
                file.unlink()

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """One after the other: the disk is near."""
        return map(function, items)

    def zarr_store(self) -> Any:
        """Zarr's own store of the folder."""
        from zarr.storage import LocalStore

        return LocalStore(self.folder, read_only=True)

    def take_lock(self, *, shared: bool = False) -> FileLock:
        """Takes the kernel's lock on progress/lock; both are made where they are missing."""
        folder = self._partial.parent
        folder.mkdir(parents=True, exist_ok=True)
        return take_lock(folder / "lock", shared=shared)
