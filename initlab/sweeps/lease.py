"""A lock in an object store: an object that its holder renews, and others take once it is stale."""

import errno
import json
import logging
import secrets
import threading
import time
from typing import Any, Protocol, Self

from initlab.sweeps.lock import holder_here, refuse

__all__ = ["HeldByFirst", "Lease", "take_lease"]

HEARTBEAT = 5.0
"""Seconds between two renewals."""

EXPIRY = 30.0
"""Seconds without a renewal after which another sweep may take the lock over."""


class Conditional(Protocol):
    """What a lease needs of an object store."""

    name: str

    def locate(self, name: str) -> str:
        """An object's URL."""
        ...

    def read_object(self, name: str) -> Any:
        """The object's content and version, or None."""
        ...

    def write_if(self, name: str, content: bytes, version: Any) -> Any:
        """Writes it if its version is still this one; returns the new version, or None."""
        ...


class HeldByFirst:
    """The lock as the other processes of a sweep hold it: the first renews it for all.

    If it dies before them, another sweep may begin; it computes the same bits as they do.
    """

    def share(self) -> None:
        """It is shared."""

    def check(self) -> None:
        """Returns."""

    def close(self) -> None:
        """Returns."""

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Returns."""


class Lease:
    """A lock that is held for as long as a thread renews it.

    Every renewal replaces the version that this holder wrote last, and no other: so a holder that
    was away for long still holds it if nobody took it, and learns of it if somebody did. No clock
    of two machines is compared.
    """

    def __init__(self, storage: Conditional, name: str):
        self._storage = storage
        self._name = name
        self._token = secrets.token_hex(8)
        self._beats = 0
        self._version: Any = None
        self._renewed = 0.0
        self._is_lost = False
        self._alone = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_closed, daemon=True)

    def take(self) -> None:
        """Takes it where nobody renews it.

        Raises:
          BlockingIOError: if somebody does.
          OSError: if the service cannot be asked.
        """
        while not self._write(None):
            found = self._storage.read_object(self._name)
            if found is None:
                continue
            holder = _read(found.content)
            if holder.get("token") not in (self._token, None):
                self._wait_until_stale(found.version, holder.get("holder", ""))
            if self._write(found.version):
                break
        self._check_conditions()
        self._thread.start()

    def share(self) -> None:
        """The other processes ask nobody: see `HeldByFirst`."""

    def check(self) -> None:
        """Raises OSError if another sweep has taken it over; renews it first where that is late."""
        if not self._is_lost and time.monotonic() - self._renewed > 2 * HEARTBEAT:
            self._renew()
        if self._is_lost:
            found = self._storage.read_object(self._name)
            who = _read(found.content).get("holder") if found else None
            raise OSError(
                errno.ENOLCK,
                f"the lock was taken over ({who or 'removed'}) while this process could not renew "
                "it; finished chunks are kept, and the same call goes on once the other has ended",
                self._storage.locate(self._name),
            )

    def close(self) -> None:
        """Releases it: the next sweep need not wait."""
        self._stop.set()
        self._thread.join(HEARTBEAT)
        if not self._is_lost and not self._thread.is_alive():
            try:
                self._storage.write_if(self._name, _free(), self._version)
            except OSError as error:
                logging.getLogger(__name__).warning("the lock could not be released: %s", error)

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Releases it."""
        self.close()

    def _write(self, version: Any) -> bool:
        """Writes this holder's next beat over a version; False if that was not there any more."""
        self._beats += 1
        began = time.monotonic()
        content = {"holder": holder_here(), "token": self._token, "beat": self._beats}
        failure: OSError | None = None
        written = None
        try:
            written = self._storage.write_if(self._name, json.dumps(content).encode(), version)
        except OSError as error:
            failure = error
        if written is None:
            # Where an answer was lost, what it answered may have been done: so that an error, or
            # our own first try refusing the second, does not say whose the lock is.
            found = self._storage.read_object(self._name)
            if found is None or _read(found.content) != content:
                if failure is not None:
                    raise failure
                return False
            written = found.version
        self._version, self._renewed = written, began
        return True

    def _check_conditions(self) -> None:
        """Raises OSError if the service carries out writes whose condition does not hold."""
        first = self._version
        self._write(first)
        for version in (None, first):
            if self._storage.write_if(self._name, _free(), version) is not None:
                raise OSError(
                    errno.ENOTSUP,
                    "the service ignores the conditions of writes, by which two writers are kept "
                    "apart; choose another, or a folder that all processes share",
                    self._storage.locate(self._name),
                )

    def _renew(self) -> None:
        with self._alone:
            self._is_lost = not self._write(self._version)

    def _renew_until_closed(self) -> None:
        while not self._is_lost and not self._stop.wait(HEARTBEAT):
            try:
                self._renew()
            except OSError as error:
                # The writer asks again before it writes; a service may be away for a while.
                logging.getLogger(__name__).warning("the lock could not be renewed: %s", error)

    def _wait_until_stale(self, version: Any, holder: str) -> None:
        """Returns once nobody has renewed it for as long as that takes; raises if somebody did."""
        until = time.monotonic() + EXPIRY
        logging.getLogger(__name__).warning(
            "%s is locked (%s); waiting up to %g s to see whether that sweep lives",
            self._storage.name, holder, EXPIRY,
        )  # fmt: skip
        while time.monotonic() < until:
            time.sleep(min(HEARTBEAT / 2, max(0.0, until - time.monotonic())))
            found = self._storage.read_object(self._name)
            if found is None or _read(found.content).get("token") is None:
                return
            if found.version != version:
                raise refuse(holder, self._storage.name)


def take_lease(storage: Conditional, name: str) -> Lease:
    """Takes the lock of a store.

    Args:
      storage: where it lies.
      name: the lock's object; made where it is missing, and never removed.

    Returns:
      The lock; its object says who holds it.

    Raises:
      BlockingIOError: if another sweep holds and renews it, with the process.
      OSError: if it cannot be written.
    """
    lease = Lease(storage, name)
    lease.take()
    return lease


def _free() -> bytes:
    # Of other bytes each time: S3's version of an object is a digest of them.
    return json.dumps({"token": None, "free": secrets.token_hex(8)}).encode()


def _read(content: bytes) -> dict[str, Any]:
    """What a lock's object says; a damaged one has nobody's token, which nobody renews."""
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {"token": "", "holder": "unknown"}
