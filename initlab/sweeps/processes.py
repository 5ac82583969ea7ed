"""Several processes on one sweep: they compare what they do, share a folder, and wait.

Each function is called by all processes, in the same order, and either returns or raises in all.
"""

import hashlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from initlab.sweeps.differences import differences, fields
from initlab.sweeps.storage import Storage

__all__ = ["LOST", "agree", "check_shared", "check_storage", "first_decides", "gather"]

LOST = "another process has ended; the same call, made in all processes again, goes on from there"
"""What is said where a process waits for one that is no more."""

PADDING = 4096
"""Texts are gathered in arrays of a multiple of this, so that few shapes are compiled."""

SHARED_WITHIN = 5.0
"""Seconds after which a file that another host wrote must be seen; NFS caches a folder for 3."""


def gather(text: str) -> list[str]:
    """What each process says, by its number; all wait for each other here.

    Args:
      text: what this process says.

    Returns:
      One text a process.

    Raises:
      ValueError: if the processes have devices of different kinds, or other numbers of them.
      ConnectionAbortedError: if a process has ended.
    """
    count = jax.process_count()
    if count == 1:
        return [text]
    _check_devices()
    encoded = text.encode()
    digest = hashlib.sha256(encoded).digest() + len(encoded).to_bytes(8, "little")
    digests = _allgather(np.frombuffer(digest, np.uint8))
    if (digests == digests[0]).all():
        return [text] * count
    lengths = [int.from_bytes(each[32:].tobytes(), "little") for each in digests]
    # Of one size, since what is gathered must have the same shape in every process.
    padded = np.zeros(-(-max(lengths) // PADDING) * PADDING, np.uint8)
    padded[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    rows = _allgather(padded)
    return [row.tobytes()[:size].decode() for row, size in zip(rows, lengths, strict=True)]


def agree(describe: Callable[[], Mapping[str, Any]], subject: str) -> dict[str, Any]:
    """What every process must say alike before it computes: `describe()`.

    Args:
      describe: this process's, as plain JSON by name; it may raise OSError, TypeError, ValueError.
      subject: what is described, for the error.

    Returns:
      The description.

    Raises:
      ValueError: with every name whose value differs, or with what another process raised.
      OSError: what this process raised.
      TypeError: what this process raised.
    """
    failure: OSError | TypeError | ValueError | None = None
    said: dict[str, Any] = {}
    try:
        said = dict(describe())
    except (OSError, TypeError, ValueError) as error:
        failure = error
    answers = gather(json.dumps({"said": said, "failure": str(failure) if failure else None}))
    if failure is not None:
        raise failure
    each = [json.loads(answer) for answer in answers]
    for number, answer in enumerate(each):
        if answer["failure"] is not None:
            raise ValueError(f"process {number} raised: {answer['failure']}")
    _check_same([answer["said"] for answer in each], subject)
    return said


def first_decides(act: Callable[[], None]) -> None:
    """Process 0 acts; all processes wait for it, and all continue or all raise.

    Args:
      act: what process 0 does; where it raises OSError or ValueError, so does every process.
    """
    refusal: OSError | ValueError | None = None
    if jax.process_index() == 0:
        try:
            act()
        except (OSError, ValueError) as error:
            refusal = error
    # Never empty for a refusal, whatever its message.
    said = gather("" if refusal is None else f"process 0 raised: {refusal}")[0]
    if said and refusal is None:
        refusal = ValueError(said)
    if refusal is not None:
        raise refusal


def check_storage(storage: Storage, name: str = "out") -> None:
    """Raises unless a storage, of which nothing need exist, is one and the same for all processes.

    Args:
      storage: a folder, or a prefix in an object store.
      name: the argument or flag that named it, for the error.

    Raises:
      ValueError: with the processes that do not see it, or what they call it.
    """
    if storage.folder is not None:
        check_shared(storage.folder, name)
        return
    if storage.name.startswith("memory:") and jax.process_count() > 1:
        raise ValueError(f"{name} must be what all processes share, got {storage.name}")
    agree(lambda: {name: storage.name}, f"the same {name}")


def check_shared(folder: Path, name: str = "out") -> None:
    """Raises unless a folder, which need not exist, is one and the same for all processes.

    Process 0 writes a small file there, or in the nearest folder above that exists, and removes it
    when the others have looked.

    Args:
      folder: the folder, as this process calls it.
      name: the argument or flag that named it, for the error.

    Raises:
      ValueError: with the processes that do not see it.
    """
    if jax.process_count() == 1:
        return
    path = folder.absolute()
    steps, parts = (path, *path.parents), list(path.parts)
    is_first = jax.process_index() == 0
    here = {"host": socket.gethostname(), "blind": False}
    token: Path | None = None
    if is_first:
        above = next(number for number, each in enumerate(steps) if each.is_dir())
        token = steps[above] / f".initlab-{secrets.token_hex(8)}"
        try:
            token.touch(exist_ok=False)
        except OSError:
            # A finished store may lie where nobody may write; who must write says so itself.
            token = None
    try:
        told = {"token": token.name, "below": parts[len(parts) - above :]} if token else {}
        told = json.loads(gather(json.dumps(told) if is_first else "")[0])
        if not told:
            return
        above = len(told["below"])
        # This process's path to the folder may be another, but what is still to be made may not.
        here["blind"] = not is_first and not (
            parts[len(parts) - above :] == told["below"] and _appears(steps[above] / told["token"])
        )
        each = [json.loads(said) for said in gather(json.dumps(here))]
    finally:
        if token is not None:
            token.unlink(missing_ok=True)
    blind = [f"process {n} on {of['host']}" for n, of in enumerate(each) if of["blind"]]
    if blind:
        raise ValueError(
            f"{name} must be a folder that all processes share, got {path}, where "
            f"{', '.join(blind)} cannot see what process 0 on {each[0]['host']} writes"
        )


def _appears(file: Path) -> bool:
    until = time.monotonic() + SHARED_WITHIN
    while not file.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _check_devices() -> None:
    # Known to each process without a word from the others: gathering itself requires it.
    kinds: dict[int, dict[str, Any]] = {}
    for device in jax.devices():
        of = kinds.setdefault(
            device.process_index,
            {"platform": device.platform, "device_kind": device.device_kind, "devices": 0},
        )
        of["devices"] += 1
    _check_same([kinds[number] for number in sorted(kinds)], "the same devices")


def _check_same(described: list[dict[str, Any]], subject: str) -> None:
    first = described[0]
    names = [name for name, _ in fields("", first)]
    for number, other in enumerate(described):
        lines = differences(first, other, "process 0 has", f"process {number} has")
        order = [name for name, _ in fields("", other)]
        # The order of axes is the order of dimensions.
        if not lines and order != names:
            one, two = next(pair for pair in zip(names, order, strict=True) if pair[0] != pair[1])
            lines = [f"  order: process 0 has {one} where process {number} has {two}"]
        if lines:
            raise ValueError(
                f"all processes must have {subject}; they differ in\n" + "\n".join(lines)
            )


def _allgather(row: np.ndarray) -> np.ndarray:
    from jax.experimental import multihost_utils

    try:
        return np.asarray(multihost_utils.process_allgather(row), np.uint8)
    # Gloo's and NCCL's own errors arrive as either.
    except (RuntimeError, ValueError) as error:
        raise ConnectionAbortedError(LOST) from error
