"""Ctrl-C before a program has begun: while it imports what it needs."""

import os
import signal
import sys
from types import FrameType

__all__ = ["begin", "end_in_one_line"]

INTERRUPTED = 130
"""As in `initlab.exits`, whose imports are among those that may be interrupted."""


def end_in_one_line() -> None:
    """Makes Ctrl-C end the program with one line and no traceback, until `begin`."""
    # A shell starts background jobs with SIGINT ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def begin() -> None:
    """Makes Ctrl-C raise KeyboardInterrupt again, if `end_in_one_line` changed that."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    # Not an exception: modules that are half imported would answer it each in its own way.
    module = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv else sys.argv[0]
    start = "\n" if sys.stderr.isatty() else ""
    name = module.removeprefix("experiments.")
    print(
        f"{start}{name}: interrupted; nothing was begun: the same call starts it", file=sys.stderr
    )
    os._exit(INTERRUPTED)
