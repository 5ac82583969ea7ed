"""The house rules that a tool can check: floors, file lengths, what an import pulls in."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import initlab

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for home in ("initlab", "experiments") for path in (ROOT / home).rglob("*.py")
)
TESTS = [ROOT / "conftest.py", *sorted((ROOT / "tests").rglob("*.py"))]


def name(path):
    return str(path.relative_to(ROOT))


def test_a_file_imports_only_from_the_floors_below_it():
    command = [sys.executable, "-m", "importlinter.cli", "lint", "--no-cache"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name)
def test_a_file_is_short(path):
    assert path.read_text().count("\n") <= 350


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_says_what_it_offers(path):
    text = path.read_text()
    # A __main__ is run, and imported by nobody; an __init__ may hold nothing but a docstring.
    if path.name != "__main__.py" and (path.name != "__init__.py" or "import" in text):
        assert "__all__" in text or 'if __name__ == "__main__"' in text


NEWLY_LOADED = """
import sys, jax, numpy, optax, chex, absl
before = {{name.partition(".")[0] for name in sys.modules}}
import {}
print(*{{name.partition(".")[0] for name in sys.modules}} - before)
"""


@pytest.mark.parametrize(
    "module",
    [
        "initlab",
        "initlab.theory",
        "initlab.initializers",
        "initlab.symmetry",
        "initlab.networks",
    ],
)
def test_importing_loads_nothing_beyond_jax_and_what_it_loads(module):
    code = NEWLY_LOADED.format(module)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(said.stdout.split()) - sys.stdlib_module_names == {"initlab"}


def test_what_is_loaded_late_is_there_all_the_same():
    assert set(initlab.__all__) <= set(dir(initlab))
    for each in initlab.__all__:
        assert getattr(initlab, each) is not None
    assert initlab.audit is initlab.audits.audit
    assert initlab.sweep is initlab.sweeps.sweep
    with pytest.raises(AttributeError, match="module 'initlab' has no attribute 'swep'"):
        initlab.swep  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


PURE = {"jax", "numpy", "optax", "chex"}
BEYOND = {
    "audits": {"xarray"},
    "command": {"absl"},
    "coordinates": {"scipy", "xarray"},
    "figures": {"matplotlib", "xarray"},
    "pytest_plugin": {"pytest"},
    "report": {"xarray"},
    # Inside functions alone: the run and the predictions need none of it.
    "signals": {"scipy", "xarray"},
    "sweeps": {"obstore", "tqdm", "xarray", "zarr"},
    "tasks": {"sklearn"},
}
"""What a package of the library may import beside the standard library and what is PURE."""


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.is_relative_to(ROOT / "initlab")], ids=name
)
def test_a_file_of_the_library_imports_only_what_its_package_may(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            # The house has no relative imports.
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    package = path.relative_to(ROOT / "initlab").parts[0].removesuffix(".py")
    allowed = {"initlab"} | PURE | BEYOND.get(package, set())
    assert imported - sys.stdlib_module_names <= allowed


# types.py holds nouns without behaviour; py.typed holds nothing.
HOMES = {path.stem for path in (ROOT / "initlab").iterdir() if path.stem[0] != "_"} - {
    "types",
    "py",
}


@pytest.mark.parametrize("home", sorted(HOMES))
def test_every_module_of_the_library_has_its_test_file_and_quick_tests(home):
    """Of its quick tests, beside the examples in docstrings, some must be there."""
    assert "pytest.mark.quick" in (ROOT / "tests" / f"test_{home}.py").read_text()
