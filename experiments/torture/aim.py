"""A process that sends itself a signal at one chosen write."""

import os
import random
import re
import signal
import sys
from typing import Any, NamedTuple

__all__ = ["DATA", "MARKER", "ROOT", "Aim", "arm", "choose"]

DATA, MARKER, ROOT = r"/c/", r"/progress/\d+\.json$", r"\.zarr/zarr\.json$"
"""Files of a store: a chunk's data, its marker, and the root, which is written last."""

WRITES = 12
"""Writes of data or of markers, of which one is chosen."""


class Aim(NamedTuple):
    """The write at which a process sends itself a signal: when the file is to be renamed."""

    file: str
    number: int
    signal: signal.Signals


def choose(
    draw: random.Random, file: str, count: int, number: signal.Signals, *, chunks: int, is_new: bool
) -> tuple[int, Aim]:
    """Draws which of a call's processes is hit, and when.

    Args:
      draw: what draws.
      file: DATA, MARKER or ROOT.
      count: the processes.
      number: the signal.
      chunks: how many are still to be written, by all: each is one marker and some data.
      is_new: whether the call makes the store.

    Returns:
      The process and the aim.
    """
    if file == ROOT:
        # The first process alone writes it: when it makes the store, and at the end.
        return 0, Aim(file, draw.choice((1, 2)) if is_new else 1, number)
    # A write that does not come kills nobody.
    most = min(WRITES, max(1, chunks // count))
    return draw.randrange(count), Aim(file, draw.randint(1, most), number)


def arm(aim: Aim) -> None:
    """Makes this process send itself the signal when it renames that file, the number-th such.

    Args:
      aim: the file's pattern, how often such files are written before, and the signal.
    """
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "os.rename" and re.search(aim.file, os.fspath(arguments[1])):
            seen += 1
            if seen == aim.number:
                os.kill(os.getpid(), aim.signal)

    sys.addaudithook(watch)
