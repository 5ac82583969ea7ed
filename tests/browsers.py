"""A browser for the tests of the page: one for each file of tests, with the network off."""

import os
import runpy
import shutil
import sys
import time
from collections.abc import Iterator

import pytest

__all__ = ["browser", "find_chromium", "page_file", "until", "watched"]

HOW = "no Chromium: `apt-get install chromium`, or name one in INITLAB_CHROMIUM"


def find_chromium():
    """The path of a Chromium that is installed; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    paths = [os.environ.get("INITLAB_CHROMIUM"), *map(shutil.which, names)]
    return next(filter(None, paths), None)


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """The page, written once, as `python -m experiments.page` writes it."""
    out = tmp_path_factory.mktemp("page") / "a page.html"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["experiments.page", "--out", str(out)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("experiments.page", run_name="__main__")
    assert ended.value.code == 0
    return out


# Of a file and not of the session: while it is open, asyncio's loop runs in this thread, where the
# tests of other files may want one of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium; the tests are skipped where none is installed."""
    path = find_chromium()
    if path is None:
        pytest.skip(HOW)
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: the extra dev")
    with sync_api.sync_playwright() as playwright:
        # Chromium's sandbox does not run as root, as which containers and CI run.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


def until(page, expression, seconds=20):
    """Waits for an expression of JavaScript to be true; playwright's own way is eval in the page.

    The page's content security policy forbids that.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression} is not true after {seconds} s"
        page.wait_for_timeout(20)


def watched(browser, **options):
    """A page of the browser, with the network off, and the list of what went wrong in it.

    Args:
      browser: the fixture.
      **options: of a browser context: viewport, color_scheme, ...

    Returns:
      The page and a list, which grows by each error on its console and each request that leaves it.
    """
    page = browser.new_context(offline=True, **options).new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    own = ("file:", "blob:", "data:")
    page.on("request", lambda asked: asked.url.startswith(own) or wrong.append(asked.url))
    page.set_default_timeout(20_000)
    return page, wrong
