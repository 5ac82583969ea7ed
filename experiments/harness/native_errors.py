"""JAX's report of a lost process, a C++ stack trace before it aborts, in one line.

A filter between a program's standard error, as C++ writes to it, and the terminal. It is a process
of its own, since what it reads is written while the program dies:

    python native_errors.py NAME < what C++ writes
"""

import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator

__all__ = ["LOST", "NEVER_MET", "filter_native_errors", "shorten"]

LOST = (
    "another process of this run has ended, by itself or because its machine is gone; what is "
    "finished is kept, and the same command on every process goes on from there"
)
NEVER_MET = (
    "not every process has reached the coordinator in time: --coordinator_address must be that of "
    "process 0, and the same command must run --num_processes times"
)

# What the coordination service says of the others comes before the fatal error, if it comes.
TROUBLE = re.compile(r"[IWEF]\d{4} .*(coordination_service|client\.h:)")
FATAL = re.compile(r"^F\d{4} .*JAX distributed service detected fatal errors", re.MULTILINE)


def shorten(lines: Iterable[str], name: str) -> Iterator[str]:
    """The lines as they come; JAX's fatal error of lost processes, to its end, as one line.

    Args:
      lines: what C++ writes.
      name: the program's, which begins the line.

    Yields:
      Lines to show.

    >>> fatal = "F1127 03:14:05 7 client.h:80] The JAX distributed service detected fatal errors."
    >>> [line[:31] for line in shorten(["before", fatal, "*** stack trace"], "lab")]
    ['before', 'lab: another process of this ru']
    """
    held: list[str] = []
    for line in lines:
        if held or TROUBLE.match(line):
            held.append(line)
        else:
            yield line
    text = "".join(held)
    if FATAL.search(text):
        yield f"{name}: {NEVER_MET if 'RegisterTask' in text else LOST}\n"
    else:
        yield text


def filter_native_errors(name: str) -> None:
    """Lets what C++ writes to standard error pass the filter; Python writes there as before.

    Args:
      name: the program's.
    """
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    reading, writing = os.pipe()
    # Isolated: it needs the standard library only, and starts in milliseconds so.
    command = [sys.executable, "-I", "-S", __file__, name]
    os.posix_spawn(
        sys.executable, command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)]
    )
    os.close(reading)
    os.dup2(writing, 2)
    os.close(writing)


if __name__ == "__main__":
    # It ends when the program has, and not at the Ctrl-C that ends the program.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    for shown in shorten(sys.stdin, sys.argv[1]):
        sys.stderr.write(shown)
        sys.stderr.flush()
