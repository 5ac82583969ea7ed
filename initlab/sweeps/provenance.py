"""The provenance of a result: versions, revision, devices, command."""

import contextlib
import importlib.metadata
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax

from initlab._version import __version__

__all__ = ["device", "now", "provenance", "revision", "versions"]

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "chex", "xarray", "zarr", "scikit-learn")


def provenance() -> dict[str, Any]:
    """What is written beside results, beyond what they were computed from."""
    return {
        "command": list(sys.argv),
        "revision": revision(Path(__file__)),
        "versions": versions(),
        "devices": {
            **device(),
            "count": jax.device_count(),
            "processes": jax.process_count(),
        },
        "started": now(),
    }


def versions() -> dict[str, str]:
    """`{package: version}`, initlab and Python among them; what is not installed is left out."""
    found = {"initlab": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        # A sweep of one's own data does without scikit-learn.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def device() -> dict[str, str]:
    """Platform and kind of this process's first device."""
    first = jax.local_devices()[0]
    return {"platform": first.platform, "kind": first.device_kind}


def now() -> str:
    """The time, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def revision(file: Path) -> str | None:
    """The commit of the tree that tracks a file, "-dirty" after it for a changed tree; or None."""
    git = shutil.which("git")
    if git is None:
        return None
    # An installed file may lie in another project's tree, whose commit says nothing of it.
    tracked = [git, "-C", str(file.parent), "ls-files", "--error-unmatch", file.name]
    if subprocess.run(tracked, capture_output=True, check=False).returncode != 0:
        return None
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    described = subprocess.run(
        [git, "-C", str(file.parent), *describe], capture_output=True, text=True, check=False
    )
    return described.stdout.strip() if described.returncode == 0 else None
