"""README's claims that a machine can check: its example runs, its files are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_import_example_runs_and_says_what_it_says(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 15
    exec(compile(code, "README.md", "exec"), {})
    said = capsys.readouterr().out.split()
    (promised,) = re.findall(r"It prints\n\n```text\n(.*?)```", README, flags=re.DOTALL)
    assert said == promised.split()


def test_every_link_in_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_experiment_is_in_the_readme():
    for path in (ROOT / "experiments").glob("*.py"):
        if 'if __name__ == "__main__"' in path.read_text():
            assert f"experiments.{path.stem}" in README, path.stem
