"""A table of published numbers: its summary, its text, the exit code."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import xarray

from experiments.harness import Settings
from initlab import report

__all__ = ["describe", "format_number", "show", "summarize", "verdict"]


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """The rows and how many of them are within their tolerance.

    Args:
      results: what `rows.compare` returns.
      settings: unused; every experiment's `summarize` takes them.

    Returns:
      numbers (how many are published), within, outside, and rows: a dict each, fit for JSON.
    """
    del settings
    columns = {name: results[name].values.tolist() for name in results.data_vars}
    rows = [
        {name: _plain(value) for name, value in zip(columns, line, strict=True)}
        for line in zip(*columns.values(), strict=True)
    ]
    within = int(results["within"].sum())
    return {
        "numbers": int(results["numbers"].sum()),
        "within": within,
        "outside": len(rows) - within,
        "rows": rows,
    }


def describe(row: Mapping[str, Any]) -> tuple[str, str]:
    """The texts of a row's measured value and of its verdict."""
    return format_number(row["measured"]), "within" if row["within"] else "OUT"


def show(
    summary: Mapping[str, Any],
    introduction: str,
    measured: str,
    describe: Callable[[Mapping[str, Any]], tuple[str, str]] = describe,
) -> str:
    """The table under its introduction, and the counts.

    Args:
      summary: of `summarize`.
      introduction: the paragraph above the table.
      measured: the title of the column of measured values.
      describe: `row -> (measured value, verdict)`, as text.

    Returns:
      The text.
    """
    rows = []
    for row in summary["rows"]:
        value, words = describe(row)
        rows.append(
            {
                "section": str(row["section"]),
                "number": row["name"],
                "published": format_number(row["published"]),
                measured: value,
                "deviation": format_number(row["deviation"], 2),
                "tolerance": format_number(row["tolerance"], 2),
                "verdict": words,
            }
        )
    return (
        f"{introduction}\n\n{report.format_table(rows)}\n\n{len(rows)} rows with "
        f"{summary['numbers']} published numbers: {summary['within']} rows within, "
        f"{summary['outside']} out."
    )


def verdict(summary: Mapping[str, Any]) -> int:
    """0 if every row is within its tolerance, else 1."""
    return int(summary["outside"] > 0)


def format_number(value: float | str | None, digits: int = 10) -> str:
    """A number of a summary as text.

    >>> format_number(0.1 + 0.2, 3), format_number(None), format_number("inf")
    ('0.3', '', 'inf')
    """
    return "" if value is None else f"{float(value):.{digits}g}"


def _plain(value: Any) -> Any:
    """NaN as None and infinity as a word: JSON has neither."""
    # Not the rule of initlab.files.plain, which drops both: an infinite cost is published, and a
    # table that loses it would show an empty cell where the course prints "inf".
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
