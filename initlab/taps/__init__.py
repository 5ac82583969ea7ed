"""Signals and gradients inside any model, measured in its traced program, at every layer."""

from initlab.taps.chains import Chain, chains_of
from initlab.taps.model import Model, measure, measure_signals, read_model
from initlab.taps.rows import Row, rows_of
from initlab.taps.slopes import SATURATED_SLOPE
from initlab.taps.units import unit_factors

__all__ = [
    "SATURATED_SLOPE",
    "Chain",
    "Model",
    "Row",
    "chains_of",
    "measure",
    "measure_signals",
    "read_model",
    "rows_of",
    "unit_factors",
]
