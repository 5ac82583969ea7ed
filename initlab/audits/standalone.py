"""A report as one HTML file: findings, a strip of rms and gradient, the table, all linked."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from initlab.audits import html
from initlab.audits.finding import Finding
from initlab.audits.strip import strip_svg
from initlab.audits.text import head, headline, merged, rows_table

if TYPE_CHECKING:
    from initlab.audits.report import Report

__all__ = ["report_page"]

# Nothing is loaded and nothing runs, whatever a model calls its parameters.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

STYLE = Path(__file__).with_name("report.css")


LEGEND = """\
<h2>Place by place, from the input to the output</h2>
<p>Logarithmic; rings lie beside the path that all signals take, or are zero.</p>"""


def report_page(report: "Report", title: str = "initlab audit") -> str:
    """The verdict, the findings, the strip and the table of an audit, as one file.

    Args:
      report: of an audit.
      title: of the page.

    Returns:
      HTML without scripts, which loads nothing; every text is escaped. A finding's places link to
      their rows, a row to its findings, a point of the strip to its row.
    """
    lines = rows_table(report.rows)
    rows: dict[str, str] = {}
    for number, line in enumerate(lines):
        rows.setdefault(line["place"], f"row-{number}")
    blocks, found = [], {}
    for number, (finding, places) in enumerate(merged(report.findings)):
        blocks.append(_finding(finding, places, f"finding-{number}", rows))
        for place in {each for joined in places for each in _parts(joined)}:
            link = f'<a href="#finding-{number}">{escape(finding.code)}</a>'
            found.setdefault(place, []).append(link)
    cells = [
        {name: escape(text) for name, text in line.items()}
        | {"findings": ", ".join(found.get(line["place"], ())) if _is_first(rows, n, line) else ""}
        for n, line in enumerate(lines)
    ]
    ids = [rows[line["place"]] if _is_first(rows, n, line) else "" for n, line in enumerate(lines)]
    strip = strip_svg(report.rows, rows)
    sections = [
        f'<h1 class="{report.verdict}">{escape(headline(report))}</h1>',
        *blocks,
        *html.ignored_html(report.ignored),
        *([LEGEND, strip] if strip else []),
        f'<div class="table">{html.table(cells, ids)}</div>',
        *html.first_update_html(report),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: {report.verdict}</title>"
        f"<style>{STYLE.read_text()}</style></head>\n"
        f"<body><main>\n{chr(10).join(sections)}\n</main></body></html>\n"
    )


def _finding(finding: Finding, places: list[str], name: str, rows: Mapping[str, str]) -> str:
    linked = [_linked(part, rows) for joined in places for part in _parts(joined, whole=True)]
    # The first place stands in the head already.
    where = f"<br>at: {', '.join(linked)}" if len(linked) > 1 or "<a" in linked[0] else ""
    return (
        f'<section class="finding {finding.severity}" id="{name}"><b>{escape(finding.severity)}: '
        f"{escape(head(finding))}</b><div>cause: {escape(finding.cause)}<br>remedy: "
        f"{escape(finding.remedy)}{where}</div></section>"
    )


def _parts(joined: str, *, whole: bool = False) -> list[str]:
    """The places of one finding, "a/w[0], b/w"; without the slice, unless they are shown."""
    return [each if whole else _unsliced(each) for each in joined.split(", ")]


def _unsliced(place: str) -> str:
    return re.sub(r"(\[\d+\]|:\d+)*$", "", place)


def _linked(place: str, rows: Mapping[str, str]) -> str:
    anchor = rows.get(place, rows.get(_unsliced(place)))
    return escape(place) if anchor is None else f'<a href="#{anchor}">{escape(place)}</a>'


def _is_first(rows: Mapping[str, str], number: int, line: Mapping[str, str]) -> bool:
    """Whether a line of the table is the first of its place, which has the place's id."""
    return rows[line["place"]] == f"row-{number}"
