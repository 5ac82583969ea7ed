"""Findings that a user has looked at and accepts: by code and path, with a reason."""

import difflib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from initlab.audits.diagnostics import DIAGNOSTICS
from initlab.audits.finding import Finding

__all__ = ["Ignore", "Ignored", "apply_ignores", "read_ignores"]

Ignored = Mapping[str, Sequence[str] | Mapping[str, str]]
"""`{code: [path patterns]}`, or `{code: {path pattern: reason}}`."""


class Ignore(NamedTuple):
    """One pattern of an ignore list, and what it has kept out of the verdict.

    Attributes:
      code: of the findings.
      pattern: of their places.
      reason: why they are accepted; "" where none is given.
      findings: what it matched; none says that the pattern is not needed, or misspelt.
    """

    code: str
    pattern: str
    reason: str = ""
    findings: tuple[Finding, ...] = ()


def read_ignores(ignore: Ignored | None) -> tuple[Ignore, ...]:
    """An ignore list as patterns.

    Args:
      ignore: `{code: [patterns]}` or `{code: {pattern: reason}}`. In a pattern `*` is any part of a
        name, `**` any number of names, and `[3]`, the slice of a stack, may be left out. A place
        in full is a pattern too.

    Returns:
      One for each pattern.

    Raises:
      TypeError: if it is another thing.
      ValueError: if a code is none.

    >>> read_ignores({"unused_parameter": ["**/position_bias"]})[0].pattern
    '**/position_bias'
    """
    ignores = []
    if not isinstance(ignore, Mapping | None):
        raise TypeError(f"ignore must be a dict of codes, got {ignore!r:.60}")
    for code, patterns in (ignore or {}).items():
        check_code(code)
        if isinstance(patterns, str) or not isinstance(patterns, Sequence | Mapping):
            raise TypeError(
                f"ignore[{code!r}] must be a list of path patterns, or a dict of reasons by "
                f"pattern, got {patterns!r:.60}"
            )
        reasons = patterns if isinstance(patterns, Mapping) else dict.fromkeys(patterns, "")
        for pattern, reason in reasons.items():
            if not isinstance(pattern, str) or not isinstance(reason, str):
                raise TypeError(
                    f"ignore[{code!r}] must hold strings, got {pattern!r:.60}: {reason!r:.60}"
                )
            ignores.append(Ignore(code, pattern, reason))
    return tuple(ignores)


def check_code(code: str) -> None:
    """Raises ValueError, naming the nearest, unless a string is the code of a diagnostic."""
    if code not in DIAGNOSTICS:
        near = difflib.get_close_matches(str(code), DIAGNOSTICS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{code!r} is none of {', '.join(DIAGNOSTICS)}{hint}")


def apply_ignores(
    findings: Iterable[Finding], ignores: Sequence[Ignore]
) -> tuple[list[Finding], tuple[Ignore, ...]]:
    """The findings that no pattern matches, and the patterns with those that they do.

    A finding of several places, as of duplicates, is ignored where one pattern matches each.

    Args:
      findings: of an audit.
      ignores: as `read_ignores` gives them.

    Returns:
      The findings that are left, in their order, and the patterns.
    """
    kept: list[Finding] = []
    matched: dict[int, list[Finding]] = {number: [] for number in range(len(ignores))}
    for finding in findings:
        numbers = [n for n, each in enumerate(ignores) if _matches(each, finding)]
        for number in numbers[:1]:
            matched[number].append(finding)
        if not numbers:
            kept.append(finding)
    filled = (each._replace(findings=tuple(matched[n])) for n, each in enumerate(ignores))
    return kept, tuple(filled)


def _matches(ignore: Ignore, finding: Finding) -> bool:
    if ignore.code != finding.code:
        return False
    pattern = _compiled(ignore.pattern)
    places = finding.place.split(", ")
    return finding.place == ignore.pattern or all(pattern.fullmatch(each) for each in places)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A path pattern as a regular expression; `**/` may be nothing, so that it matches the root."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    body = "".join(parts.get(token, re.escape(token)) for token in tokens)
    # The slice of a stack, the number of a second group of one parameter's units.
    return re.compile(rf"{body}(?:\[\d+\]|:\d+)*")
