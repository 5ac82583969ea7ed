"""Results of the lab's own: four questions, each with a table, error bars and a picture.

    python -m experiments.lab_results --result=escape
    python -m experiments.lab_results --result=small_starts
    python -m experiments.lab_results --result=first_order
    python -m experiments.lab_results --result=riddling

escape: how long does a start stay whose units are equal, and how far do they part meanwhile, over
its scale, the activation, the depth and the number of small layers? small_starts: does the scale of
a small start choose the minimum that condensation reaches? first_order: where does the first
correction for a network's width stop? riddling: is the border between starts whose units become
copies and those whose units do not riddled, near the plane of equal units and far from it? What
each has shown is in docs/results.md. Cells are kept as they are found: a killed run resumes.
"""

from typing import Any

import xarray

from experiments import harness
from experiments.harness import Settings, flags
from experiments.lab_results import escape, first_order, riddling, small_starts
from experiments.lab_results.figure import PICTURES
from experiments.lab_results.question import Question

__all__ = ["EXPERIMENT"]

QUESTIONS: dict[str, Question] = {
    "escape": escape.QUESTION,
    "small_starts": small_starts.QUESTION,
    "first_order": first_order.QUESTION,
    "riddling": riddling.QUESTION,
}

RESULT = flags.define_name("result", "escape", QUESTIONS, "Which question")
SEEDS = flags.define_count(
    "seeds", 0, "Seeds, networks drawn or windows; 0: the result's own number.", least=0
)
SIZE = flags.define_name(
    "size", "full", {"full": 0, "small": 0}, "Of the tables; a small one shows its form alone"
)
SMOKE = {"size": "small"}


def measure() -> xarray.Dataset:
    """The cells of one question's table."""
    if SEEDS.value == 1:
        raise ValueError("--seeds must be at least 2, for an interval, or 0, got 1")
    question = QUESTIONS[RESULT.value]
    cells = question.cells(SIZE.value, SEEDS.value)
    return question.assemble(cells, harness.fill(cells, question.find))


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """The numbers of its table."""
    return QUESTIONS[settings["result"]].summarize(results)


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The table."""
    return QUESTIONS[settings["result"]].show(summary)


def draw(results: xarray.Dataset, settings: Settings):
    """Its picture."""
    return PICTURES[settings["result"]](results)


EXPERIMENT = harness.Experiment("lab_results", measure, summarize, show, draw, SMOKE, float64=True)
