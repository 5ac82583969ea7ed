"""The coordinate check: what grows with width or depth, at the start and in the first steps."""

from initlab.coordinates.check import (
    Subject,
    assert_coordinates_stable,
    coordinate_check,
    of_network,
)
from initlab.coordinates.learning_rates import scale_by_width
from initlab.coordinates.result import CoordinateCheck
from initlab.coordinates.slopes import Slope, fit_slope

__all__ = [
    "CoordinateCheck",
    "Slope",
    "Subject",
    "assert_coordinates_stable",
    "coordinate_check",
    "fit_slope",
    "of_network",
    "scale_by_width",
]
