"""The table of the course's published numbers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray

from experiments.harness import Settings
from experiments.number_tables import tables

__all__ = ["PUBLISHED", "show", "summarize"]

PUBLISHED = Path(__file__).parent / "numbers.json"
"""The course's numbers; `rows.published_rows` reads the file."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """The rows and how many of them are within their tolerance."""
    return {
        **tables.summarize(results, settings),
        "left_out": results.attrs["left_out"],
        "max_steps": results.attrs["max_steps"],
    }


def show(summary: Mapping[str, Any], settings: Settings) -> str:
    """The table."""
    text = tables.show(
        summary,
        "Published numbers of the course and the lab's, in float64. A row of several numbers shows "
        "the one that\ndeviates most, a chaotic one the median and [range] of starts that "
        "differ by rounding.",
        "measured",
        _describe,
    )
    if summary["left_out"]:
        text += (
            f" {summary['left_out']} rows that need more than {summary['max_steps']} training "
            "steps are left out."
        )
    return text


def _describe(row: Mapping[str, Any]) -> tuple[str, str]:
    """The texts of a row's measured value and of its verdict."""
    if row["kind"] == "chaotic":
        return _format_ensemble(row), _judge_ensemble(row)
    value, words = tables.describe(row)
    if not row["within"]:
        return value, words
    return value, {
        "published": "within",
        "cut": "within: the course prints whole percents, cut",
        "check": "converged, as it should be",
        "finite": "finite, as it should be",
    }[row["kind"]]


def _format_ensemble(row: Mapping[str, Any]) -> str:
    columns = ("measured", "lowest", "highest")
    median, *ends = (tables.format_number(row[name], 6) for name in columns)
    return f"{median} [{', '.join(ends)}]"


def _judge_ensemble(row: Mapping[str, Any]) -> str:
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
