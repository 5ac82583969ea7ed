"""What a binary refuses, as a process; all of what it refuses is in test_command_lines.py."""

from forks import run_module


def run(name, *flags):
    # Nothing is left in the user's cache.
    return run_module(f"experiments.{name}", "--compilation_cache_dir=", *flags)


def test_bad_flags_are_refused_and_nothing_is_written(tmp_path):
    said = run("random_initialization", "--activation=tahn", "--out", tmp_path / "results")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert "did you mean 'tanh'?" in said.stderr
    assert not (tmp_path / "results").exists()
