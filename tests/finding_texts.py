"""What holds of every finding's words: a sentence each, and names as the model has them."""

import re

import jax

from initlab import checks

SHORT = 3
"""A name of fewer letters may be a part of any word."""

ACRONYMS = ("NaN",)
"""Words that have capitals of their own."""


def check_texts(report, params):
    """Raises AssertionError, with the text, where a finding is not worded as all are."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    paths = [checks.path_name(path) for path, _ in leaves]
    for finding in report.findings:
        for text in (finding.cause, finding.remedy):
            assert is_a_sentence(text), text
            assert names_as_written(text, paths), text


def is_a_sentence(text):
    """Whether it is one, without the full stop that a report adds, and has no empty part."""
    ends = re.search(r"[.!?](\s|$)", text) is not None
    return bool(text) and text == text.strip() and not ends and "  " not in text


def names_as_written(text, paths):
    """Whether names keep their case, and a text that begins with none begins in lower case."""
    for path in paths:
        if len(path) < SHORT:
            continue
        for found in re.finditer(rf"(?<![\w/]){re.escape(path)}(?![\w/])", text, re.IGNORECASE):
            if found.group() != path:
                return False
    first = text.split()[0].strip(",:").partition("[")[0]
    return not first[0].isupper() or first in paths or first in ACRONYMS
