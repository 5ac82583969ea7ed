"""What experiments promise each other: `measure` alone reads flags, and none imports another."""

import ast
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
SHARED = {"examples", "harness"}
FILES = sorted(
    path
    for path in EXPERIMENTS.rglob("*.py")
    if not SHARED & set(path.relative_to(EXPERIMENTS).parts)
)


def flags_of(tree):
    """Names of a module that hold flags."""
    return {
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr.lower().startswith("define_")
    }


def names_in(node):
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def reads_of_flags(text):
    """Places outside of `measure`, and what only it calls, that name a flag of the module."""
    tree = ast.parse(text)
    flags = flags_of(tree) | {"FLAGS"}
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    # Nothing but measure may call a function that reads flags: whatever else the module has, its
    # last lines (the Experiment) among them, starts the walk.
    reached = set().union(
        *(
            names_in(node)
            for node in tree.body
            if not isinstance(node, ast.FunctionDef | ast.Assign)
            or (isinstance(node, ast.Assign) and "Experiment" in ast.dump(node))
        )
    )
    waiting = [name for name in functions if name in reached and name != "measure"]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += names_in(functions[name]) & functions.keys()
    if "measure" not in functions:
        # A table's or a figure's file: every function in it.
        seen = set(functions)
    return sorted(name for name in seen if names_in(functions[name]) & flags)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_no_function_but_measure_reads_a_flag(path):
    assert reads_of_flags(path.read_text()) == []


@pytest.mark.parametrize(
    "path", sorted(EXPERIMENTS.glob("*/__main__.py")), ids=lambda path: path.parent.name
)
def test_flags_are_defined_in_experiment_py_alone(path):
    # Two experiments may name a flag alike, and absl refuses the second in one process: what tests
    # import of a folder has none.
    for file in path.parent.glob("*.py"):
        if file.name not in ("experiment.py", "__main__.py"):
            assert "absl.flags" not in file.read_text(), file
            assert not flags_of(ast.parse(file.read_text())), file


def flags_without_a_holder(tree):
    """Flags that no name of the module holds: nothing in it can read them but by the settings."""
    calls = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    defined = [each for each in calls if ast.unparse(each.func).startswith("flags.define_")]
    return {
        ast.literal_eval(each.args[0])
        if each.args
        else ast.unparse(each.func).removeprefix("flags.define_")
        for each in defined
    }


@pytest.mark.parametrize(
    "path", sorted(EXPERIMENTS.glob("*/experiment.py")), ids=lambda path: path.parent.name
)
def test_what_judges_is_what_measure_does_not_read(path):
    tree = ast.parse(path.read_text())
    named = [
        ast.unparse(each.value)
        for each in ast.walk(tree)
        if isinstance(each, ast.keyword) and each.arg == "judging"
    ]
    judging = ast.literal_eval(named[0].removeprefix("frozenset(")[:-1]) if named else set()
    assert judging == flags_without_a_holder(tree)


@pytest.mark.parametrize(
    "path", [path.with_name("experiment.py") for path in sorted(EXPERIMENTS.glob("*/__main__.py"))]
)
def test_long_work_shows_how_far_it_is(path):
    shown = {"harness.sweep", "harness.fill", "harness.track", "progress_bar"}
    calls = [each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)]
    assert shown & {ast.unparse(each.func) for each in calls}
    assert "tqdm" not in path.read_text()


PLANTED = """
SIZE = flags.define_count("size", 4, "Size.")
def measure(): return helper() + SIZE.value
def helper(): return SIZE.value
def summarize(results, settings): return {"size": settings["size"]}
def show(summary, settings): return head(summary)
def head(summary): return "size"
EXPERIMENT = harness.Experiment("planted", measure, summarize, show)
"""


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "", []),
        ('return "size"', "return SIZE.value", ["head"]),
        ('settings["size"]}', "SIZE.value}", ["summarize"]),
        ('return "size"', "return FLAGS.size", ["head"]),
        ('return "size"', "return helper()", ["helper"]),
        ("def measure", "def other", ["other", "helper"]),
    ],
)
def test_a_planted_read_is_found(old, new, found):
    assert reads_of_flags(PLANTED.replace(old, new)) == sorted(found)
