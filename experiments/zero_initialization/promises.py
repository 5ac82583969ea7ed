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
      The sentence; "" on a CPU, whose bits the tests hold. Today's
      programs were never run on a GPU. Earlier ones were, on an H100: they kept widths 5 and 37 and
      parted units at width 2. So no width is promised there.
    """
    if device.platform == "cpu":
        return ""
    named = ", ".join(map(str, widths))
    return (
        f"on {device.device_kind} ({device.platform}) nothing promises that units which start "
        f"identical stay bit-identical in layers of width {named}; this run finds out"
    )
