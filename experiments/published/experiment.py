"""Do twelve published results of initialization come out, from fifteen lines of the lab each?

    python -m experiments.published
    python -m experiments.published --reproduction=lsuv,mup

Glorot's Jacobians, He's arithmetic, dynamical isometry, depth maps, condensation, lazy training,
conserved quantities, the fractal border of trainability, LSUV, dying relu, escape times and maximal
update: the published number beside the measured one with its 95 % interval over seeds, and whether
they agree. The recipes are printed in docs/guide/published.md.

Each is kept as soon as it is measured: killed, the same command goes on. Exits 1 if one disagrees.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray

from experiments import harness
from experiments.harness import Settings, flags
from experiments.published.figure import draw_claims
from experiments.published.reproductions import REPRODUCTIONS
from experiments.published.tables import show, summarize, verdict

__all__ = ["EXPERIMENT"]

SIZES = {"published": "published", "small": "small"}
NAMES = flags.define_names("reproduction", tuple(REPRODUCTIONS), REPRODUCTIONS, "Results")
SIZE = flags.define_name(
    "size", "published", SIZES, "The published settings, or such as take a second"
)
SMOKE = {"size": "small"}


def measure() -> xarray.Dataset:
    """The mean and standard deviation over seeds of what each claim is about."""
    is_small = SIZE.value == "small"
    cells = []
    for name in NAMES.value:
        each = REPRODUCTIONS[name]
        setting, seeds = (each.small, each.small_seeds) if is_small else (each.setting, each.seeds)
        cells.append({"reproduction": name, "seeds": seeds, "setting": dict(setting)})
    rows = []
    for cell, found in zip(cells, harness.fill(cells, _reproduce), strict=True):
        name = cell["reproduction"]
        for claim in REPRODUCTIONS[name].claims:
            # A small setting measures some of what is claimed.
            if claim.quantity in found or not is_small:
                values = found[claim.quantity]
                rows.append((name, claim.quantity, values.mean(), _std(values), len(values)))
    columns = [np.asarray(column) for column in zip(*rows, strict=True)]
    names = ("reproduction", "quantity", "measured", "std", "seeds")
    columns[:2] = [column.astype(object) for column in columns[:2]]
    return xarray.Dataset(
        {name: ("row", column) for name, column in zip(names, columns, strict=True)}
    )


def _reproduce(cell: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a recipe measures, [seeds] by quantity."""
    recipe = REPRODUCTIONS[cell["reproduction"]].recipe
    measured = recipe(cell["seeds"], **cell["setting"])
    return {quantity: np.asarray(values, float) for quantity, values in measured.items()}


def _std(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def draw(results: xarray.Dataset, settings: Settings):
    """A panel for each result: what is published, and what is measured with its interval."""
    return draw_claims(summarize(results, settings)["rows"])


EXPERIMENT = harness.Experiment("published", measure, summarize, show, draw, SMOKE, verdict)
