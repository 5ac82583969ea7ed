"""The house rules that a tool can check: floors, file lengths, what an import pulls in."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    if path.name != "__init__.py" or "import" in text:
        assert "__all__" in text or 'if __name__ == "__main__"' in text


def test_importing_initlab_pulls_in_nothing_heavy():
    code = "import sys, initlab; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"matplotlib", "plotly", "zarr", "sklearn"}
    assert heavy.isdisjoint(said.stdout.split())


def test_every_module_of_the_library_has_its_test_file():
    homes = {path.stem for path in (ROOT / "initlab").iterdir() if path.stem[0] != "_"}
    # types.py holds nouns without behaviour.
    wanted = {f"test_{home}.py" for home in homes - {"types"}}
    assert wanted <= {path.name for path in (ROOT / "tests").iterdir()}
