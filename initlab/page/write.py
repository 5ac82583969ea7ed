"""The page as a file."""

from pathlib import Path

from initlab import checks, files
from initlab.page.assemble import assemble

__all__ = ["check_out", "write_page"]


@checks.checked
def check_out(out: str) -> Path:
    """The path of a page that can be written.

    Args:
      out: a path that ends in .html.

    Returns:
      The same as a path.

    Raises:
      ValueError: if it does not end in .html, names a folder, or lies in none that exists.

    >>> check_out("page.html").name
    'page.html'
    """
    path = Path(out)
    if path.suffix.lower() not in (".html", ".htm") or "\0" in out:
        raise ValueError(f"--out must be a file that ends in .html, got {out!r}")
    if path.is_dir():
        raise ValueError(f"--out must be a file, got the folder {out!r}")
    if not path.parent.is_dir():
        raise ValueError(f"--out must lie in a folder that exists, got {out!r}")
    return path


def write_page(out: str) -> Path:
    """Writes the page, whole or not at all.

    Args:
      out: a path that ends in .html, in a folder that exists.

    Returns:
      The same as a path.

    Raises:
      ValueError: if it cannot be such a path; nothing is written then.
      OSError: if the system refuses to write it.
      MissingExtraError: if plotly or scikit-learn is not installed.
    """
    path = check_out(out)
    page = assemble()
    with files.replace_atomically(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path
