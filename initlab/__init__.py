"""initlab: a laboratory for neural-network initialization in functional JAX."""

import importlib
from typing import TYPE_CHECKING, Any

from initlab._version import __version__ as __version__

if TYPE_CHECKING:
    from initlab import (
        activations,
        audits,
        calibration,
        coordinates,
        figures,
        initializers,
        networks,
        objectives,
        optimizers,
        probes,
        reductions,
        report,
        signals,
        sweeps,
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
    "figures",
    "initialize",
    "initializers",
    "make_loss",
    "make_run",
    "networks",
    "objectives",
    "optimizers",
    "probes",
    "reductions",
    "report",
    "signals",
    "sweep",
    "sweeps",
    "symmetry",
    "taps",
    "tasks",
    "theory",
]

# What is not asked for is not imported (PEP 562): a test that needs an initializer must not load
# xarray, zarr, matplotlib and pandas, which take longer than JAX; and pytest, which imports the
# plugin in every run, also of projects that only have initlab installed, must not load JAX.
_HOMES = {
    "assert_coordinates_stable": "coordinates",
    "assert_sound_initialization": "audits",
    "audit": "audits",
    "coordinate_check": "coordinates",
    "initialize": "initializers",
    "make_loss": "training",
    "make_run": "training",
    "sweep": "sweeps",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'initlab' has no attribute {name!r}")
    home = importlib.import_module(f"initlab.{_HOMES.get(name, name)}")
    found = getattr(home, name) if name in _HOMES else home
    # Cached in the module: this function is called once for each name.
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
