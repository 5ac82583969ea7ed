"""Where a store lies: a folder, or a prefix in an object store; whole files by name in both."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from initlab.sweeps.local_storage import LocalStorage
from initlab.sweeps.lock import Lock
from initlab.sweeps.object_storage import SCHEMES, open_object_storage

__all__ = ["Location", "ReadOnly", "Storage", "open_storage"]

Location = Annotated[str | os.PathLike[str], "a folder's path or a URL"]
"""Where a store lies; the text is what a refusal says."""

Item = TypeVar("Item")
Result = TypeVar("Result")

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)")
"""A scheme has two letters at least: one letter is a drive of Windows."""


class Storage(Protocol):
    """Files of one store by their names relative to it, as "loss/c/0"."""

    @property
    def name(self) -> str:
        """The folder's path, or the URL."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder; None where there is none."""
        ...

    def locate(self, name: str) -> str:
        """A file's path or URL, for messages."""
        ...

    def read(self, name: str) -> bytes | None:
        """A file's content; None where it is missing. Raises OSError if it cannot be read."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all. Raises OSError, with the file, if it cannot be."""
        ...

    def delete(self, name: str) -> None:
        """Removes a file that is there."""
        ...

    def names(self, folder: str = "") -> Iterator[str]:
        """Names of the files in a folder of it, and below that folder."""
        ...

    def clean(self) -> None:
        """Removes what a killed writer left; the caller holds the lock."""
        ...

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """`function(item)` in the items' order, several at a time where files are far away."""
        ...

    def zarr_store(self) -> Any:
        """What Zarr and xarray read it by."""
        ...

    def take_lock(self, *, shared: bool = False) -> Lock:
        """Takes the store's lock; raises BlockingIOError if another sweep holds it."""
        ...


class ReadOnly:
    """A storage whose lock may not be taken: it is read, and what must be written raises why."""

    def __init__(self, storage: Storage, refusal: OSError):
        self._storage = storage
        self._refusal = refusal
        self.name, self.folder = storage.name, storage.folder
        self.locate, self.read, self.names = storage.locate, storage.read, storage.names
        self.zarr_store = storage.zarr_store

    def write(self, name: str, content: bytes) -> None:
        """Raises what taking the lock raised."""
        raise OSError(
            self._refusal.errno,
            f"{self._refusal.strerror}; {self.locate(name)} would have to be written",
            self._refusal.filename,
        ) from self._refusal

    def delete(self, name: str) -> None:
        """Raises what taking the lock raised."""
        raise self._refusal

    def clean(self) -> None:
        """Leaves all as it is."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """As the storage's."""
        return self._storage.map(function, items)

    def take_lock(self, *, shared: bool = False) -> Lock:
        """Raises what taking the lock raised."""
        raise self._refusal


def open_storage(out: Location) -> Storage:
    """The storage that a path or a URL names; nothing is read or written yet.

    Args:
      out: a folder ("~" is the home folder), "file:///folder", or "s3://bucket/prefix",
        "gs://bucket/prefix" or "memory://name", which require the extra `cloud`.

    Returns:
      The storage.

    Raises:
      TypeError: if out is no text and no path.
      ValueError: if it is empty, has unprintable characters, an unknown scheme, or no bucket.
      ImportError: if a URL's package is not installed, with what to install.

    >>> open_storage("file:///tmp/my%20runs").name
    '/tmp/my runs'
    """
    text = os.fspath(out) if isinstance(out, str | os.PathLike) else out
    if not isinstance(text, str):
        raise TypeError(f"out must be a folder's path or a URL, got {out!r}")
    if not text or not text.isprintable():
        raise ValueError(f"out must be a folder's path or a URL, got {text!r}")
    url = URL.match(text)
    if url is None:
        return LocalStorage(_with_home(text))
    scheme, slashes = url.group(1).lower(), url.group(2)
    if scheme != "file" and scheme not in SCHEMES:
        if slashes == "/":
            return LocalStorage(Path(text))
        known = ", ".join(f"{each}://" for each in ("file", *SCHEMES))
        raise ValueError(f"out must be a folder's path or begin with one of {known}; got {text!r}")
    if slashes == "/":
        raise ValueError(
            f"out must begin with {scheme}://, got {text!r}; a Path drops one of the slashes: give "
            "the URL as text"
        )
    return LocalStorage(_of_file_url(text)) if scheme == "file" else open_object_storage(text)


def _with_home(text: str) -> Path:
    # "./~" is a folder of that name, and Path drops the "./".
    if not text.startswith("~"):
        return Path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"out must be in a home folder that exists, got {text!r}") from error


def _of_file_url(text: str) -> Path:
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path:
        raise ValueError(f"out must be file:///folder or the folder's path, got {text!r}")
    return Path(unquote(parts.path))
