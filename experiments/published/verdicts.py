"""What the tables of published numbers share: counts, digits, the exit code."""

import math
from typing import Any

import xarray

from experiments.harness import Settings

__all__ = ["digits", "summarize_rows", "verdict"]


def summarize_rows(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """The rows and how many of them are within their tolerance.

    Args:
      results: what `course_rows.compare` returns.

    Returns:
      numbers (how many are published), within, outside, and rows: a dict each, fit for JSON.
    """
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


def verdict(summary: dict[str, Any]) -> int:
    """0 if every row is within its tolerance, else 1."""
    return int(summary["outside"] > 0)


def digits(value: float | str | None, count: int = 10) -> str:
    """A number of a summary as text.

    >>> digits(0.1 + 0.2, 3), digits(None), digits("inf")
    ('0.3', '', 'inf')
    """
    return "" if value is None else f"{float(value):.{count}g}"


def _plain(value: Any) -> Any:
    """JSON has neither: infinity in words, NaN as nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
