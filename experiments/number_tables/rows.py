"""Published numbers as rows, and their comparison with measured ones."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray

from initlab.types import Array

__all__ = ["KINDS", "Measured", "Row", "choose", "compare", "count_published", "published_rows"]

Measured = dict[tuple[str, str], Array | float]
"""`{(name, label): value}`, as in a file of published numbers; a lone value has the label ""."""

KINDS = ("published", "chaotic", "cut", "check", "finite")
"""What a row claims: "published": measured and published agree; "chaotic": published is one draw of
what an ensemble measures whose starts differ by rounding; "cut": they agree once measured is cut to
the whole number below, as the course prints it with %d; "check": the same as "published" of a
number that follows from a definition; "finite": measured is finite, whatever is published."""


class Row(NamedTuple):
    """One line of the table.

    Attributes:
      section: of the list of published numbers.
      name: what is measured; rows of one sequence share it.
      each: how the label is read, as "at step".
      label: the place in the sequence, "" for a row on its own.
      kind: one of KINDS.
      steps: training steps needed.
      tolerance: the largest deviation allowed; NaN where nothing is compared.
      published: the array [...]; NaN where nothing is published.
    """

    section: int
    name: str
    each: str
    label: str
    kind: str
    steps: int
    tolerance: float
    published: np.ndarray

    @property
    def title(self) -> str:
        """Name, label and shape: "forward: mean of Z1", "init(2,4,1), seed 2: W1 (4x2)"."""
        shape = "x".join(map(str, self.published.shape))
        return " ".join(filter(None, (self.name, self.each, self.label, shape and f"({shape})")))


def published_rows(path: Path) -> list[Row]:
    """Every row of a file of published numbers, in its order.

    Args:
      path: JSON, a list of entries with the fields of `Row`. An entry with labels ("at") is a row
        for each, another is one row. "steps" are the labels where the entry has none. "inf" is
        infinity, null NaN.

    Returns:
      The rows.

    Raises:
      ValueError: for an entry of an unknown kind, or lists that do not match its labels.
    """
    return [row for entry in json.loads(path.read_text()) for row in _rows(entry)]


def choose(rows: Sequence[Row], sections: Sequence[str]) -> list[Row]:
    """The rows of some sections, as a flag --sections names them.

    Args:
      rows: published numbers.
      sections: numbers as text.

    Returns:
      Those rows, in their order.

    Raises:
      ValueError: for a section that no row is of.
    """
    chosen, known = {int(section) for section in sections}, {row.section for row in rows}
    if unknown := sorted(chosen - known):
        names = ", ".join(map(str, sorted(known)))
        raise ValueError(f"--sections must be of {names}, got {unknown}")
    return [row for row in rows if row.section in chosen]


def count_published(rows: Sequence[Row]) -> int:
    """How many published numbers the rows hold, every entry of a matrix counted."""
    return sum(row.published.size for row in rows if row.kind in ("published", "chaotic", "cut"))


def compare(rows: Sequence[Row], measured: Measured) -> xarray.Dataset:
    """Sets measured beside published.

    Args:
      rows: published numbers.
      measured: a value for each row, of its shape, under `(name, label)`; for a chaotic row the
        members' values [members].

    Returns:
      A dataset over "row": section, quantity, name, kind, numbers (how many a row holds),
      published, measured, deviation `|measured - published|`, tolerance, used (deviation /
      tolerance), within. An array's row shows the entry that deviates most. A chaotic row shows the
      members' median as measured, and has members (1 in other rows), lowest, highest, spread (their
      standard deviation) and share (of members within the tolerance), NaN in other rows. It is
      within when `lowest <= published <= highest` and `spread <= tolerance`. Its used is the larger
      of `|published - middle of the range| / half the range` and `spread / tolerance`.

    Raises:
      KeyError: for a row that was not measured.
      ValueError: for a measured array whose shape is not the published one.
    """
    table = [_compare(row, np.asarray(measured[row.name, row.label])) for row in rows]
    columns = {name: [line[name] for line in table] for name in table[0]}
    text = {"quantity", "name", "kind"}
    return xarray.Dataset(
        {
            name: ("row", np.asarray(values, dtype=object if name in text else None))
            for name, values in columns.items()
        }
    )


def _compare(row: Row, measured: np.ndarray) -> dict[str, Any]:
    comparison = _compare_ensemble if row.kind == "chaotic" else _compare_run
    return {
        "section": row.section,
        "quantity": row.name,
        "name": row.title,
        "kind": row.kind,
        "numbers": count_published([row]),
        "tolerance": row.tolerance,
        **comparison(row, measured),
    }


def _compare_run(row: Row, measured: np.ndarray) -> dict[str, Any]:
    if measured.shape != row.published.shape:
        raise ValueError(
            f"{row.title} is published with shape {row.published.shape}, "
            f"and measured with shape {measured.shape}"
        )
    # The course prints whole percents with %d, which drops the fraction: 90.75 is published as 90.
    printed = np.floor(measured) if row.kind == "cut" else measured
    # Two equal infinities agree; their difference would be NaN.
    with np.errstate(invalid="ignore"):
        difference = np.abs(printed - row.published)
    deviations = np.where(printed == row.published, 0.0, difference).ravel()
    # argmax returns the first NaN where there is one, so that it cannot hide behind a number.
    worst = int(np.argmax(deviations))
    deviation, value = float(deviations[worst]), float(measured.ravel()[worst])
    within = np.isfinite(value) if row.kind == "finite" else deviation <= row.tolerance
    return {
        "published": float(row.published.ravel()[worst]),
        "measured": value,
        "deviation": deviation,
        "used": deviation / row.tolerance,
        "within": bool(within),
        "members": 1,
        **dict.fromkeys(("lowest", "highest", "spread", "share"), math.nan),
    }


def _compare_ensemble(row: Row, measured: np.ndarray) -> dict[str, Any]:
    if measured.ndim != 1 or len(measured) < 2 or row.published.ndim:
        raise ValueError(
            f"{row.title} is chaotic: one published number and [members] measured, got shapes "
            f"{row.published.shape} and {measured.shape}"
        )
    published, tolerance = float(row.published), row.tolerance
    lowest, highest = float(measured.min()), float(measured.max())
    # The published cost is one more draw of what the n members are draws of. Of n + 1 independent
    # draws of one distribution each is as likely to be the least or the largest: it is outside the
    # members' range with probability 2 / (n + 1), 3 % of 64, whatever the distribution. A tolerance
    # around the median would need to know its shape, and costs near a chaotic run are not normal.
    # The range alone would accept any number once the runs are far enough apart: hence the second
    # condition, on the spread. A member that is not finite makes the spread NaN, and the row out.
    with np.errstate(invalid="ignore"):
        spread = float(measured.std(ddof=1))
    from_middle, half = abs(published - (lowest + highest) / 2), (highest - lowest) / 2
    # Members that are all equal have a range of one number: on it 0, off it infinitely far.
    share_of_range = from_middle / half if half else (math.inf if from_middle else 0.0)
    deviation = abs(float(np.median(measured)) - published)
    return {
        "published": published,
        "measured": float(np.median(measured)),
        "deviation": deviation,
        "used": float(np.maximum(share_of_range, spread / tolerance)),
        "within": lowest <= published <= highest and spread <= tolerance,
        "members": len(measured),
        "lowest": lowest,
        "highest": highest,
        "spread": spread,
        "share": float(np.mean(np.abs(measured - published) <= tolerance)),
    }


def _rows(entry: Mapping[str, Any]) -> list[Row]:
    section, name, kind = entry["section"], entry["name"], entry["kind"]
    if kind not in KINDS:
        raise ValueError(f"{name}: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if "at" not in entry:
        published = _number(entry["published"])
        tolerance = float(_number(entry["tolerance"]))
        return [Row(section, name, "", "", kind, entry["steps"], tolerance, published)]
    labels, published = entry["at"], _number(entry["published"])
    if len(labels) != len(published):
        raise ValueError(f"{name}: {len(labels)} labels for {len(published)} published numbers")
    tolerances = np.broadcast_to(_number(entry["tolerance"]), (len(labels),))
    steps = np.broadcast_to(entry.get("steps", labels), (len(labels),))
    return [
        Row(
            section,
            name,
            entry["each"],
            str(label),
            kind,
            int(step),
            float(tolerance),
            np.asarray(number),
        )
        for label, step, tolerance, number in zip(labels, steps, tolerances, published, strict=True)
    ]


def _number(published: Any) -> np.ndarray:
    """Float64; JSON has no infinity, so that it is written "inf", and null is NaN."""
    return np.asarray(published, dtype=np.float64)
