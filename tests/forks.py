"""Modules run as `python -m` runs them, without its seconds of imports.

Each is a process of its own, forked from one that has imported the libraries and has not started
JAX: the module is its `__main__`, with flags, an exit status, and what it prints, as of a command.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import jax

from initlab.compilation import fast_compile_options

__all__ = ["ROOT", "finish", "run_module", "start_module"]

ROOT = Path(__file__).parent.parent
FORKS = multiprocessing.get_context("forkserver")
DRAWING = [f"matplotlib.backends.backend_{kind}" for kind in ("agg", "svg")]
ROOMS = ["experiments.harness", "initlab.audits", "initlab.calibration", "initlab.coordinates"]
FORKS.set_forkserver_preload(["absl.app", "sklearn.datasets", "zarr", *ROOMS, *DRAWING])


def run_module(module, *flags, full_compile=False):
    """What `python -m MODULE FLAGS` says, and its exit status.

    It compiles as the file that runs it does, or fully where its own findings are of bits or speed.
    """
    return finish(start_module(module, *flags, full_compile=full_compile))


def start_module(module, *flags, full_compile=False):
    """The process, and the folder that takes what it says; `finish` waits for it."""
    said = tempfile.TemporaryDirectory()
    given = [str(flag) for flag in flags]
    is_fast = jax.config.values["jax_disable_most_optimizations"] and not full_compile
    options = fast_compile_options().items() if is_fast else ()
    flags = " ".join(f"--{name}={value}" for name, value in options)
    # The server that forks them has the environment of its own start: a test may have changed it.
    args = (module, given, said.name, dict(os.environ), flags)
    process = FORKS.Process(target=_become, args=args, name=module)
    process.start()
    return process, said


def finish(started):
    process, said = started
    with said as folder:
        process.join()
        out, err = (Path(folder, name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess([process.name], process.exitcode, out, err)


def _become(module, flags, folder, environment, xla_flags):
    os.environ.update(environment)
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), descriptor)
    if xla_flags:
        # The backend reads it when it starts, which it has not yet.
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {xla_flags}"
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    sys.argv = [module, *flags]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        # A process that multiprocessing forked skips them, and JAX disconnects there.
        atexit._run_exitfuncs()
