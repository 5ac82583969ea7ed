"""The claims of README and guide that a machine can check: examples run, files are there."""

import re
from pathlib import Path

import pytest
from thorough import rows

from initlab import initializers, networks
from initlab.audits.diagnostics import DIAGNOSTICS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
PAGES = {path.stem: path.read_text() for path in (ROOT / "README.md", *GUIDE)}


def blocks(page):
    """The examples of a page, in their order."""
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


WITH_EXAMPLES = [name for name, page in PAGES.items() if blocks(page)]
# Compiles for 10 s.
SLOW = {"theory"}


def test_the_first_example_has_fifteen_lines():
    assert len([line for line in blocks(README)[0].splitlines() if line]) == 15


@pytest.mark.parametrize("name", rows(WITH_EXAMPLES, {*WITH_EXAMPLES} - SLOW))
def test_the_examples_run_and_say_what_they_say(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, names = PAGES[name], {}
    for code in blocks(page):
        said = ""
        try:
            exec(compile(code, name, "exec"), names)
        except AssertionError as error:
            said = f"AssertionError: {error}"
        # What it prints follows it, before the next example.
        after = page.partition(code)[2].partition("```python\n")[0]
        promised = after.partition("```text\n")[2].partition("```")[0]
        assert (capsys.readouterr().out + said).split() == promised.split()


def test_the_readme_is_a_front_page():
    assert README.count("\n") < 200


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "WORKSPACE.md",
        "CHANGELOG.md",
        "SECURITY.md",
        *[str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*/*.md")],
        "docs/decisions.md",
    ],
)
def test_every_link_and_every_file_that_a_page_names_is_there(name):
    page = ROOT / name
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    # Changes name files that are gone.
    if name != "CHANGELOG.md":
        for path in re.findall(r"`((?:initlab|experiments|tests)/[\w/.]+)`", text):
            assert "NAME" in path or "MODULE" in path or (ROOT / path).exists(), path


def test_every_experiment_is_in_the_readme():
    folders = [path.parent.name for path in (ROOT / "experiments").glob("*/__main__.py")]
    files = [
        path.stem
        for path in (ROOT / "experiments").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    ]
    assert folders
    for name in (*folders, *files):
        assert re.search(rf"^\|.*`experiments\.{name}`.*\|", README, re.MULTILINE), name


def test_every_network_and_initializer_is_in_the_guide():
    for name in networks.__all__:
        assert f"`{name}" in PAGES["initializers"], name
    for name in initializers.__all__:
        assert f"`{name}`" in PAGES["initializers"], name


def test_every_code_of_the_audit_is_in_the_readme():
    for code in DIAGNOSTICS:
        assert f"`{code}`" in README, code
