"""What takes too long for every run of the suite.

Rows and tests with the mark `thorough` stand beside a faster one of their kind; CI runs them by
`pytest -m thorough`. INITLAB_THOROUGH=1 runs them too, and more draws of what is drawn at random.
"""

import os
from collections.abc import Collection, Iterable

import pytest

__all__ = ["IS_THOROUGH", "rows"]

IS_THOROUGH = os.environ.get("INITLAB_THOROUGH") == "1"


def rows(names: Iterable[str], every_run: Collection[str]) -> list:
    """The names as parameters, those that are not of every run with the mark."""
    return [
        pytest.param(name, marks=() if name in every_run else pytest.mark.thorough)
        for name in names
    ]
