"""The page's files put together: one HTML text that asks nothing of a network."""

import html
import re
from pathlib import Path

from initlab import extras
from initlab._version import __version__
from initlab.markup import as_data, as_script
from initlab.page.bundle import bundle, find_workers
from initlab.page.data import page_data

__all__ = ["assemble", "read_modules"]

STATIC = Path(__file__).parent / "static"


def read_modules(folder: Path = STATIC) -> dict[str, str]:
    """The page's ES modules.

    Args:
      folder: where they are.

    Returns:
      Each one's text by its path in that folder.

    >>> "main.js" in read_modules()
    True
    """
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.js"))
    }


def assemble() -> str:
    """The whole page as HTML: text, style, charts, data, modules.

    Returns:
      One document of under 6 MB, which is plotly.js but for a twentieth. Its content security
      policy forbids every request.

    Raises:
      MissingExtraError: if plotly, or scikit-learn, which draws two of the tasks, is not installed.
    """
    with extras.needed("initlab.page"):
        from plotly import offline
    modules = read_modules()
    pieces = {
        "version": html.escape(__version__),
        "style": (STATIC / "page.css").read_text(encoding="utf-8"),
        "charts": as_script(offline.get_plotlyjs()),
        "data": as_data({"tasks": page_data()}),
        "workers": as_data({name: bundle(modules, name) for name in find_workers(modules)}),
        "script": as_script(f"(() => {{\n{bundle(modules, 'main.js')}\n}})();"),
    }
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    return re.sub(r"<!-- page:(\w+) -->", lambda found: pieces[found[1]], page)
