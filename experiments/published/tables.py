"""The published numbers of initialization theory, and their table."""

from pathlib import Path

from experiments.published.verdicts import digits
from initlab import report

__all__ = ["PUBLISHED", "show"]

PUBLISHED = Path(__file__).parent.parent / "theory_tables" / "numbers.json"


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
