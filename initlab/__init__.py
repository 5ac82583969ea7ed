"""initlab: a laboratory for neural-network initialization in functional JAX."""

import importlib
from typing import TYPE_CHECKING, Any

from initlab import (
    activations,
    calibration,
    initializers,
    networks,
    objectives,
    probes,
    signals,
    symmetry,
    taps,
    tasks,
    theory,
)
from initlab.initializers import initialize
from initlab.training import make_loss, make_run

if TYPE_CHECKING:
    from initlab import audits, coordinates, figures, report, sweeps
    from initlab.audits import assert_sound_initialization, audit
    from initlab.coordinates import assert_coordinates_stable, coordinate_check
    from initlab.sweeps import sweep

__all__ = [
    "activations",
    "assert_coordinates_stable",
    "assert_sound_initialization",
    "audit",
    "audits",
    "calibration",
    "coordinate_check",
    "coordinates",
    "figures",
    "initialize",
    "initializers",
    "make_loss",
    "make_run",
    "networks",
    "objectives",
    "probes",
    "report",
    "signals",
    "sweep",
    "sweeps",
    "symmetry",
    "taps",
    "tasks",
    "theory",
]

# A test that needs an initializer must not load xarray, zarr, matplotlib and pandas, which take
# longer than JAX itself: what works on datasets is imported where it is first asked for (PEP 562).
_LAZY = {
    "audits": None,
    "coordinates": None,
    "figures": None,
    "report": None,
    "sweeps": None,
    "assert_sound_initialization": "audits",
    "audit": "audits",
    "assert_coordinates_stable": "coordinates",
    "coordinate_check": "coordinates",
    "sweep": "sweeps",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'initlab' has no attribute {name!r}")
    home = importlib.import_module(f"initlab.{_LAZY[name] or name}")
    found = getattr(home, name) if _LAZY[name] else home
    # Cached in the module: this function is called once for each name.
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
