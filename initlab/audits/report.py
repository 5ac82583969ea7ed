"""The report of an audit: a verdict, findings, and a row for every place."""

import dataclasses
import json
import math
import textwrap
from typing import Any

import numpy as np
import xarray

from initlab.audits.finding import SEVERITIES, Finding
from initlab.files import plain
from initlab.report import format_table
from initlab.taps import Row

__all__ = ["Report"]

WIDTH = 100
"""Columns of a terminal."""

PLACE = 20
"""Columns of a place at least, however wide the others are."""

NUMBERS = ("rms", "cosine_distance", "gradient_norm", "saturated")
PLURALS = {"fail": "failures", "warn": "warnings", "info": "notes"}


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """The result of an audit.

    Attributes:
      findings: worst first.
      rows: every place that was measured, in the order in which the data meet them.
      seeds: how many starts were drawn.
      tensors: how many parameters there are.
      entries: how many numbers they hold.
      loss: of each seed, NaN without one.
      loss_at_zero: the loss of outputs of zero, of each seed.
    """

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    seeds: int
    tensors: int
    entries: int
    loss: np.ndarray
    loss_at_zero: np.ndarray

    @property
    def verdict(self) -> str:
        """The worst finding's severity: "fail", "warn", or "pass" where there is neither."""
        severities = {finding.severity for finding in self.findings}
        return next((each for each in ("fail", "warn") if each in severities), "pass")

    def describe(self, finding: Finding) -> str:
        """A finding in one line: code, place, number, threshold, cause and remedy."""
        return f"{_head(finding)}: {finding.cause}. Remedy: {finding.remedy}."

    def __str__(self) -> str:
        """The verdict, the findings and the layers, 100 columns wide."""
        counts = [sum(f.severity == each for f in self.findings) for each in SEVERITIES]
        counted = [
            f"{count} {PLURALS[each] if count != 1 else PLURALS[each][:-1]}"
            for each, count in zip(SEVERITIES, counts, strict=True)
            if count
        ]
        seeds = f", {self.seeds} seeds" if self.seeds > 1 else ""
        lines = [
            f"verdict: {self.verdict} ({', '.join(counted) or 'nothing found'}; "
            f"{self.tensors} tensors, {self.entries:,} parameters{seeds})"
        ]
        for finding, places in _together(self.findings):
            more = f", and {len(places) - 1} more like it" if len(places) > 1 else ""
            lines += ["", *_wrapped(f"{finding.severity}: {_head(finding)}{more}", "")]
            lines += _wrapped(f"{_sentence(finding.cause)} {_sentence(finding.remedy)}", "    ")
        return "\n".join([*lines, "", format_table(_fitted(self._table()))])

    def _table(self) -> list[dict[str, str]]:
        """A line for each place; an activation's slopes are in its product's line."""
        lines: list[dict[str, str]] = []
        for row in self.rows:
            line = self._line(row)
            if row.kind == "activation" and lines and lines[-1]["place"] == line["place"]:
                lines[-1] |= {name: line[name] for name in ("saturated", "dead")}
            else:
                lines.append(line)
        return lines

    def _line(self, row: Row) -> dict[str, str]:
        values = {name: _middle(row, name) for name in NUMBERS}
        dead = _middle(row, "dead")
        return {
            "place": row.place,
            "what": row.kind,
            **{name: _digits(values[name]) for name in NUMBERS[:-1]},
            "saturated": _share(values["saturated"]),
            "dead": _share(dead),
        }

    def to_dataset(self) -> xarray.Dataset:
        """The rows over (seed, place), and the findings' columns over `finding`."""
        variables: dict[str, Any] = {}
        for name in (*NUMBERS, "dead"):
            columns = [_values(row, name, self.seeds) for row in self.rows]
            variables[name] = (("seed", "place"), np.stack(columns, axis=1))
        for name in ("kind", "scope", "norms", "on_path", "units"):
            column = [getattr(row, name) for row in self.rows]
            dtype = object if name in ("kind", "scope") else None
            variables[name] = ("place", np.asarray(column, dtype))
        for name in ("code", "severity", "cause", "remedy"):
            column = np.asarray([getattr(f, name) for f in self.findings], object)
            variables[name] = ("finding", column)
        for name in ("value", "threshold", "seeds"):
            variables[name] = (
                "finding",
                np.asarray([getattr(f, name) for f in self.findings], float),
            )
        places = np.asarray([finding.place for finding in self.findings], object)
        variables |= {
            "found_at": ("finding", places),
            "loss": ("seed", self.loss),
            "loss_at_zero": ("seed", self.loss_at_zero),
        }
        names = np.asarray([f"{row.place}: {row.kind}" for row in self.rows], object)
        attrs = {"verdict": self.verdict, "parameters": self.entries}
        return xarray.Dataset(variables, {"place": names, "seed": np.arange(self.seeds)}, attrs)

    def to_json(self) -> str:
        """Verdict, findings and rows (medians over seeds) as JSON; null for NaN and infinity."""
        content = {
            "verdict": self.verdict,
            "seeds": self.seeds,
            "parameters": self.entries,
            "loss": float(np.median(self.loss)),
            "loss_at_zero": float(np.median(self.loss_at_zero)),
            "findings": [finding._asdict() for finding in self.findings],
            "rows": [
                {
                    "place": row.place,
                    "scope": row.scope,
                    "kind": row.kind,
                    "on_path": row.on_path,
                    "norms": row.norms,
                }
                | {name: _middle(row, name) for name in (*NUMBERS, "dead")}
                for row in self.rows
            ],
        }
        return json.dumps(plain(content), indent=2, allow_nan=False)

    def figure(self) -> Any:
        """A matplotlib Figure of signals, distances, gradients and flat slopes, layer by layer."""
        # Imported here: an audit in a test suite must not take the second that Matplotlib does.
        from initlab import figures

        return figures.draw_audit(self.to_dataset())


