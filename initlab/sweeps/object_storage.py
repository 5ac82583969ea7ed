"""A store in an object store: S3, Google Cloud Storage, or this process's memory."""

import contextlib
import errno
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from initlab import extras
from initlab.sweeps.lease import HeldByFirst, take_lease
from initlab.sweeps.lock import Lock

__all__ = ["SCHEMES", "Object", "ObjectStorage", "open_object_storage"]

Item = TypeVar("Item")
Result = TypeVar("Result")

SCHEMES = ("s3", "gs", "memory")

PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._=+-]+")
"""What every service takes as it is, between two slashes."""

TOGETHER = 16
"""Requests in flight: each waits tens of milliseconds for its answer."""

LOCK = "progress/lock"

STATUS = {"403 Forbidden": errno.EACCES, "404 Not Found": errno.ENOENT}


class Object(NamedTuple):
    """An object's content, and the version of it that a conditional write compares."""

    content: bytes
    version: Any


class ObjectStorage:
    """Objects under a prefix; each is written whole or not at all by the service itself."""

    folder = None

    def __init__(self, url: str, store: Any):
        self.name = url.rstrip("/")
        self._store = store

    def locate(self, name: str) -> str:
        """The object's URL."""
        return f"{self.name}/{name}"

    def read(self, name: str) -> bytes | None:
        """The object's bytes, or None."""
        found = self.read_object(name)
        return None if found is None else found.content

    def read_object(self, name: str) -> Object | None:
        """The object with its version, or None."""
        with self._translated(name):
            try:
                got = self._store.get(name)
            except FileNotFoundError:
                return None
            return Object(bytes(got.bytes()), _version(got.meta))

    def write(self, name: str, content: bytes) -> None:
        """Replaces an object."""
        with self._translated(name):
            self._store.put(name, content)

    def write_if(self, name: str, content: bytes, version: Any) -> Any:
        """Writes an object if nobody else has.

        Args:
          name: the object's.
          content: what it will hold.
          version: what it must have been until now; None if it must not be there.

        Returns:
          Its new version; None if another one was there, and nothing is written.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._translated(name):
            try:
                put = self._store.put(name, content, mode="create" if version is None else version)
            except (AlreadyExistsError, PreconditionError):
                return None
            return _version(put)

    def delete(self, name: str) -> None:
        """Removes the object."""
        with self._translated(name):
            self._store.delete(name)

    def names(self, folder: str = "") -> Iterator[str]:
        """Every object's name, a page at a time."""
        with self._translated(folder):
            for page in self._store.list(folder.rstrip("/") or None):
                yield from (each["path"] for each in page)

    def clean(self) -> None:
        """Nothing is left: the service shows no object that is not whole."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Several at a time, in threads that wait."""
        threads = ThreadPoolExecutor(TOGETHER)
        try:
            yield from threads.map(function, items)
        finally:
            threads.shutdown(cancel_futures=True)

    def zarr_store(self) -> Any:
        """Zarr's own store over obstore."""
        from zarr.storage import ObjectStore

        return ObjectStore(self._store, read_only=True)

    def take_lock(self, *, shared: bool = False) -> Lock:
        """Takes the lock by a conditional write."""
        return HeldByFirst() if shared else take_lease(self, LOCK)

    @contextlib.contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        """Makes OSErrors of obstore's own, with the object's URL."""
        from obstore import exceptions

        try:
            yield
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            said = _first_line(error)
            raise PermissionError(errno.EACCES, said, self.locate(name)) from error
        except FileNotFoundError as error:
            said = f"there is no such bucket, or no such object: {_first_line(error)}"
            raise FileNotFoundError(errno.ENOENT, said, self.locate(name)) from error
        except exceptions.BaseError as error:
            said = _first_line(error)
            # A list's error has no class of its own.
            number = next((each for text, each in STATUS.items() if text in said), errno.EIO)
            raise OSError(number, said, self.locate(name)) from error


def open_object_storage(url: str) -> ObjectStorage:
    """The storage that a URL names; nothing is read or written yet.

    Args:
      url: "s3://bucket/prefix", "gs://bucket/prefix" or "memory://name". Credentials, region and
        endpoint are the environment's (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, GOOGLE_APPLICATION_
        CREDENTIALS and so on), never the URL's.

    Returns:
      The storage.

    Raises:
      ValueError: if the URL has no bucket, or characters that services read differently.
      ImportError: if obstore is not installed.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.rstrip("/").partition("/")
    if not all(PART.fullmatch(part) for part in rest.rstrip("/").split("/")):
        raise ValueError(
            f"out must be {scheme}://bucket/prefix, of letters, digits and -_.=+; got {url!r}"
        )
    with extras.needed(f"out={url!r}"):
        import obstore.store as stores
    if scheme.lower() == "memory":
        return ObjectStorage(url, _memory(rest.rstrip("/")))
    kind = {"s3": stores.S3Store, "gs": stores.GCSStore}[scheme.lower()]
    return ObjectStorage(url, kind(bucket, prefix=prefix or None))


@functools.cache
def _memory(name: str) -> Any:
    """The one store of that name, as long as this process lives."""
    import obstore.store

    return obstore.store.MemoryStore()


def _version(answer: Any) -> dict[str, str]:
    """What a conditional write compares: S3's e_tag, Google's generation."""
    return {key: answer[key] for key in ("e_tag", "version") if answer.get(key) is not None}


def _first_line(error: Exception) -> str:
    """What is said of an error, without the answer's XML and Rust's own fields."""
    return str(error).partition("\n")[0].partition(": <?xml")[0][:300]
