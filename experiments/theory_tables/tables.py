"""The table of published numbers of initialization theory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.harness import Settings
from experiments.number_tables import tables

__all__ = ["PUBLISHED", "show"]

PUBLISHED = Path(__file__).parent / "numbers.json"
"""The published numbers of theory; `rows.published_rows` reads the file."""


def show(summary: Mapping[str, Any], settings: Settings) -> str:
    """The table."""
    return tables.show(
        summary,
        "Published numbers of initialization theory and the lab's. A row of several numbers shows "
        "the one that\ndeviates most.",
        "computed",
    )
