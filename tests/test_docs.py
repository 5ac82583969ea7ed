"""The documentation's own parts; that it builds, `.ci/run` sees."""

import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import initlab

pytestmark = pytest.mark.quick

DOCS = Path(__file__).parents[1] / "docs"

# Rooms whose names nobody calls: `initlab.training` stands in the reference's first page.
INSIDE = {
    "activations", "adoption", "bilinear", "checks", "command", "compilation", "exits", "extras",
    "files", "frameworks", "keys", "markup", "page", "programs", "pytest_plugin", "taps",
    "terminal",
    "training",
}  # fmt: skip


def part(name):
    """A file of docs/, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    modules = {each.name for each in pkgutil.iter_modules(initlab.__path__)}
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
