"""A report as HTML, for notebooks: whatever a model calls its parts is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from initlab.audits.ignores import Ignore
from initlab.audits.text import head, headline, merged, rows_table

if TYPE_CHECKING:
    from initlab.audits.report import Report

__all__ = ["first_update_html", "ignored_html", "report_html", "table"]

COLORS = {"fail": "#b3261e", "warn": "#8a6100", "info": "#5f6368", "pass": "#146c2e"}
"""Of severities and of the verdict, at least 4.5 to 1 against white."""


def report_html(report: "Report") -> str:
    """The verdict, the findings and the table of rows.

    Args:
      report: of an audit.

    Returns:
      HTML without scripts; every text is escaped.
    """
    color = COLORS[report.verdict]
    parts = [f'<p style="color:{color}"><b>{escape(headline(report))}</b></p>']
    for finding, places in merged(report.findings):
        more = f", and {len(places) - 1} more like it" if len(places) > 1 else ""
        parts.append(
            f'<details open><summary style="color:{COLORS[finding.severity]}">'
            f"<b>{escape(finding.severity)}</b>: {escape(head(finding) + more)}</summary>"
            f"<div>cause: {escape(finding.cause)}<br>remedy: {escape(finding.remedy)}</div>"
            "</details>"
        )
    parts += [*ignored_html(report.ignored), table(_escaped(rows_table(report.rows)))]
    return "\n".join([*parts, *first_update_html(report)])


def ignored_html(ignored: Sequence[Ignore]) -> list[str]:
    """A line for each pattern of the ignore list, with how many findings it keeps out."""
    lines = []
    for each in ignored:
        reason = f" ({each.reason})" if each.reason else ""
        text = f"ignore: {each.code} at {each.pattern}{reason}: {len(each.findings)} found"
        lines.append(f"<div>{escape(text)}</div>")
    return lines


def first_update_html(report: "Report") -> list[str]:
    """What the optimizer's first step changes, if there is one: a line and a table."""
    if report.first_update is None:
        return []
    headline = f"<p>{escape(report.first_update.headline())}</p>"
    return [headline, table(_escaped(report.first_update.table()))]


def table(lines: Sequence[Mapping[str, str]], ids: Sequence[str] = ()) -> str:
    """A table of cells that are HTML already, and perhaps an id for each line; "" for none."""
    if not lines:
        return ""
    names = "".join(f"<th>{escape(name)}</th>" for name in lines[0])
    rows = ""
    for line, name in zip(lines, ids or [""] * len(lines), strict=True):
        marked = f' id="{name}"' if name else ""
        rows += f"<tr{marked}>{''.join(f'<td>{cell}</td>' for cell in line.values())}</tr>"
    return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"


def _escaped(lines: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{name: escape(text) for name, text in line.items()} for line in lines]
