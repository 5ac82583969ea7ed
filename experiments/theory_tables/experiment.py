"""Published numbers of initialization theory, computed by the lab: a row each, and a verdict.

    python -m experiments.theory_tables

Exits 1 if a computed number is further from the published one than its tolerance. Flags set
how many networks are drawn; at their defaults a standard error is a quarter of the tolerance or
less.
"""

import xarray

from experiments import harness
from experiments.harness import Settings, flags
from experiments.number_tables.figure import draw_agreement
from experiments.number_tables.rows import Measured, choose, compare, published_rows
from experiments.number_tables.tables import summarize, verdict
from experiments.theory_tables.draws import measure_finite_width
from experiments.theory_tables.tables import PUBLISHED, show
from experiments.theory_tables.values import measure_constants, measure_mean_field, measure_starts

__all__ = ["EXPERIMENT"]

SECTIONS = flags.define_numbers(
    "sections",
    (5, 6, 7, 8),
    "Sections of published numbers: 5 mean-field theory, 6 finite width, 7 gains and constants, "
    "8 symmetry and scale.",
    whole=True,
)
LENGTH_DRAWS = flags.define_count(
    "length_draws", 1_000_000, "Networks drawn for the spread of squared lengths."
)
DYING_DRAWS = flags.define_count(
    "dying_draws", 200_000, "Networks drawn for the share that has a dead layer."
)
SMOKE = {"sections": ["6", "8"], "length_draws": 300_000, "dying_draws": 50_000}


def measure() -> xarray.Dataset:
    """Computes what the chosen sections publish and sets it beside that."""
    rows = choose(published_rows(PUBLISHED), SECTIONS.value)
    measures = {
        5: measure_mean_field,
        6: lambda: measure_finite_width(LENGTH_DRAWS.value, DYING_DRAWS.value),
        7: measure_constants,
        8: measure_starts,
    }
    measured: Measured = {}
    for section in harness.track(sorted({row.section for row in rows}), "sections"):
        measured |= measures[section]()
    return compare(rows, measured)


def draw(results: xarray.Dataset, settings: Settings):
    """Each row's share of what it is allowed."""
    summary = summarize(results, settings)
    return draw_agreement(
        results,
        title=f"Numbers of initialization theory, computed again: {summary['within']} rows within, "
        f"{summary['outside']} out",
    )


EXPERIMENT = harness.Experiment(
    "theory_tables", measure, summarize, show, draw, SMOKE, verdict, float64=True
)
