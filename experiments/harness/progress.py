"""Long work says how it goes: a bar on a terminal; in a batch job, a line a minute."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

import jax
from absl import logging

from initlab.sweeps.progress import innermost, progress_bar

__all__ = ["saying_how_it_goes", "track"]

EVERY = 60.0
"""Seconds between two lines."""

REDRAWN = 1.0
"""Seconds between two drawings of a bar, whose clock would stand still during a long step."""

Item = TypeVar("Item")


def track(items: Sequence[Item], unit: str) -> Iterator[Item]:
    """Iterates, and counts what is finished for the bar or the line a minute.

    Args:
      items: what work is done for.
      unit: what they are, in the plural.

    Yields:
      Each of them.
    """
    with progress_bar(len(items), unit=unit) as count:
        for item in items:
            yield item
            count.update()


@contextlib.contextmanager
def saying_how_it_goes(name: str, every: float = EVERY) -> Iterator[None]:
    """Redraws the bar where stderr is a terminal; where there is none, logs a line a minute.

    Args:
      name: of the program, which opens the line.
      every: seconds between two lines.

    Yields:
      Nothing, while the work is done.
    """
    finished = threading.Event()
    began = said = time.monotonic()

    # A thread of its own: a step may be one call of a compiled program that takes an hour.
    def say() -> None:
        nonlocal said
        while not finished.wait(min(REDRAWN, every) if sys.stderr.isatty() else every):
            count = innermost()
            if sys.stderr.isatty():
                if count is not None:
                    count.refresh()
                # Between bars, and after the last, a terminal is told what a batch job's log is.
                if count is not None or time.monotonic() - said < every:
                    continue
            # Of several processes the first speaks; it is asked when JAX has long started.
            if jax.distributed.is_initialized() and jax.process_index() > 0:
                continue
            said = time.monotonic()
            minutes = (time.monotonic() - began) / 60
            logging.info(
                "%s: %.1f min, %s", name, minutes, "at work" if count is None else str(count)
            )

    thread = threading.Thread(target=say, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
