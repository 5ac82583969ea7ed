"""Where a device may part units that start identical, said before a run tries it."""

from collections.abc import Sequence
from typing import Any

__all__ = ["not_promised"]


def not_promised(device: Any, widths: Sequence[int]) -> str:
    """A sentence that names the device and the widths it promises nothing of.

    Args:
      device: that the runs are computed on.
      widths: of the hidden layers.

    Returns:
      The sentence; "" on a CPU, whose bits the tests hold. On an H100 an earlier version kept
      widths 5 and 37 and parted units at width 2; what has changed since was never run on a GPU,
      so that no width is promised there.
    """
    if device.platform == "cpu":
        return ""
    named = ", ".join(map(str, widths))
    return (
        f"on {device.device_kind} ({device.platform}) nothing promises that units which start "
        f"identical stay bit-identical in layers of width {named}; this run finds out"
    )
