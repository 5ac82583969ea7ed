"""Sweeps: one run over the product of named axes, as one labelled dataset."""

from initlab.sweeps.execution import sweep

__all__ = ["sweep"]
