"""The course's published numbers, computed by the lab in float64: a row each, and a verdict.

    python -m experiments.course_tables

Exits 1 if a measured number is further from the published one than its tolerance.

Two costs of the times-10 start on the circles, at steps 1000 and 7000, are chaotic: starts that
differ by one part in 1e15 end up apart by standard deviations of 7e-4 and 3e-3, so that the order
of a run's sums decides on which side of the tolerance it falls. There the lab runs 64 such starts.
A row is within when the published cost lies inside their range, as all but 2 of 65 draws from their
own distribution do, and when their standard deviation is at most the tolerance. Nothing is added to
the range.
"""

import math

import xarray

from experiments import harness, names
from experiments.course_tables.runs import (
    measure_ensemble,
    measure_first_cost,
    measure_training,
    trainings,
)
from experiments.course_tables.vectors import Measured, measure_data, measure_vectors
from experiments.harness import Settings
from experiments.published.figure import draw_agreement
from experiments.published.rows import choose, compare, published_rows
from experiments.published.verdicts import digits, summarize_rows, verdict
from initlab import report

__all__ = ["draw", "measure", "show", "summarize", "verdict"]

SECTIONS = names.define_numbers(
    "sections",
    (1, 2, 3, 4),
    "Sections of published numbers: 1 flower data, 2 one hidden layer on it, 3 unit vectors, "
    "4 three starts on the circles.",
    whole=True,
)
MAX_STEPS = names.define_count(
    "max_steps", 15_000, "Rows that need more training steps are left out.", least=0
)
SMOKE = {"sections": ["1", "3"], "max_steps": 0}
UNTRAINED = {1: measure_data, 3: measure_vectors, 4: measure_first_cost}


def measure() -> xarray.Dataset:
    """Measures what the chosen sections publish and sets it beside that."""
    chosen = choose(published_rows(), SECTIONS.value)
    rows = [row for row in chosen if row.steps <= MAX_STEPS.value]
    measured: Measured = {}
    for section in sorted({row.section for row in chosen}):
        if section in UNTRAINED:
            measured |= UNTRAINED[section]()
        for training in trainings(section):
            measured |= measure_training(training, MAX_STEPS.value)
            chaotic = [
                row.steps for row in rows if row.kind == "chaotic" and row.name == training.costs
            ]
            if chaotic:
                measured |= measure_ensemble(training, chaotic)
    return compare(rows, measured).assign_attrs(
        left_out=len(chosen) - len(rows),
        max_steps=MAX_STEPS.value,
    )


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """The rows and how many of them are within their tolerance."""
    return {
        **summarize_rows(results),
        "left_out": results.attrs["left_out"],
        "max_steps": results.attrs["max_steps"],
    }


def show(summary: dict) -> str:
    """The table."""
    rows = [
        {
            "section": str(row["section"]),
            "number": row["name"],
            "published": digits(row["published"]),
            "measured": digits(row["measured"]) if row["members"] == 1 else _span(row),
            "deviation": digits(row["deviation"], 2),
            "tolerance": digits(row["tolerance"], 2),
            "verdict": _say(row),
        }
        for row in summary["rows"]
    ]
    head = (
        "Published numbers of the course and the lab's, in float64. A row of several numbers shows "
        "the one that\ndeviates most, a chaotic one the median and [range] of starts that "
        "differ by rounding.\n\n"
    )
    tail = (
        f"\n\n{len(rows)} rows with {summary['numbers']} published numbers: {summary['within']} "
        f"rows within, {summary['outside']} out."
    )
    if summary["left_out"]:
        tail += (
            f" {summary['left_out']} rows that need more than {summary['max_steps']} training "
            "steps are left out."
        )
    return head + report.format_table(rows) + tail


def draw(results: xarray.Dataset, settings: Settings):
    """Each row's share of what it is allowed."""
    summary = summarize(results)
    return draw_agreement(
        results,
        title=f"The course's numbers, computed again: {summary['within']} rows within, "
        f"{summary['outside']} out",
    )


def _span(row: dict) -> str:
    median, *ends = (digits(row[name], 6) for name in ("measured", "lowest", "highest"))
    return f"{median} [{', '.join(ends)}]"


def _say(row: dict) -> str:
    if row["kind"] == "chaotic":
        return _say_chaotic(row)
    if not row["within"]:
        return "OUT"
    return {
        "published": "within",
        "cut": "within: the course prints whole percents, cut",
        "check": "converged, as it should be",
        "finite": "finite, as it should be",
    }[row["kind"]]


def _say_chaotic(row: dict) -> str:
    starts = f"the range of {row['members']} starts that differ by rounding"
    share = f"{row['share']:.0%} of them within the tolerance"
    if row["within"]:
        return f"within {starts}; {share}"
    lowest, highest, spread = (
        math.nan if row[name] is None else float(row[name])
        for name in ("lowest", "highest", "spread")
    )
    inside = lowest <= row["published"] <= highest
    return (
        f"OUT: {'in' if inside else 'not in'} {starts}, whose standard deviation is {spread:.2g}; "
        f"{share}"
    )


EXPERIMENT = harness.Experiment(
    "course_tables", measure, summarize, show, draw, SMOKE, verdict, float64=True
)
