"""The noun: one question, as five functions and the sizes of its smoke run."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import xarray

__all__ = ["Experiment", "Settings"]

Settings = Mapping[str, Any]
"""The experiment's flags and their values, by name."""


class Experiment(NamedTuple):
    """One question, and how it is answered.

    Settings are the experiment's flags by name: those that the results were stored with, overlaid
    with those given. So `measure` alone reads flags; the others are functions of their arguments.

    Attributes:
      name: the module's name, and the default output folder's.
      measure: `() -> Dataset`: runs everything. Where its attrs say `interrupted`, what it has is
        written, and the program ends as an interrupted one.
      summarize: `(Dataset, settings) -> dict`: the numbers of the table, for summary.json.
      show: `(summary, settings) -> str`: the table as printed.
      draw: `(Dataset, settings) -> Figure`.
      smoke: `{flag: value}`: the small sizes that --smoke stands for.
      verdict: `summary -> exit code`; 0 when absent.
      float64: whether it computes in double precision.
      judging: flags that `measure` does not read: --figures_only may judge stored results anew.
    """

    name: str
    measure: Callable[[], xarray.Dataset]
    summarize: Callable[[xarray.Dataset, Settings], dict[str, Any]]
    show: Callable[[dict[str, Any], Settings], str]
    draw: Callable[[xarray.Dataset, Settings], Any]
    smoke: Mapping[str, Any]
    verdict: Callable[[dict[str, Any]], int] = lambda summary: 0
    float64: bool = False
    judging: frozenset[str] = frozenset()
