"""Several processes on one sweep: barriers before the first chunk and after the last."""

from collections.abc import Callable

import jax
import numpy as np

__all__ = ["count_failures", "first_decides"]

MESSAGE_BYTES = 4096


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
    if jax.process_count() > 1:
        message = _broadcast(str(refusal) if refusal else "")
        if message and refusal is None:
            refusal = ValueError(f"process 0 raised: {message}")
    if refusal is not None:
        raise refusal


def count_failures(failed: bool) -> int:
    """How many processes failed; all wait for each other here."""
    if jax.process_count() == 1:
        return int(failed)
    from jax.experimental import multihost_utils

    return int(np.sum(multihost_utils.process_allgather(np.asarray(int(failed), np.int32))))


def _broadcast(text: str) -> str:
    from jax.experimental import multihost_utils

    # Of one size, since a broadcast requires the same shape in every process.
    message = np.zeros(MESSAGE_BYTES, np.uint8)
    encoded = text.encode()[:MESSAGE_BYTES]
    message[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    received = np.asarray(multihost_utils.broadcast_one_to_all(message), np.uint8)
    # A cut at MESSAGE_BYTES may leave half a character at the end.
    return received.tobytes().rstrip(b"\0").decode(errors="ignore")
