"""The noun: one result of the lab's own, as a table of cells and what is made of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray
from scipy.special import stdtrit

__all__ = ["Interval", "Question", "mean_interval", "with_interval"]

Cell = Mapping[str, Any]
Interval = tuple[float, float, float]
"""A value, and the ends of its 95 % interval."""


class Question(NamedTuple):
    """One question; all but `find` are quick. Its picture is of `experiments.lab_results.figure`.

    Attributes:
      cells: `(size, seeds) -> cells`: what is measured, each with everything that decides it; of
        seeds 0 the result's own number.
      find: `cell -> arrays by name`.
      assemble: `(cells, found) -> Dataset`.
      summarize: `Dataset -> dict`: the numbers of the table.
      show: `summary -> str`.
    """

    cells: Callable[[str, int], list[dict[str, Any]]]
    find: Callable[[Cell], Mapping[str, Any]]
    assemble: Callable[[Sequence[Cell], Sequence[Mapping[str, np.ndarray]]], xarray.Dataset]
    summarize: Callable[[xarray.Dataset], dict[str, Any]]
    show: Callable[[Mapping[str, Any]], str]


def mean_interval(values: np.ndarray) -> Interval:
    """The mean of independent numbers, with Student's 95 % interval.

    Args:
      values: at least two numbers [N].

    Returns:
      `(mean, low, high)`.

    >>> [round(each, 3) for each in mean_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484]
    """
    mean = float(np.mean(values))
    half = float(stdtrit(values.size - 1, 0.975) * np.std(values, ddof=1) / values.size**0.5)
    return mean, mean - half, mean + half


def with_interval(found: Sequence[float], digits: int = 3) -> str:
    """`value [low, high]`.

    >>> with_interval((1.0, 0.5, 1.5), 1)
    '1.0 [0.5, 1.5]'
    """
    value, low, high = (f"{each:.{digits}f}" for each in found)
    return f"{value} [{low}, {high}]"
