"""Every test runs under strict promotion, on several CPU devices."""

import ctypes
import gc
import mmap
import os
import sys
import tempfile
from pathlib import Path

from tests.bytecode import share_bytecode

if sys.dont_write_bytecode:
    # Before JAX is imported, so that the others read this process's.
    share_bytecode()

import jax
import pytest
from absl import logging

from tests.compile_workers import FAST, ByCompilation, with_fast_workers
from tests.thorough import IS_THOROUGH

# They define flags when imported, which then are those of every binary in that process.
collect_ignore = ["tests/shared_experiment.py", "tests/toy_experiment.py"]

# The plugin's tests run pytest within pytest; those of the page run a browser.
pytest_plugins = ("pytester", "tests.browsers")

# JAX keeps what it traces: every walk over all of that finds next to nothing to collect.
gc.set_threshold(50_000, 10, 10)

# Before the backend starts: a sweep must give the same bits on any number of devices.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# chex warns at exit once any function was chexified: here each call of one is waited for.
logging.get_absl_logger().addFilter(lambda record: "chexify" not in record.getMessage())

# JAX also keeps what it compiled; a worker that has run half of the files would hold 4 GiB.
MOST_MEMORY = 2 * 2**30


def _resident_bytes() -> int:
    """The memory that this process holds; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * mmap.PAGESIZE if statm.exists() else 0


def _give_back():
    """Gives what JAX dropped back to the system, where the C library can.

    A process that stays as large as it was would drop all again before each file, and compile the
    same operations for each anew.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


KEEP_ALL = {"min_compile_time_secs": 0, "min_entry_size_bytes": -1}
"""Options of JAX's persistent cache: a program is kept however small, however soon compiled."""

compiled = pytest.StashKey[tempfile.TemporaryDirectory]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Sets up how programs are compiled, before pytest-xdist starts its workers."""
    if config.option.dist != "no":
        workers = with_fast_workers(config.option.tx, os.environ.get("XLA_FLAGS", ""))
        if config.option.markexpr == "quick":
            # Nothing quick needs the others, and a worker collects for 8 s.
            workers = [worker for worker in workers if FAST in worker]
        config.option.tx = workers
    _share_what_is_compiled(config)


def _share_what_is_compiled(config):
    """Gives the workers and the processes that tests start one folder of compiled programs.

    Most of the suite's time is XLA's: without it each of them compiles the same programs, and a
    worker whose caches were cleared compiles them again. The folder lives as long as the run, so
    that nothing is read that this code did not compile.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = config.stash[compiled] = tempfile.TemporaryDirectory()
    options = {"jax_compilation_cache_dir": folder.name} | {
        f"jax_persistent_cache_{name}": value for name, value in KEEP_ALL.items()
    }
    for name, value in options.items():
        # This process has imported JAX; those that it starts read the environment.
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


def pytest_unconfigure(config):
    """Removes that folder where this process made it."""
    folder = config.stash.get(compiled, None)
    if folder is not None:
        del os.environ["JAX_COMPILATION_CACHE_DIR"]
        folder.cleanup()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files about bits and speed go to workers of their own: see `compile_workers`."""
    return ByCompilation(config, log)


# Examples that compile for seconds: they run in the whole suite only.
SLOW_EXAMPLES = frozenset(
    f"initlab.{name}"
    for name in (
        "calibration.criticality.to_criticality",
        "calibration.theory_gains.to_theory",
        "initializers.identities.zero_hadamard",
        "signals.measure.signal_run",
        "signals.predict.predict_finite_width",
        "signals.predict.sample_signals",
        "symmetry.assertions.assert_units_identical",
        "symmetry.induction.check_induction",
        "theory.fixed_points.fixed_point",
        "theory.fixed_points.fixed_q",
        "theory.gains.centered_gain",
        "theory.maps.covariance_step",
        "theory.phases.edge_of_chaos",
        "theory.quadrature.half_squared_difference",
        "theory.quadrature.kernel_mean",
        "theory.quadrature.pair_mean",
        "theory.trainable_depth.trainable_depth",
        "theory.trainable_edges.trainable_edges",
    )
)


def pytest_ignore_collect(collection_path, config):
    """Leaves out files that mark nothing as quick where that is asked for, without importing them.

    They are half of the files, and importing them is a fifth of what collecting takes.
    """
    if config.option.markexpr == "quick" and collection_path.match("tests/test_*.py"):
        return "mark.quick" not in collection_path.read_text() or None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leaves out what is `thorough`, and makes the examples in docstrings quick tests.

    There is one for each public function.
    """
    if not IS_THOROUGH and "thorough" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    examples = [item for item in items if isinstance(item, pytest.DoctestItem)]
    for item in examples:
        if item.name not in SLOW_EXAMPLES:
            item.add_marker("quick")
    for item in items:
        if item.get_closest_marker("quick") and item.get_closest_marker("full_compile"):
            raise pytest.UsageError(f"{item.nodeid}: quick tests run where all compiles fast")


@pytest.fixture(autouse=True, scope="module")
def compile_for_the_claim(request):
    """Compiles fast, unless the file is marked `full_compile`: what it says is of bits or speed.

    Without most of XLA's optimizations; most programs of tests run shorter than they compile.
    """
    if _resident_bytes() > MOST_MEMORY:
        jax.clear_caches()
        _give_back()
    name = "jax_disable_most_optimizations"
    is_full = request.node.get_closest_marker("full_compile") is not None
    assert not (is_full and FAST in os.environ), "this worker cannot compile as a user does"
    if is_full and jax.config.values[name]:
        # An operation that an earlier file compiled would be taken as that file compiled it.
        jax.clear_caches()
    jax.config.update(name, not is_full)
