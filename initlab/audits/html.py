"""A report as HTML, for notebooks: whatever a model calls its parts is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from initlab.audits.text import head, headline, merged, rows_table

if TYPE_CHECKING:
    from initlab.audits.report import Report

__all__ = ["report_html"]

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
    for each in report.ignored:
        reason = f" ({each.reason})" if each.reason else ""
        text = f"ignore: {each.code} at {each.pattern}{reason}: {len(each.findings)} found"
        parts.append(f"<div>{escape(text)}</div>")
    parts.append(_table(rows_table(report.rows)))
    if report.first_update is not None:
        parts.append(f"<p>{escape(report.first_update.headline())}</p>")
        parts.append(_table(report.first_update.table()))
    return "\n".join(parts)


def _table(lines: Sequence[Mapping[str, str]]) -> str:
    if not lines:
        return ""
    names = "".join(f"<th>{escape(name)}</th>" for name in lines[0])
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in line.values())}</tr>"
        for line in lines
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"
