"""Rows of a table that are not right yet, as expected failures: right ones must lose their mark."""

import pytest

__all__ = ["rows"]


def rows(names, pending):
    """The names as parameters; of `pending`, `{name: reason}`, those that must fail."""

    def marks(name):
        return [pytest.mark.xfail(strict=True, reason=pending[name])] if name in pending else []

    return [pytest.param(name, marks=marks(name)) for name in names]
