"""The coordinate check: what grows with width or depth, at the start and in the first steps."""

from initlab.coordinates.check import (
    assert_coordinates_stable,
    coordinate_check,
    coordinate_checks,
)
from initlab.coordinates.learning_rates import scale_by_width
from initlab.coordinates.result import CoordinateCheck
from initlab.coordinates.slopes import Slope, fit_slope
from initlab.coordinates.subject import Subject, of_network

__all__ = [
    "CoordinateCheck",
    "Slope",
    "Subject",
    "assert_coordinates_stable",
    "coordinate_check",
    "coordinate_checks",
    "fit_slope",
    "of_network",
    "scale_by_width",
]
