"""Where a device may part units that start identical, said before a run tries it."""

from collections.abc import Sequence
from typing import Any

from initlab.networks.dense import unpromised_widths

__all__ = ["not_promised"]


def not_promised(device: Any, widths: Sequence[int]) -> str:
    """A sentence that names the device and the widths it promises nothing of.

    Args:
      device: that the runs are computed on.
      widths: of the hidden layers.

    Returns:
      The sentence; "" where no width is in doubt.
    """
    doubted = ", ".join(map(str, unpromised_widths(device.platform, widths)))
    if not doubted:
        return ""
    return (
        f"on {device.device_kind} ({device.platform}) nothing promises that units which start "
        f"identical stay bit-identical in layers of width {doubted}; this run finds out"
    )
