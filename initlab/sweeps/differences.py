"""How two descriptions differ, name by name."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["differences", "fields"]


def differences(
    there: Mapping[str, Any], here: Mapping[str, Any], one: str, other: str
) -> list[str]:
    """A line for every field of nested JSON that differs: `  axes.scale: there 1, here 2`.

    Args:
      there: one description.
      here: the other.
      one: what comes before the first's value.
      other: what comes before the second's.

    Returns:
      The lines, in the order of the fields; none where the descriptions are equal.

    >>> differences({"axes": {"scale": 1}}, {"axes": {"scale": 2}}, "there", "here")
    ['  axes.scale: there 1, here 2']
    """
    theirs, ours = dict(fields("", there)), dict(fields("", here))
    return [
        f"  {name}: {one} {_shown(theirs, name)}, {other} {_shown(ours, name)}"
        for name in dict.fromkeys((*theirs, *ours))
        if name not in theirs or name not in ours or theirs[name] != ours[name]
    ]


def fields(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested JSON by their dotted names, in the order in which they stand there.

    Args:
      prefix: the name of all of it; "" for the whole.
      value: a mapping, or a leaf.

    Yields:
      Each leaf's name and value; an empty mapping is a leaf.
    """
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from fields(f"{prefix}.{name}" if prefix else name, each)
    else:
        yield prefix, value


def _shown(fields: Mapping[str, Any], name: str) -> str:
    if name not in fields:
        return "nothing"
    text = json.dumps(fields[name])
    return text if len(text) <= 80 else f"{text[:50]} ... {text[-25:]}"
