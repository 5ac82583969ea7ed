"""The house rules that a tool can check: floors, file lengths, what an import pulls in."""

import ast
import re
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


# One test of all files: three for each would be a fifth of the suite's tests.
def test_files_are_short():
    lines = {name(path): path.read_text().count("\n") for path in [*SOURCES, *TESTS]}
    assert {file: count for file, count in lines.items() if count > 350} == {}


def test_files_say_what_they_offer():
    def is_silent(path):
        text = path.read_text()
        # A __main__ is run, and imported by nobody; an __init__ may hold nothing but a docstring.
        if path.name == "__main__.py" or (path.name == "__init__.py" and "import" not in text):
            return False
        return "__all__" not in text and 'if __name__ == "__main__"' not in text

    assert [name(path) for path in SOURCES if is_silent(path)] == []


def test_nothing_private_of_jax_is_named():
    # What begins with an underscore changes without a word: in imports, attributes and strings.
    private = re.compile(r"\bjax(lib)?(\.\w+)*\._(?!_)\w|from jax(lib)?(\.\w+)* import _\w")
    others = [path for path in [*SOURCES, *TESTS] if path != Path(__file__)]
    assert [name(path) for path in others if private.search(path.read_text())] == []


NEWLY_LOADED = """
import sys, jax, numpy, optax, chex, absl
before = {name.partition(".")[0] for name in sys.modules}
import initlab, initlab.theory, initlab.initializers, initlab.symmetry, initlab.networks
print(*{name.partition(".")[0] for name in sys.modules} - before)
"""


def test_importing_loads_nothing_beyond_jax_and_what_it_loads():
    command = [sys.executable, "-c", NEWLY_LOADED]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
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
    "figures": {"matplotlib", "plotly", "xarray"},
    # Inside functions of what weights are recognized by.
    "initializers": {"scipy"},
    "page": {"plotly"},
    "pytest_plugin": {"pytest"},
    "report": {"xarray"},
    # Inside functions alone: the run and the predictions need none of it.
    "signals": {"scipy", "xarray"},
    "sweeps": {"obstore", "tqdm", "xarray", "zarr"},
    "tasks": {"sklearn"},
}
"""What a package of the library may import beside the standard library and what is PURE."""


def test_files_of_the_library_import_only_what_their_packages_may():
    library = [path for path in SOURCES if path.is_relative_to(ROOT / "initlab")]
    beyond = {name(path): _beyond(path) for path in library}
    assert {file: modules for file, modules in beyond.items() if modules} == {}


def _beyond(path):
    """What a file imports that its package may not."""
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
    return imported - sys.stdlib_module_names - allowed


# types.py holds nouns without behaviour; py.typed holds nothing.
HOMES = {path.stem for path in (ROOT / "initlab").iterdir() if path.stem[0] != "_"} - {
    "types",
    "py",
}


def test_every_module_of_the_library_has_its_test_file_and_quick_tests():
    """Of its quick tests, beside the examples in docstrings, some must be there."""
    for home in HOMES:
        assert "pytest.mark.quick" in (ROOT / "tests" / f"test_{home}.py").read_text(), home
