"""Every test runs under strict promotion, on several CPU devices."""

import gc
import mmap
from pathlib import Path

import jax
import pytest

# JAX keeps what it traces: every walk over all of that finds next to nothing to collect.
gc.set_threshold(50_000, 10, 10)

# Before the backend starts: a sweep must give the same bits on any number of devices.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# JAX also keeps what it compiled; a worker that has run half of the files would hold 4 GiB.
MOST_MEMORY = 2 * 2**30


def _resident_bytes() -> int:
    """The memory that this process holds; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * mmap.PAGESIZE if statm.exists() else 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Makes the examples in docstrings quick tests: there is one for each public function."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("quick")


@pytest.fixture(autouse=True, scope="module")
def compile_for_the_claim(request):
    """Compiles fast, unless the file is marked `full_compile`: what it says is of bits or speed.

    Without most of XLA's optimizations; most programs of tests run shorter than they compile.
    """
    if _resident_bytes() > MOST_MEMORY:
        jax.clear_caches()
    name = "jax_disable_most_optimizations"
    is_full = request.node.get_closest_marker("full_compile") is not None
    if is_full and jax.config.values[name]:
        # An operation that an earlier file compiled would be taken as that file compiled it.
        jax.clear_caches()
    jax.config.update(name, not is_full)
