"""What theory predicts of a model's signals beside what an audit has measured of them."""

import math
from collections.abc import Sequence

import numpy as np

from initlab.audits.text import fitted_text, seed_values
from initlab.signals import WholePrediction
from initlab.taps import Row

__all__ = ["predicted_table", "predicted_text"]


def predicted_table(prediction: WholePrediction, rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line for each product and output that is predicted.

    Args:
      prediction: of the model's places.
      rows: measured, over the same starts.

    Returns:
      Lines of rms predicted and measured (the root of the mean square over seeds), its standard
      error over seeds, by how many of them the mean squares differ, and cosine distances.
    """
    measured = {row.place: row for row in rows if row.kind in ("product", "output")}
    lines = []
    for place, wanted in prediction.places.items():
        if place not in measured:
            continue
        values = measured[place].values
        squares = np.square(np.asarray(values["rms"], float))
        seeds = len(squares)
        found = math.sqrt(squares.mean())
        error = squares.std(ddof=1) / math.sqrt(seeds) if seeds > 1 else math.nan
        off = (wanted.rms**2 - squares.mean()) / error if error > 0 else math.nan
        distance = float(seed_values(measured[place], "cosine_distance", seeds).mean())
        lines.append(
            {
                "place": place,
                "rms predicted": f"{wanted.rms:.3g}",
                "measured": f"{found:.3g}",
                "+-": "" if math.isnan(off) else f"{error / (2 * found):.1g}",
                "off by": "" if math.isnan(off) else f"{off:+.1f} s.e.",
                "cosine_distance predicted": _number(wanted.cosine_distance),
                "measured ": _number(distance),
            }
        )
    return lines


def predicted_text(prediction: WholePrediction, rows: Sequence[Row]) -> str:
    """The table, and which places are not predicted, and why."""
    table = fitted_text(predicted_table(prediction, rows))
    reasons: dict[str, list[str]] = {}
    for place, reason in prediction.unfollowed.items():
        reasons.setdefault(reason, []).append(place)
    lines = [
        f"not predicted: {', '.join(places[:3])}{', ...' if len(places) > 3 else ''}: {reason}"
        for reason, places in reasons.items()
    ]
    head = "predicted for wide layers, from the parameters' variances:"
    return "\n".join([head, table, *lines])


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"
