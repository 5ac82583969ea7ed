"""The course's published numbers, computed by the lab in float64: a row each, and a verdict.

    python -m experiments.course_tables

Exits 1 if a measured number is further from the published one than its tolerance.

Two costs of the times-10 start on the circles, at steps 1000 and 7000, are chaotic: runs whose
starts differ by one part in 1e15 have costs with standard deviations of 7e-4 and 3e-3, so that the
order of a run's sums decides on which side of the tolerance it falls. There the lab runs an
ensemble of 64 such starts. A row is within when the published cost lies inside the ensemble's
range, as all but 2 of 65 draws from its own distribution do, and when its standard deviation is at
most the tolerance. Nothing is added to the range.
"""

import xarray

from experiments import harness
from experiments.course_tables import tables
from experiments.course_tables.runs import measure_first_cost, measure_rows, trainings
from experiments.course_tables.vectors import measure_data, measure_vectors
from experiments.harness import Settings, flags
from experiments.number_tables.figure import draw_agreement
from experiments.number_tables.rows import Measured, choose, compare, published_rows
from experiments.number_tables.tables import verdict

__all__ = ["EXPERIMENT"]

SECTIONS = flags.define_numbers(
    "sections",
    (1, 2, 3, 4),
    "Sections of published numbers: 1 flower data, 2 one hidden layer on it, 3 unit vectors, "
    "4 three starts on the circles.",
    whole=True,
)
MAX_STEPS = flags.define_count(
    "max_steps", 15_000, "Rows that need more training steps are left out.", least=0
)
SMOKE = {"sections": ["1", "3"], "max_steps": 0}
UNTRAINED = {1: measure_data, 3: measure_vectors, 4: measure_first_cost}
"""What a section publishes of the data and of starts, measured whatever --max_steps is."""


def measure() -> xarray.Dataset:
    """Measures what the chosen sections publish and sets it beside that."""
    chosen = choose(published_rows(tables.PUBLISHED), SECTIONS.value)
    rows = [row for row in chosen if row.steps <= MAX_STEPS.value]
    measured: Measured = {}
    for section in sorted({row.section for row in chosen}):
        if section in UNTRAINED:
            measured |= UNTRAINED[section]()
        for training in harness.track(trainings(section), f"trainings of section {section}"):
            measured |= measure_rows(training, rows, MAX_STEPS.value)
    return compare(rows, measured).assign_attrs(
        left_out=len(chosen) - len(rows),
        max_steps=MAX_STEPS.value,
    )


def draw(results: xarray.Dataset, settings: Settings):
    """Each row's share of what it is allowed."""
    summary = tables.summarize(results, settings)
    return draw_agreement(
        results,
        title=f"The course's numbers, computed again: {summary['within']} rows within, "
        f"{summary['outside']} out",
    )


EXPERIMENT = harness.Experiment(
    "course_tables", measure, tables.summarize, tables.show, draw, SMOKE, verdict, float64=True
)
