"""One process of a small sweep, to be killed: what it computes, and how it is started."""

import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
import xarray
from tqdm import tqdm

import initlab
from experiments.harness import cluster, native_errors
from experiments.torture.aim import Aim, arm
from initlab import probes
from initlab.initializers import by_role, normal
from initlab.sweeps import lease

__all__ = [
    "CHUNK",
    "HEARTBEAT_SECONDS",
    "Call",
    "chunks",
    "complete",
    "small_sweep",
    "start",
    "start_server",
]

BLOCK = 4
CHUNK = 64
"""Runs that are written together: 16 blocks."""

HEARTBEAT_SECONDS = 4
JOIN_SECONDS = 10
"""How long a process waits for the others to join: they start together, all imports done."""

# What a process imports takes seconds, and nothing of it is worth being killed in: each is forked
# from a server that has imported it and has not started JAX.
FORKS = multiprocessing.get_context("forkserver")
ROOMS = ["experiments.torture.worker", "initlab.sweeps.run_sweep", "sklearn.datasets", "zarr"]
FORKS.set_forkserver_preload(ROOMS)


def small_sweep(seeds: int, out: str | None = None) -> xarray.Dataset:
    """Runs of a net with three hidden units over seeds, scales and learning rates.

    Args:
      seeds: how many.
      out: its store; in memory when absent.

    Returns:
      The results.
    """
    run = initlab.make_run(
        initlab.networks.mlp((2, 3, 1), jnp.tanh),
        lambda p: by_role(weight=normal(p["scale"])),
        initlab.tasks.flower(points=16),
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=4,
        every=2,
        probes=(probes.loss, probes.distinct_units),
    )
    axes = {"seed": range(seeds), "scale": [0.0, 0.5], "learning_rate": [0.1, 1.0]}
    devices = jax.local_devices()[:1]
    return initlab.sweep(run, axes, out=out, block=BLOCK, devices=devices, progress=False)


def chunks(seeds: int) -> int:
    """How many chunks the sweep of four runs a seed has."""
    return math.ceil(4 * seeds / CHUNK)


class Call(NamedTuple):
    """One call of the sweep: `said` is the file of standard output and error, `cache` a folder."""

    out: str
    seeds: int
    count: int
    cache: str
    said: Path


def start(call: Call, target: int = 0, aim: Aim | None = None) -> list[BaseProcess]:
    """Starts processes that compute the sweep together.

    Args:
      call: what they compute, and where.
      target: the process that is hit by the aim.
      aim: the write at which it sends itself a signal, if any.

    Returns:
      The processes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = [
        FORKS.Process(target=_compute, args=(call, n, address, aim if n == target else None))
        for n in range(call.count)
    ]
    for process in processes:
        process.start()
    return list(processes)


def start_server() -> None:
    """Starts the server that forks processes, and waits until it has imported what they need."""
    first = FORKS.Process(target=int)
    first.start()
    first.join()


def complete(call: Call) -> bool:
    """Whether processes, started as by `start`, all end well."""
    processes = start(call)
    for process in processes:
        process.join()
    return all(process.exitcode == 0 for process in processes)


def _compute(call: Call, number: int, address: str, aim: Aim | None) -> None:
    for descriptor in (1, 2):
        os.dup2(os.open(call.said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    # The fork server ignores it, and its children would.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Its default is a semaphore of the system, which a killed process leaves behind.
    tqdm.set_lock(threading.RLock())
    # A thousand kills would wait half a minute each for the lock of the dead in an object store.
    lease.HEARTBEAT, lease.EXPIRY = 0.5, 3.0
    if aim is not None:
        arm(aim)
    status = 1
    try:
        jax.config.update("jax_num_cpu_devices", 1)
        jax.config.update("jax_compilation_cache_dir", call.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        if call.count > 1:
            native_errors.filter_native_errors("torture")
            cluster.initialize(address, call.count, number, HEARTBEAT_SECONDS, JOIN_SECONDS)
        small_sweep(call.seeds, call.out)
        if call.count > 1:
            jax.distributed.shutdown()
        status = 0
    except KeyboardInterrupt as interrupt:
        print(f"process {number}: {interrupt or 'interrupted'}", file=sys.stderr)
        status = 130
    except (OSError, ValueError) as error:
        print(f"process {number}: {error}", file=sys.stderr)
        status = 2
    finally:
        sys.stderr.flush()
        os._exit(status)
