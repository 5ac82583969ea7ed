"""Of an experiment only `measure` reads flags: tables and figures are functions of arguments."""

import ast
import tomllib
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
FOLDERS = sorted(file.parent.name for file in EXPERIMENTS.glob("*/__main__.py"))


def flags_of(module):
    """Module-level names that hold a flag: `NAME = flags.define_...(...)`."""
    return {
        node.targets[0].id
        for node in module.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr.lower().startswith("define_")
    }


def names_read(module, entry):
    """Every name that a function reads, and those that functions of its module do for it."""
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    names, waiting = set(), [entry]
    while waiting:
        found = {
            node.id for node in ast.walk(functions[waiting.pop()]) if isinstance(node, ast.Name)
        }
        waiting += [name for name in found - names if name in functions]
        names |= found
    return names


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_measuring_reads_a_flag(folder):
    module = ast.parse((EXPERIMENTS / folder / "experiment.py").read_text())
    flags = flags_of(module)
    assert flags & names_read(module, "measure"), "the experiment has flags, and measures by them"
    for entry in {"summarize", "show", "draw"} & {
        node.name for node in module.body if isinstance(node, ast.FunctionDef)
    }:
        assert not flags & names_read(module, entry), entry


@pytest.mark.parametrize("folder", FOLDERS)
def test_flags_are_defined_in_experiment_py_alone(folder):
    # Two experiments may name a flag alike, and absl refuses the second in one process.
    for file in (EXPERIMENTS / folder).glob("*.py"):
        if file.name not in ("experiment.py", "__main__.py"):
            text = file.read_text()
            assert "absl" not in text, file
            assert "harness import flags" not in text, file
            assert not flags_of(ast.parse(text)), file


def test_the_contract_of_independence_names_every_experiment():
    settings = tomllib.loads((EXPERIMENTS.parent / "pyproject.toml").read_text())
    (contract,) = [
        each
        for each in settings["tool"]["importlinter"]["contracts"]
        if each["name"].startswith("experiments are independent")
    ]
    assert set(contract["modules"]) == {f"experiments.{name}" for name in (*FOLDERS, "audit")}


def test_a_function_that_reads_a_flag_by_another_is_found():
    module = ast.parse(
        "A = flags.define_count('a', 1, '')\n"
        "def _of():\n    return A.value\n"
        "def show(summary, settings):\n    return _of()\n"
        "def draw(results, settings):\n    return settings['a']\n"
    )
    assert flags_of(module) == {"A"}
    assert "A" in names_read(module, "show")
    assert "A" not in names_read(module, "draw")
