"""The progress of long work: a bar on a terminal and log lines above it, and the counts by name."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TextIO

from tqdm import tqdm

__all__ = ["AboveTheBar", "Count", "innermost", "progress_bar"]


class Count:
    """How much of some work is finished; on a terminal a bar shows it.

    Attributes:
      total: in all.
      finished: so far.
      unit: what is counted, in the plural.
    """

    def __init__(self, total: int, finished: int, unit: str, bar: tqdm):
        self.total, self.finished, self.unit = total, finished, unit
        self._bar = bar

    def update(self, more: int = 1) -> None:
        """Counts what was just finished."""
        self.finished += more
        self._bar.update(more)

    def refresh(self) -> None:
        """Draws the bar again, so that its clock goes on while a long piece of work does."""
        self._bar.refresh()

    def __str__(self) -> str:
        return f"{self.finished} of {self.total} {self.unit}"


# A stack: a table's cell may sweep.
_counts: list[Count] = []


@contextlib.contextmanager
def progress_bar(
    total: int,
    finished: int = 0,
    chunks_resumed: int = 0,
    *,
    unit: str = "runs",
    wanted: bool = True,
) -> Iterator[Count]:
    """A bar on stderr that counts; where stderr is no terminal, one that shows nothing.

    Args:
      total: in all.
      finished: what an earlier call computed; it does not count as this call's speed.
      chunks_resumed: chunks that this lies in.
      unit: what is counted, in the plural.
      wanted: whether to show it at all.

    Yields:
      The count; its `update(number)` moves the bar on.
    """
    bar = tqdm(
        total=total,
        initial=finished,
        unit=f" {unit}",
        postfix={"chunks resumed": chunks_resumed} if chunks_resumed else {},
        # None is tqdm's own test for a terminal.
        disable=None if wanted else True,
    )
    count = Count(total, finished, unit, bar)
    with bar:
        if wanted:
            _counts.append(count)
        try:
            yield count
        finally:
            if wanted:
                _counts.remove(count)


def innermost() -> Count | None:
    """The count of the work that began last and is not finished, wherever it is counted."""
    return _counts[-1] if _counts else None


class AboveTheBar:
    """A text stream that writes to stderr above the bars that are there, for log lines."""

    def write(self, text: str) -> int:
        """Writes whole lines above the bars."""
        tqdm.write(text, file=self._stream(), end="")
        return len(text)

    def flush(self) -> None:
        """Flushes stderr."""
        self._stream().flush()

    def isatty(self) -> bool:
        """Whether stderr is a terminal."""
        return self._stream().isatty()

    def _stream(self) -> TextIO:
        # Looked up at each call: notebooks and pytest replace sys.stderr.
        return sys.stderr
