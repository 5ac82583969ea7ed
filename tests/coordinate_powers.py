"""Coordinate checks whose sizes are powers of the width."""

from typing import Any

import numpy as np

from initlab.coordinates import CoordinateCheck


def check_of(start, change, *, noise=0.0, **more: Any):
    """A check whose sizes are powers: start {layer: power}, change {layer: power by step}."""
    widths, stream = np.array([64, 256, 1024]), np.random.default_rng(0)

    def power(exponent):
        return widths[:, None] ** float(exponent) * np.exp(noise * stream.normal(size=(3, 8)))

    starts = np.stack([power(exponent) for exponent in start.values()], axis=-1)
    changes = [np.stack([power(each) for each in steps], axis=-1) for steps in change.values()]
    return CoordinateCheck(
        "width",
        (64, 256, 1024),
        tuple(start),
        starts,
        np.stack(changes, axis=-1),
        more.get("predicted", {}),
        0.15,
    )


FLAT = {"in": 0, "hidden": 0, "out": 0}