def _head(finding: Finding) -> str:
    number = ""
    if not math.isnan(finding.value) and finding.code != "unused_parameter":
        number = f", {_digits(finding.value)} (threshold {_digits(finding.threshold)})"
        if finding.interval is not None:
            low, high = finding.interval
            number = f"{number[:-1]}; 5 to 95 %: {_digits(low)} to {_digits(high)})"
    seeds = f", in {finding.seeds:.0%} of the seeds" if finding.seeds < 1 else ""
    return f"{finding.code} at {finding.place}{number}{seeds}"


def _together(findings: tuple[Finding, ...]) -> list[tuple[Finding, list[str]]]:
    """Findings that differ in their place and value only are merged into the first of them."""
    sets: dict[tuple[str, str, str], tuple[Finding, list[str]]] = {}
    for finding in findings:
        key = (finding.code, finding.severity, finding.cause)
        sets.setdefault(key, (finding, []))[1].append(finding.place)
    return list(sets.values())


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _values(row: Row, name: str, seeds: int) -> np.ndarray:
    """A statistic of each seed, NaN where it was not measured; of dead units the share."""
    if name not in row.values:
        return np.full(seeds, np.nan)
    values = np.asarray(row.values[name], float)
    return values.mean(axis=1) if name == "dead" else values


def _middle(row: Row, name: str) -> float:
    if name not in row.values:
        return math.nan
    return float(np.median(_values(row, name, len(row.values[name]))))


def _fitted(table: list[dict[str, str]]) -> list[dict[str, str]]:
    """The table with places as long as the other columns leave room for in a line."""
    others = [name for name in table[0] if name != "place"]
    taken = sum(2 + max(len(name), *(len(line[name]) for line in table)) for name in others)
    width = max(PLACE, WIDTH - taken)
    return [line | {"place": _short(line["place"], width)} for line in table]


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
