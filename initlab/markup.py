"""Text within one HTML file: scripts and data that cannot end the tag in which they stand."""

import json
import re

__all__ = ["as_data", "as_script"]


def as_script(text: str) -> str:
    r"""JavaScript between `<script>` tags.

    Strings and patterns of JavaScript read `\x3c` as "<", so that the program stays the same.

    Args:
      text: a program in which "</script" and "<!--" stand in strings and patterns alone.

    Returns:
      The same without them.

    >>> as_script("a = '</script>'")
    "a = '\\x3c/script>'"
    """
    return re.sub(r"<(?=/script|!--)", r"\\x3c", text, flags=re.IGNORECASE)


def as_data(value: object) -> str:
    r"""JSON between `<script type="application/json">` tags.

    Args:
      value: what JSON holds; no NaN and no infinity.

    Returns:
      One line without "<".

    Raises:
      ValueError: for NaN or infinity.

    >>> as_data({"name": "</script>"})
    '{"name": "\\u003c/script>"}'
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
