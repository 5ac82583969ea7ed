"""Findings that a project lives with: read from a file, and written to it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from initlab.audits.finding import Finding
from initlab.audits.ignores import Ignore, read_ignores
from initlab.files import write_json

__all__ = ["as_argument", "check_path", "read_baseline", "read_flag", "write_baseline"]

REASON = "in the baseline"
"""Why a finding is accepted that `write_baseline` has written; a better one may be edited in."""


def check_path(given: str) -> Path:
    """The path of --baseline; raises ValueError unless a file is there or can be made there.

    Before the audit, whose minutes would be lost.
    """
    path = Path(given).expanduser()
    if not given.strip() or path.is_dir():
        raise ValueError(f"--baseline must be a file, got {given!r}")
    if not path.parent.is_dir():
        raise ValueError(f"--baseline {path} cannot be made: there is no folder {path.parent}")
    return path


def read_baseline(path: Path) -> tuple[Ignore, ...]:
    """The patterns of a baseline: a JSON file of the form of `audit`'s ignore, with reasons.

    Args:
      path: the file.

    Returns:
      Its patterns.

    Raises:
      ValueError: if there is no such file, or it is another thing.
    """
    try:
        return read_ignores(json.loads(path.read_text()))
    # RecursionError: brackets nested without end.
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"--baseline {path} cannot be read: {error}") from error


def write_baseline(path: Path, findings: Sequence[Finding], kept: Sequence[Ignore]) -> int:
    """Accepts every failure and warning.

    Args:
      path: the file, made or replaced.
      findings: of an audit.
      kept: patterns of the baseline of before; those that still match are kept, with their reasons.

    Returns:
      How many findings the file accepts.

    Raises:
      OSError: if it cannot be written.
    """
    content: dict[str, dict[str, str]] = {}
    for each in kept:
        if each.findings:
            content.setdefault(each.code, {})[each.pattern] = each.reason
    new = [finding for finding in findings if finding.severity != "info"]
    for finding in new:
        content.setdefault(finding.code, {})[finding.place] = REASON
    write_json(path, content)
    return len(new) + sum(len(each.findings) for each in kept)


def read_flag(entries: Sequence[str]) -> tuple[Ignore, ...]:
    """The patterns of --ignore: "code", or "code:pattern".

    Args:
      entries: of the flag.

    Returns:
      Their patterns.

    Raises:
      ValueError: if a code is none.

    >>> [(each.code, each.pattern) for each in read_flag(["saturated", "untracked:blocks/*"])]
    [('saturated', '**'), ('untracked', 'blocks/*')]
    """
    ignore: dict[str, dict[str, str]] = {}
    for entry in entries:
        code, _, pattern = entry.partition(":")
        ignore.setdefault(code, {})[pattern or "**"] = "--ignore"
    return read_ignores(ignore)


def as_argument(ignores: Sequence[Ignore]) -> Mapping[str, Mapping[str, str]]:
    """Patterns in the form of `audit`'s ignore."""
    ignore: dict[str, dict[str, str]] = {}
    for each in ignores:
        ignore.setdefault(each.code, {})[each.pattern] = each.reason
    return ignore
