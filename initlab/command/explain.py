"""What a code means, as a page of text."""

import string
import textwrap

from initlab.audits.explanations import EXPLANATIONS, SETUP
from initlab.audits.ignores import check_code
from initlab.audits.thresholds import Thresholds

__all__ = ["explain", "overview"]

WIDTH = 100
"""Columns of a terminal."""


def explain(name: str) -> str:
    """Cause, remedy, threshold, its reason and an example.

    Args:
      name: a code, or a part of some: "gradient" explains every code that has it.

    Returns:
      A page for each code.

    Raises:
      ValueError: if no code has it; the nearest is named.

    >>> explain("saturated").splitlines()[0]
    'saturated'
    """
    codes = [name] if name in EXPLANATIONS else [each for each in EXPLANATIONS if name in each]
    if not name or not codes:
        check_code(name)
    return "\n\n\n".join(map(_page, codes))


def overview() -> str:
    """Every code, with the first sentence of its cause."""
    width = max(map(len, EXPLANATIONS))
    lines = []
    for code, each in EXPLANATIONS.items():
        text = f"{code:{width}}  {each.cause.partition('. ')[0].rstrip('.')}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * (width + 2))
    return "\n".join(lines)


def _page(code: str) -> str:
    explanation, thresholds = EXPLANATIONS[code], vars(Thresholds())
    line = explanation.threshold.format_map(thresholds)
    fields = [name for _, name, _, _ in string.Formatter().parse(explanation.threshold) if name]
    named = dict.fromkeys(name.partition("[")[0] for name in fields)
    if named:
        settings = ", ".join(f"{name}={thresholds[name]}" for name in named)
        line = f"{line.rstrip('.')}; thresholds=Thresholds({settings}) sets it."
    paragraphs = (
        ("Cause", explanation.cause),
        ("Remedy", explanation.remedy),
        ("Threshold", line),
        ("Reason", explanation.reason),
    )
    wrapped = [
        textwrap.fill(f"{title}: {text}", WIDTH, break_on_hyphens=False)
        for title, text in paragraphs
    ]
    example = textwrap.indent(f"{SETUP}\n{explanation.example}\nprint(report)", "    ")
    return "\n\n".join([code, *wrapped, f"Example:\n\n{example}"])
