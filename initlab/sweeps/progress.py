"""The progress of long work, on a terminal only: a bar, and log lines above it."""

import sys
from typing import TextIO

from tqdm import tqdm

__all__ = ["AboveTheBar", "progress_bar"]


def progress_bar(total: int, finished: int, chunks_resumed: int, *, wanted: bool) -> tqdm:
    """A bar on stderr that counts runs; where stderr is no terminal, one that shows nothing.

    Args:
      total: runs in all.
      finished: runs that an earlier call computed; they do not count as this call's speed.
      chunks_resumed: chunks that they lie in.
      wanted: whether to show it at all.

    Returns:
      A context manager; its `update(runs)` moves the bar on.
    """
    postfix = {"chunks resumed": chunks_resumed} if chunks_resumed else {}
    return tqdm(
        total=total,
        initial=finished,
        unit=" runs",
        postfix=postfix,
        # None is tqdm's own test for a terminal.
        disable=None if wanted else True,
    )


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
