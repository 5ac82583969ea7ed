"""initlab: a laboratory for neural-network initialization in functional JAX."""

from initlab import (
    activations,
    audits,
    calibration,
    coordinates,
    initializers,
    networks,
    objectives,
    probes,
    symmetry,
    taps,
    tasks,
    theory,
)
from initlab.audits import assert_sound_initialization, audit
from initlab.coordinates import assert_coordinates_stable, coordinate_check
from initlab.initializers import initialize
from initlab.sweeps import sweep
from initlab.training import make_loss, make_run

__all__ = [
    "activations",
    "assert_coordinates_stable",
    "assert_sound_initialization",
    "audit",
    "audits",
    "calibration",
    "coordinate_check",
    "coordinates",
    "initialize",
    "initializers",
    "make_loss",
    "make_run",
    "networks",
    "objectives",
    "probes",
    "sweep",
    "symmetry",
    "taps",
    "tasks",
    "theory",
]
