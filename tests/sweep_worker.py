"""A sweep in processes of its own, for tests that kill them.

    python sweep_worker.py OUT CACHE [--seeds S] [--devices D]
        [--processes N] [--kill_one] [--differ] [--found]

Computes the small sweep into OUT in chunks of as few blocks as there are devices. All processes are
forked after the imports, which take seconds, and before JAX starts.
"""

import argparse
import os
import signal
import socket
import sys
import time
from pathlib import Path

import jax
from sweep_runs import AXES, small_run

import initlab
from experiments.harness import cluster, native_errors
from initlab.sweeps import run_sweep


def start(given, process=0, processes=1, port=0):
    """The pid of a child that computes the sweep."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        jax.config.update("jax_num_cpu_devices", given.devices)
        jax.config.update("jax_compilation_cache_dir", given.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        if processes > 1:
            native_errors.filter_native_errors("worker")
            cluster.initialize(f"127.0.0.1:{port}", processes, process, heartbeat_seconds=2)
        elif given.found:
            jax.distributed.initialize()
        run_sweep.CHUNK_BLOCKS = 1
        axes = AXES | {"seed": range(given.seeds)}
        if given.differ and process:
            axes |= {"learning_rate": [0.1, 2.0]}
        results = initlab.sweep(small_run(), axes, block=16, out=given.out, progress=False)
        # Opened by every process, and whole for every process.
        # In one piece: mpirun joins what its processes write.
        print(f"complete: {results.attrs['complete']} {results.attrs['devices']}", flush=True)
        if jax.distributed.is_initialized():
            jax.distributed.shutdown()
        status = 0
    except (OSError, ValueError) as error:
        print(f"process {process} refuses: {error}", file=sys.stderr, flush=True)
        status = 2
    finally:
        os._exit(status)


def marked(given):
    """Numbers of the chunks that are finished."""
    stems = (file.stem for file in (Path(given.out) / "progress").glob("*.json"))
    return {int(stem) for stem in stems if stem.isdecimal()}


def wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def start_together(given):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start(given, number, given.processes, port) for number in range(given.processes)]


def kill_one_and_resume(given):
    """Kills the last of two processes; the other stops by itself, and one alone goes on."""
    first, last = start_together(given)
    while len(marked(given)) < 4:
        if os.waitpid(last, os.WNOHANG) != (0, 0):
            sys.exit("the process to be killed ended before its first chunks")
        time.sleep(0.01)
    kill(last)
    began = time.monotonic()
    if wait(first) == 0:
        sys.exit("the process that was left alone did not stop")
    print("the other stopped after", time.monotonic() - began, "s", flush=True)
    print("finished before the resume:", sorted(marked(given)), flush=True)
    return wait(start(given))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("cache")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    for name in ("--kill_one", "--differ", "--found"):
        parser.add_argument(name, action="store_true")
    arguments = parser.parse_args()
    if arguments.kill_one:
        sys.exit(kill_one_and_resume(arguments))
    sys.exit(max(map(wait, start_together(arguments))))
