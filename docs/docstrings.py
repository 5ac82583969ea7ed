"""Docstrings, written to be read in an editor, as the reStructuredText that Sphinx expects."""

import re

__all__ = ["skip_fields", "to_restructured_text"]

# An example, from its prompt to the next empty line; code; anything else.
PARTS = re.compile(r"(^[ ]*>>>.*(?:\n[ ]*\S.*)*|`[^`]+`)", re.MULTILINE)


def to_restructured_text(app, what, name, found, options, lines: list[str]) -> None:
    """Marks code as code, and escapes what reStructuredText would take for markup; in place."""
    lines[:] = "".join(map(_part, PARTS.split("\n".join(lines)))).split("\n")


def skip_fields(app, what, name, found, skip, options) -> bool | None:
    """Leaves out what Python says of a tuple's fields; their class's Attributes say more."""
    is_field = (getattr(found, "__doc__", None) or "").startswith("Alias for field number")
    return True if is_field else None


def _part(text: str) -> str:
    if text.lstrip().startswith(">>>"):
        return text
    if text.startswith("`"):
        # In one line: what is told of a parameter is indented anew.
        return "`" + re.sub(r"\n\s*", " ", text) + "`"
    # "*" begins emphasis, "|" a substitution, "_" after a word a link.
    return re.sub(r"([*|]|_(?!\w))", r"\\\1", text)
