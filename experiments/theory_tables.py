"""Published numbers of initialization theory, computed by the lab: a row each, and a verdict.

    python -m experiments.theory_tables

Exits 1 if a computed number is further from the published one than its tolerance. Where networks
are drawn, the flags say how many; at their defaults a standard error is a quarter of the tolerance
or less.
"""

from pathlib import Path

import jax
import xarray

from experiments import harness, names
from experiments.course_rows import compare, published_rows
from experiments.course_vectors import Measured
from experiments.theory_draws import measure_finite_width
from experiments.theory_values import measure_constants, measure_mean_field, measure_starts
from experiments.verdicts import digits, summarize_rows, verdict
from initlab import figures, report

__all__ = ["draw", "measure", "show"]

PUBLISHED = Path(__file__).with_name("theory_numbers.json")

SECTIONS = names.define_numbers(
    "sections",
    (5, 6, 7, 8),
    "Sections of published numbers: 5 mean-field theory, 6 finite width, 7 gains and constants, "
    "8 symmetry and scale.",
    whole=True,
)
LENGTH_DRAWS = names.define_count(
    "length_draws", 1_000_000, "Networks drawn for the spread of squared lengths."
)
DYING_DRAWS = names.define_count(
    "dying_draws", 200_000, "Networks drawn for the share that has a dead layer."
)
SMOKE = {"sections": ["6", "8"], "length_draws": 300_000, "dying_draws": 50_000}


def measure() -> xarray.Dataset:
    """Computes what the chosen sections publish and sets it beside that."""
    published = published_rows(PUBLISHED)
    sections = {int(section) for section in SECTIONS.value}
    if unknown := sorted(sections - {row.section for row in published}):
        raise ValueError(f"--sections must be of 5, 6, 7, 8, got {unknown}")
    measures = {
        5: measure_mean_field,
        6: lambda: measure_finite_width(LENGTH_DRAWS.value, DYING_DRAWS.value),
        7: measure_constants,
        8: measure_starts,
    }
    measured: Measured = {}
    for section in sorted(sections):
        measured |= measures[section]()
    return compare([row for row in published if row.section in sections], measured)


def show(summary: dict) -> str:
    """The table."""
    rows = [
        {
            "section": str(row["section"]),
            "number": row["name"],
            "published": digits(row["published"]),
            "computed": digits(row["measured"]),
            "deviation": digits(row["deviation"], 2),
            "tolerance": digits(row["tolerance"], 2),
            "verdict": "within" if row["within"] else "OUT",
        }
        for row in summary["rows"]
    ]
    head = (
        "Published numbers of initialization theory and the lab's. A row of several numbers shows "
        "the one that\ndeviates most.\n\n"
    )
    tail = (
        f"\n\n{len(rows)} rows with {summary['numbers']} published numbers: {summary['within']} "
        f"rows within, {summary['outside']} out."
    )
    return head + report.format_table(rows) + tail


def draw(results: xarray.Dataset):
    """Each row's share of what it is allowed."""
    summary = summarize_rows(results)
    return figures.draw_agreement(
        results,
        title=f"Numbers of initialization theory, computed again: {summary['within']} rows within, "
        f"{summary['outside']} out",
    )


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    harness.launch(
        harness.Experiment("theory_tables", measure, summarize_rows, show, draw, SMOKE, verdict)
    )
