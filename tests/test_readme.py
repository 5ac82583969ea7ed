"""README's claims that a machine can check: its example runs, its files are there."""

import re
from pathlib import Path

import pytest

from initlab import initializers, networks
from initlab.audits.diagnostics import DIAGNOSTICS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_examples_run_and_say_what_they_say(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in examples[0].splitlines() if line]) == 15
    names = {}
    for code in examples:
        said = ""
        try:
            exec(compile(code, "README.md", "exec"), names)
        except AssertionError as error:
            said = f"AssertionError: {error}"
        # What it prints follows it, before the next example.
        after = README.partition(code)[2].partition("```python\n")[0]
        promised = after.partition("```text\n")[2].partition("```")[0]
        assert (capsys.readouterr().out + said).split() == promised.split()


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", "WORKSPACE.md", "CHANGELOG.md", "docs/decisions.md"]
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
        assert f"| `experiments.{name}` |" in README, name


def test_every_network_is_in_the_readme():
    for name in networks.__all__:
        assert f"`{name}" in README, name


def test_every_initializer_is_in_the_readme():
    for name in initializers.__all__:
        assert f"`{name}`" in README, name


def test_every_code_of_the_audit_is_in_the_readme():
    for code in DIAGNOSTICS:
        assert f"`{code}`" in README, code
