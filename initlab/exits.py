"""How programs end: exit statuses, and errors as one line on stderr."""

import os
import select
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import jax

from initlab import checks, extras
from initlab.terminal import one_line

__all__ = [
    "BAD_INPUT",
    "FAILED",
    "INTERNAL_ERROR",
    "INTERRUPTED",
    "PASSED",
    "UNREAD",
    "report_error",
    "report_interrupt",
]

PASSED = 0
"""The program did what was asked; where it is a check, the verdict is "pass" or "warn"."""

FAILED = 1
"""The verdict of a check is "fail"."""

BAD_INPUT = 2
"""A flag, a file or a model was refused: there is no result and no verdict."""

INTERNAL_ERROR = 3
"""A fault of the program's own; a traceback says where."""

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""

UNREAD = 141
"""What a shell reports for a program whose reader has ended before it, as in `| head -1`."""

ROOTS = (Path(__file__).parent, Path(__file__).parents[1] / "experiments")
"""The library and its experiments, whose errors are about what they were given."""

LIBRARIES = tuple(
    {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def report_error(program: str, error: Exception) -> int:
    """Says on stderr what went wrong: one line, and a traceback where that is what is needed.

    Args:
      program: its name, which opens the line.
      error: what was raised, caught by the program's main function.

    Returns:
      BAD_INPUT for what the lab refuses, for what the system refuses (files, memory), and for what
      a model's own code raises, with its traceback; UNREAD, and not a word, for output that nobody
      reads any more; else INTERNAL_ERROR, with a traceback.
    """
    if isinstance(error, BrokenPipeError) and _silence_unread():
        return UNREAD
    if _is_of_memory(error):
        message = f"there is not enough memory for these sizes ({one_line(error)})"
        print(f"{program}: {message}", file=sys.stderr)
        return BAD_INPUT
    is_missing = isinstance(error, extras.MissingExtraError)
    models = [each for each in _causes(error) if _is_of_a_model(each) and not is_missing]
    if models:
        traceback.print_exception(models[-1])
    elif not (isinstance(error, OSError) or is_missing or _is_refusal(error)):
        traceback.print_exception(error)
        kind = type(error).__name__
        print(f"{program}: internal error, {kind}: {one_line(error)}", file=sys.stderr)
        return INTERNAL_ERROR
    print(f"{program}: {one_line(error) or type(error).__name__}", file=sys.stderr)
    return BAD_INPUT


def report_interrupt(
    program: str, interrupt: KeyboardInterrupt | ConnectionAbortedError, advice: str
) -> int:
    """Says in one line on stderr how to go on after Ctrl-C, or where another process has ended.

    Args:
      program: its name, which opens the line.
      interrupt: what was raised; its own message, if it has one, says more.
      advice: what to say where it has none.

    Returns:
      INTERRUPTED.
    """
    # On a line of its own: terminals have just shown "^C".
    start = "\n" if sys.stderr.isatty() else ""
    print(f"{start}{program}: {one_line(interrupt) or advice}", file=sys.stderr)
    return INTERRUPTED


def _silence_unread() -> bool:
    """Leads output whose reader has gone to nowhere; whether there was any.

    Python would complain of what is left in its buffers when it ends.
    """
    unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for stream in unread:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(unread)


def _is_unread(stream: TextIO) -> bool:
    # Asked of the system: a pipe that breaks may be another one, to a store or a process.
    try:
        asked = select.poll()
        asked.register(stream.fileno(), 0)
    except (OSError, ValueError):
        # A stream in memory, or a closed one.
        return False
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in asked.poll(0))


def _is_of_memory(error: Exception) -> bool:
    is_full = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return is_full or isinstance(error, MemoryError)


def _is_refusal(error: Exception) -> bool:
    """Whether the lab refused a value that it was given: by `raise`, where a fault just happens."""
    frame = checks.raising_frame(error)
    is_of_values = isinstance(error, ValueError | TypeError)
    return is_of_values and frame is not None and _is_of_the_lab(Path(frame.f_code.co_filename))


def _is_of_a_model(error: BaseException) -> bool:
    """Whether code that is neither the lab's nor a library's raised it, or a library for that code.

    A value that such code gives to the lab, and the lab refuses, needs no traceback.
    """
    files = [
        file
        for file in _files(error)
        if _is_of_the_lab(file)
        or (file.is_absolute() and not any(map(file.is_relative_to, LIBRARIES)))
    ]
    return bool(files) and not _is_of_the_lab(files[-1]) and not isinstance(error, OSError)


def _is_of_the_lab(file: Path) -> bool:
    # The example models are models.
    in_lab = any(map(file.is_relative_to, ROOTS))
    return in_lab and not file.is_relative_to(ROOTS[1] / "examples")


def _files(error: BaseException) -> list[Path]:
    """The files of the functions through which it was raised, the innermost last."""
    return [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
