"""Text as a terminal shows it: names that people give may hold anything."""

__all__ = ["LONGEST_LINE", "one_line", "printable"]

LONGEST_LINE = 1000
"""Characters of an error's line: a flag's value may have millions."""


def printable(text: object) -> str:
    r"""Text with every character that is not shown as itself escaped.

    Control characters move the cursor, change colors or turn the direction of what follows.

    Args:
      text: a name, or other text without line breaks of its own.

    Returns:
      The same in printable characters.

    >>> print(printable("layer\t1\x1b[2J"))
    layer\t1\x1b[2J
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text)
    )


def one_line(text: object) -> str:
    r"""Text as one line: control characters escaped, long text cut in the middle.

    Args:
      text: an error, or its message; lines after the first are joined by semicolons.

    Returns:
      At most `LONGEST_LINE` characters, all of them printable.

    >>> one_line(ValueError("they differ in\n  steps: 3\n  seeds: \x1b[31m"))
    'they differ in steps: 3; seeds: \\x1b[31m'
    """
    first, *others = [each.strip() for each in str(text).strip().split("\n")]
    line = printable(" ".join([first, "; ".join(filter(None, others))]).strip())
    if len(line) <= LONGEST_LINE:
        return line
    half = LONGEST_LINE // 2 - 3
    return f"{line[:half]} ... {line[-half:]}"
