"""Parametrizations: one table of powers of width, depth and batch, and what follows from it."""

from initlab.theory.parametrizations.growth import Growth, growth
from initlab.theory.parametrizations.scaling import Factors, Scaling, scaling
from initlab.theory.parametrizations.table import (
    EXPONENTS,
    Exponents,
    Optimizer,
    Parametrization,
    exponents,
)

__all__ = [
    "EXPONENTS",
    "Exponents",
    "Factors",
    "Growth",
    "Optimizer",
    "Parametrization",
    "Scaling",
    "exponents",
    "growth",
    "scaling",
]
