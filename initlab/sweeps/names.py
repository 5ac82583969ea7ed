"""Names of what a store holds: files, terminals and figures must be able to take them."""

from typing import Any

__all__ = ["LONGEST", "check_label", "check_name"]

LONGEST = 200
"""Characters of a name: file systems take 255 bytes, with what is added to it."""


def check_name(what: str, name: Any) -> None:
    """Raises unless a name can be that of a folder in a Zarr store, on every system.

    Args:
      what: whose name it is, for the error.
      name: the name.

    Raises:
      TypeError: if it is no text.
      ValueError: if it is empty or longer than `LONGEST`, has a slash, a backslash or a character
        that cannot be printed, begins or ends with a space, or is one that Zarr and file systems
        use themselves.

    >>> check_name("a probe value", "loss")
    >>> check_name("a probe value", "loss/mean")
    Traceback (most recent call last):
    ValueError: a probe value must not be named 'loss/mean': a slash divides folders
    """
    check_label(what, name)
    if "/" in name or "\\" in name:
        raise ValueError(f"{what} must not be named {name!r}: a slash divides folders")
    # Zarr keeps names with two underscores, and wrote files with a dot.
    if name.startswith((".", "__")) or name == "zarr.json":
        raise ValueError(f"{what} must not be named {name!r}, which Zarr and file systems use")


def check_label(what: str, label: Any) -> None:
    """Raises unless a text can be printed in one line and seen.

    Args:
      what: whose label it is, for the error.
      label: the label.

    Raises:
      TypeError: if it is no text.
      ValueError: if it is empty, too long, begins or ends with a space, or cannot be printed.
    """
    if not isinstance(label, str):
        raise TypeError(f"{what} must be named by text, got {label!r}")
    if not label or label != label.strip() or not label.isprintable():
        raise ValueError(f"{what} must have a name that can be seen and printed, got {label!r}")
    if len(label.encode()) > LONGEST:
        raise ValueError(f"{what} must have a name of at most {LONGEST} bytes, got {label[:30]!r}")
