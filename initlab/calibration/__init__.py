"""Better starts: refiners `(key, apply, params, batch, ...) -> params` that change scales only."""

from initlab.calibration.changes import changes
from initlab.calibration.criticality import to_criticality
from initlab.calibration.gradients import gradinit, metainit
from initlab.calibration.lsuv import lsuv
from initlab.calibration.theory_gains import to_theory
from initlab.calibration.whitening import layerwise_whitening

__all__ = [
    "changes",
    "gradinit",
    "layerwise_whitening",
    "lsuv",
    "metainit",
    "to_criticality",
    "to_theory",
]
