"""initlab: a laboratory for neural-network initialization in functional JAX."""

from initlab import (
    activations,
    audits,
    calibration,
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
from initlab.initializers import initialize
from initlab.sweeps import sweep
from initlab.training import make_loss, make_run

__all__ = [
    "activations",
    "assert_sound_initialization",
    "audit",
    "audits",
    "calibration",
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
