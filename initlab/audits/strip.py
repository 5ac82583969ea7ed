"""The strip of an audit's page: rms and gradient by place, one column a place, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from initlab.audits.text import median_of
from initlab.taps import Row

__all__ = ["strip_svg"]

BANDS = {"rms": "rms of the signal", "gradient_norm": "norm of its gradient"}
"""What the strip shows, from above, with its label."""

COLUMN, HEIGHT, GAP, LEFT = 24, 90, 34, 64
"""Pixels: of a place, of a band, between bands, and of the axis' numbers."""


def strip_svg(rows: Sequence[Row], links: Mapping[str, str]) -> str:
    """A band for the rms and one for the gradient's norm, both of logarithmic height.

    Args:
      rows: of a report; medians over seeds are drawn, filled where every path passes. Activations
        are left out: their products have the same place.
      links: of a place, the id of its row in the table.

    Returns:
      An SVG element of links, each with a title for the pointer; "" where there is no number. A
      zero, which has no logarithm, stands on the band's floor as a ring.
    """
    drawn = [row for row in rows if row.kind != "activation"]
    if not any(math.isfinite(median_of(row, name)) for row in drawn for name in BANDS):
        return ""
    width = LEFT + COLUMN * len(drawn) + COLUMN
    bands = [
        _band(drawn, name, label, GAP + number * (HEIGHT + GAP), width, links)
        for number, (name, label) in enumerate(BANDS.items())
    ]
    height = GAP + len(BANDS) * (HEIGHT + GAP)
    return (
        f'<div class="strip"><svg role="group" aria-label="rms and gradient by place" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">{"".join(bands)}'
        "</svg></div>"
    )


def _band(
    rows: Sequence[Row], name: str, label: str, top: int, width: int, links: Mapping[str, str]
) -> str:
    values = [median_of(row, name) for row in rows]
    logs = [math.log10(value) for value in values if math.isfinite(value) and value > 0]
    # Whole decades, and never fewer than two: equal values look equal.
    low = math.floor(min(logs, default=0.0))
    high = max(math.ceil(max(logs, default=0.0)), low + 2)
    parts = [f'<text x="{LEFT}" y="{top - 8}" class="label">{escape(label)}</text>']
    for decade in (low, high):
        y = _height(decade, low, high, top)
        parts.append(f'<line x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="number">1e{decade}</text>')
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        if not math.isfinite(value):
            continue
        x = LEFT + COLUMN * (number + 0.5)
        y = _height(math.log10(value) if value > 0 else low, low, high, top)
        said = escape(f"{row.place}, {row.kind}: {label} {value:.3g}", quote=True)
        kind = "zero" if value <= 0 else "path" if row.on_path else "aside"
        parts.append(
            f'<a href="#{links[row.place]}" aria-label="{said}"><title>{said}</title>'
            f'<line x1="{x}" x2="{x}" y1="{top + HEIGHT}" y2="{y:.1f}" class="stem"/>'
            f'<circle cx="{x}" cy="{y:.1f}" r="4.5" class="{name} {kind}"/></a>'
        )
    return "".join(parts)


def _height(decade: float, low: float, high: float, top: int) -> float:
    return top + HEIGHT * (1 - (decade - low) / (high - low))
