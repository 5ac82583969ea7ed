"""What a binary refuses, as a process; all of what it refuses is in test_command_lines.py."""

import pytest
from forks import run_module


def run(name, *flags):
    # Nothing is left in the user's cache.
    return run_module(f"experiments.{name}", "--compilation_cache_dir=", *flags)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("random_initialization", ["--activation=tahn"], "did you mean 'tanh'?"),
        ("audit", ["--model=nowhere"], "--model must be package.module:factory, got 'nowhere'"),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(name, flags, message, tmp_path):
    said = run(name, *flags, "--out", tmp_path / "results")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert message in said.stderr
    assert not (tmp_path / "results").exists()


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    said = run("saturation", "--smoke", "--out", tmp_path)
    assert said.returncode == 2
    assert "holds other files" in said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
