"""What every picture shares: size, colours that a colour-blind reader can distinguish, files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from initlab import checks
from initlab.files import replace_atomically
from initlab.terminal import printable

__all__ = ["CLASS_COLORS", "SERIES_COLORS", "literal", "new_figure", "ordered_colors", "save"]

SERIES_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette for series without an order."""

CLASS_COLORS = ("#0072B2", "#D55E00")
"""The two classes of a binary task."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, width x height inches, laid out so that nothing overlaps."""
    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def ordered_colors(count: int) -> Sequence[tuple[float, ...]]:
    """Colours for `count` series in an order, dark to light (viridis, its palest end left out)."""
    return [tuple(color) for color in matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count))]


def literal(name: object) -> str:
    r"""A name that somebody gave, as matplotlib draws it unchanged.

    It reads TeX between two dollars, and leaves labels that begin with "_" out of legends.

    Args:
      name: of a parameter, a case, a layer.

    Returns:
      Text for a label, a tick or a title; control characters are escaped.

    >>> print(literal("$w$"), literal("_inner"))
    \$w\$  _inner
    """
    text = printable(name).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


@checks.checked
def save(figure: Figure, stem: Path) -> None:
    """Writes `stem.png` and `stem.svg`, each whole or not at all.

    Args:
      figure: the picture.
      stem: the files' path without an ending.
    """
    engine = figure.get_layout_engine()
    try:
        for kind in ("png", "svg"):
            with replace_atomically(stem.with_suffix(f".{kind}")) as partial:
                figure.savefig(partial, format=kind)
            # Laid out once: the layout takes as long as drawing, and both are to look alike.
            figure.set_layout_engine(None)
    finally:
        figure.set_layout_engine(engine)
