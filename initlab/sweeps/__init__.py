"""Sweeps: one run over the product of named axes, as one labelled dataset."""

from initlab import extras

with extras.needed("initlab.sweeps"):
    from initlab.sweeps.run_sweep import sweep

__all__ = ["sweep"]
