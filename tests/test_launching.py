"""What a binary refuses before it computes anything: bad flags, and folders of others."""

import pytest
from forks import run_module


def run(name, *flags):
    # Nothing is left in the user's cache.
    return run_module(f"experiments.{name}", "--compilation_cache_dir=", *flags)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("audit", ["--model=nowhere"], "--model must be package.module:factory, got 'nowhere'"),
        ("audit", ["--model=nowhere:net"], "--model 'nowhere:net' cannot be found"),
        ("audit", ["--model=math:pi"], "must be a function"),
        ("random_initialization", ["--activation=tahn"], "did you mean 'tanh'?"),
        ("random_initialization", ["--steps=25", "--every=10"], "steps must be a multiple"),
        ("random_initialization", ["--scale=0.1,-1"], "finite numbers of at least 0, got '-1'"),
        ("random_initialization", ["--scale=nan"], "finite numbers of at least 0, got 'nan'"),
        ("random_initialization", ["--scale=big"], "finite numbers of at least 0, got 'big'"),
        ("random_initialization", ["--seeds=0"], "seeds"),
        ("zero_initialization", ["--task=flowr"], "did you mean 'flower'?"),
        ("what_breaks_symmetry", ["--dropout=1"], "at least 0 and under 1"),
        ("framework_defaults", ["--size=64"], "two sizes or more that 4 divides, got [64]"),
        ("coordinate_check", ["--width_case=muP"], "did you mean 'muP SGD'?"),
        ("saturation", ["extra"], "unknown arguments: extra"),
        ("theory_tables", ["--sections=4"], "--sections must be of 5, 6, 7, 8, got [4]"),
    ],
)
def test_bad_flags_are_refused_and_nothing_is_written(name, flags, message, tmp_path):
    said = run(name, *flags, "--out", tmp_path / "results")
    assert said.returncode != 0
    assert message in said.stderr + said.stdout
    assert not (tmp_path / "results").exists()


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    said = run("saturation", "--smoke", "--out", tmp_path)
    assert said.returncode == 2
    assert "holds other files" in said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
