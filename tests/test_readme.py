"""README's claims that a machine can check: its example runs, its files are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_examples_run_and_say_what_they_say(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(examples) >= 2
    assert len([line for line in examples[0].splitlines() if line]) == 15
    names = {}
    for code in examples:
        exec(compile(code, "README.md", "exec"), names)
        promised = README.partition(code)[2].partition("```text\n")[2].partition("```")[0]
        assert capsys.readouterr().out.split() == promised.split()


def test_every_link_in_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_every_experiment_is_in_the_readme():
    for path in (ROOT / "experiments").glob("*.py"):
        if 'if __name__ == "__main__"' in path.read_text():
            assert f"experiments.{path.stem}" in README, path.stem
