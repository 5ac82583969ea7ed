"""A report by place: its rows and its findings."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from initlab.audits.finding import Finding
from initlab.audits.text import median_of, rows_text
from initlab.taps import Row

__all__ = ["Place", "Places"]


class Place(NamedTuple):
    """What an audit says of one place; numbers are medians over seeds, NaN where not measured.

    Attributes:
      name: a parameter's path, "input", "output", or what the report calls it.
      rows: what was measured there, as a product, its activation, and a sum.
      findings: those of the place, ignored ones among them.
    """

    name: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def rms(self) -> float:
        """Root mean square of the signal."""
        return self._first("rms")

    @property
    def cosine_distance(self) -> float:
        """1 - mean cosine of two examples."""
        return self._first("cosine_distance")

    @property
    def gradient_norm(self) -> float:
        """Euclidean norm of the gradient."""
        return self._first("gradient_norm")

    @property
    def saturated(self) -> float:
        """Share of units x examples with a flat slope."""
        return self._first("saturated")

    @property
    def dead(self) -> float:
        """Share of units that are flat on every example."""
        return self._first("dead")

    def _first(self, name: str) -> float:
        values = (median_of(row, name) for row in self.rows)
        return next((value for value in values if not math.isnan(value)), math.nan)

    def __str__(self) -> str:
        """Its rows as a table."""
        return rows_text(self.rows)


class Places(Mapping[str, Place]):
    """Every place of a report by its name, in the order in which the data meet them."""

    def __init__(self, rows: Sequence[Row], findings: Sequence[Finding]) -> None:
        names = dict.fromkeys([row.place for row in rows])
        self._rows = rows
        self._findings: dict[str, list[Finding]] = {name: [] for name in names}
        for finding in findings:
            # One of several places, as of duplicates, is found at each of them.
            for name in finding.place.split(", "):
                self._findings.setdefault(name, []).append(finding)

    def __getitem__(self, name: str) -> Place:
        """A place; KeyError names the nearest."""
        if name not in self._findings:
            near = difflib.get_close_matches(str(name), self._findings, n=3, cutoff=0.4)
            raise KeyError(
                f"{name!r} is no place of this report; the nearest: {', '.join(near) or 'none'}"
            )
        rows = tuple(row for row in self._rows if row.place == name)
        return Place(name, rows, tuple(self._findings[name]))

    def __iter__(self) -> Iterator[str]:
        """Names."""
        return iter(self._findings)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._findings)
