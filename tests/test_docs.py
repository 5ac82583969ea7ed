"""The documentation's own parts; that it builds, `.ci/run` sees."""

import pkgutil
import re
from pathlib import Path

import pytest
from docs_parts import DOCS, part

import initlab

pytestmark = pytest.mark.quick

# Rooms whose names nobody calls: `initlab.training` stands in the reference's first page.
INSIDE = {
    "activations", "adoption", "bilinear", "checks", "command", "compilation", "exits", "extras",
    "files", "frameworks", "keys", "markup", "page", "programs", "pytest_plugin", "taps",
    "terminal",
    "training",
}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("Units `[B, n]` of *args.", r"Units ``[B, n]`` of \*args."),
        ("the norm |z|, fan_in and w_.", r"the norm \|z\|, fan_in and w\_."),
        ("`a *\n    b` and c", "``a * b`` and c"),
        (">>> f(*x)  # `a`\n[1 | 2]\n\nand *this*", ">>> f(*x)  # `a`\n[1 | 2]\n\nand \\*this\\*"),
        ("", ""),
    ],
)
def test_docstrings_become_restructured_text(written, wanted):
    lines = written.split("\n")
    part("docstrings").to_restructured_text(None, "function", "f", None, {}, lines)
    assert lines == wanted.split("\n")


def test_every_public_module_has_its_page_and_every_page_is_reached():
    names = {each.name for each in pkgutil.iter_modules(initlab.__path__)}
    modules = {each for each in names if not each.startswith("_")}
    pages = {path.stem for path in (DOCS / "reference").glob("*.md")} - {"index"}
    assert pages == modules - INSIDE
    assert modules > INSIDE
    listed = (DOCS / "index.md").read_text() + (DOCS / "reference" / "index.md").read_text()
    written = {p.stem for p in DOCS.rglob("*.md") if not {"gallery", "_build"} & set(p.parts)}
    assert not {each for each in written if not re.search(rf"\b{each}\b", listed)}


def test_the_gallery_tells_each_experiments_question():
    gallery = part("gallery")
    folders = {path.parent.name for path in (DOCS.parent / "experiments").glob("*/__main__.py")}
    assert set(gallery._experiments()) == folders
    assert folders > gallery.NOT_RUN
    page = gallery._page("throughput", Path("nowhere"))
    assert page.startswith("# throughput\n\n**How fast: ")
    assert page.count("python -m experiments.throughput") == 1
    assert "## What it says\n\nHow fast is a question" in page
    # tests/test_experiments.py asks the runs themselves.
    conclusions = part("conclusions").CONCLUSIONS
    assert set(conclusions) == folders
    assert {name for name, each in conclusions.items() if each.holds is None} == gallery.NOT_RUN
