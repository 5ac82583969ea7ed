"""A report as lines of text, 100 columns wide."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from initlab.audits.finding import SEVERITIES, Finding
from initlab.report import format_table
from initlab.taps import Row
from initlab.terminal import printable

if TYPE_CHECKING:
    from initlab.audits.report import Report

__all__ = [
    "NUMBERS",
    "WIDTH",
    "findings_text",
    "fitted_text",
    "head",
    "headline",
    "median_of",
    "merged",
    "rows_table",
    "rows_text",
    "seed_values",
]

WIDTH = 100
"""Columns of a terminal."""

PLACE = 20
"""Columns of a place at least, however wide the others are."""

NUMBERS = ("rms", "cosine_distance", "gradient_norm", "saturated", "dead")
"""What a row may hold, in the order of the table."""

PLURALS = {"fail": "failures", "warn": "warnings", "info": "notes"}


def headline(report: "Report") -> str:
    """The verdict, and how many findings, tensors, parameters and seeds there are."""
    counts = [sum(f.severity == each for f in report.findings) for each in SEVERITIES]
    counted = [
        f"{count} {PLURALS[each] if count != 1 else PLURALS[each][:-1]}"
        for each, count in zip(SEVERITIES, counts, strict=True)
        if count
    ]
    if ignored := sum(len(each.findings) for each in report.ignored):
        counted.append(f"{ignored} ignored")
    seeds = f", {report.seeds} seeds" if report.seeds > 1 else ""
    return (
        f"verdict: {report.verdict} ({', '.join(counted) or 'nothing found'}; "
        f"{report.tensors} tensors, {report.entries:,} parameters{seeds})"
    )


def findings_text(report: "Report") -> list[str]:
    """The headline, the findings, and what an ignore list has kept out of them."""
    lines = _wrapped(headline(report), "", "    ")
    for finding, places in merged(report.findings):
        more = f", and {len(places) - 1} more like it" if len(places) > 1 else ""
        lines += ["", *_wrapped(f"{finding.severity}: {head(finding)}{more}", "", "    ")]
        # Labelled, and not made sentences of: one may begin with a path, which has no capitals
        # but its own.
        lines += _wrapped(f"cause: {finding.cause}", "    ", "      ")
        lines += _wrapped(f"remedy: {finding.remedy}", "    ", "      ")
    for number, each in enumerate(report.ignored):
        count = len(each.findings)
        found = f"{count} finding{'s' * (count != 1)}" if count else "matches no finding"
        reason = f" ({each.reason})" if each.reason else ""
        text = f"ignore: {each.code} at {each.pattern}{reason}: {found}"
        lines += [*([] if number else [""]), *_wrapped(text, "", "    ")]
    return lines


def head(finding: Finding) -> str:
    """Code, place, number and threshold of a finding."""
    number = ""
    if not math.isnan(finding.value) and finding.code != "unused_parameter":
        number = f", {_digits(finding.value)} (threshold {_digits(finding.threshold)})"
        if finding.interval is not None:
            low, high = finding.interval
            number = f"{number[:-1]}; 5 to 95 %: {_digits(low)} to {_digits(high)})"
    seeds = f", in {finding.seeds:.0%} of the seeds" if finding.seeds < 1 else ""
    return f"{finding.code} at {finding.place}{number}{seeds}"


def merged(findings: Sequence[Finding]) -> list[tuple[Finding, list[str]]]:
    """Findings that differ in their place and value only, as the first of them and all places."""
    sets: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    for finding in findings:
        key = (finding.code, finding.severity, finding.cause)
        sets.setdefault(key, (finding, []))[1].append(finding.place)
    return list(sets.values())


def rows_table(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line for each place; an activation's slopes are in its product's line."""
    lines: list[dict[str, str]] = []
    for row in rows:
        line = _line(row)
        if row.kind == "activation" and lines and lines[-1]["place"] == line["place"]:
            lines[-1] |= {name: line[name] for name in ("saturated", "dead")}
        else:
            lines.append(line)
    return lines


def rows_text(rows: Sequence[Row]) -> str:
    """The table of rows."""
    return fitted_text(rows_table(rows))


def fitted_text(table: Sequence[Mapping[str, str]]) -> str:
    """A table, its places as long as the other columns leave room for."""
    if not table:
        return ""
    others = [name for name in table[0] if name != "place"]
    taken = sum(2 + max(len(name), *(len(line[name]) for line in table)) for name in others)
    width = max(PLACE, WIDTH - taken)
    return format_table([dict(line) | {"place": _short(line["place"], width)} for line in table])


def seed_values(row: Row, name: str, seeds: int) -> np.ndarray:
    """A statistic of each seed, NaN where it was not measured; of dead units the share."""
    if name not in row.values:
        return np.full(seeds, np.nan)
    values = np.asarray(row.values[name], float)
    return values.mean(axis=1) if name == "dead" else values


def median_of(row: Row, name: str) -> float:
    """A statistic's median over seeds, NaN where it was not measured."""
    if name not in row.values:
        return math.nan
    return float(np.median(seed_values(row, name, len(row.values[name]))))


def _line(row: Row) -> dict[str, str]:
    shares = ("saturated", "dead")
    return {
        "place": row.place,
        "what": row.kind,
        **{name: (_share if name in shares else _digits)(median_of(row, name)) for name in NUMBERS},
    }


def _wrapped(text: str, first: str, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def _short(place: str, width: int) -> str:
    """A place of at most `width` columns; the middle of a long one is left out."""
    if len(place) <= width:
        return place
    # Its two ends say most: the model's part and the parameter's own name.
    return f"{place[: width // 2 - 2]}...{place[-(width - width // 2 - 1) :]}"


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"
