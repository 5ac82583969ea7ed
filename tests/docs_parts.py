"""The files of docs/, which is no package, as modules."""

import importlib.util
import sys
from pathlib import Path

__all__ = ["DOCS", "part"]

DOCS = Path(__file__).parents[1] / "docs"


def part(name):
    """A file of docs/ as a module; its own imports are found there, as conf.py has it."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(DOCS))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module
