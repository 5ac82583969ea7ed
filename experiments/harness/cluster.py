"""One of several processes: how it joins the others, what they compare, and how it leaves."""

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from absl import flags

from experiments.harness.command_line import current_settings
from experiments.harness.native_errors import filter_native_errors
from initlab.sweeps import processes, provenance
from initlab.sweeps.storage import open_storage

__all__ = ["compare", "define_flags", "initialize", "join", "leave"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()

FLAGS = flags.FLAGS

TOGETHER = ("coordinator_address", "num_processes", "process_id")

OWN = ("process_id", "compilation_cache_dir", "verbosity")
"""Flags that may differ from process to process."""

JOIN_SECONDS = 300
"""How long a process waits for the others to join: a scheduler starts them minutes apart."""

SHUTDOWN_SECONDS = 24 * 3600
"""How long the others wait at the end for process 0, which alone makes tables and figures."""

LAST_WORDS_SECONDS = 2
"""How long process 0 waits before it leaves early: JAX ends the others when it is gone."""


def define_flags() -> None:
    """Flags that say which of several processes this is."""
    flags.DEFINE_bool(
        "distributed", False, "One of several processes, found by Slurm, Open MPI, a TPU pod, ..."
    )
    flags.DEFINE_string(
        "coordinator_address", None, "HOST:PORT of process 0, where no cluster tells it."
    )
    flags.DEFINE_integer("num_processes", None, "How many processes.", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "This process's number, from 0.", lower_bound=0)
    flags.DEFINE_integer(
        "heartbeat_seconds",
        10,
        "A process that has not been heard of for so long counts as dead, and the others stop.",
        lower_bound=2,
    )
    flags.register_validator("coordinator_address", _check_address)
    flags.register_multi_flags_validator(TOGETHER, _check_identity)


def join(name: str) -> None:
    """Joins the other processes, if the flags say that there are any; before JAX starts.

    Args:
      name: the program's.

    Raises:
      ValueError: if the coordinator cannot be there, or there is no cluster.
      OSError: if the coordinator's host is unknown, or its port in use.
    """
    address, count, number = (FLAGS[each].value for each in TOGETHER)
    if address is None and not FLAGS.distributed:
        return
    if address is not None:
        _check_coordinator(address, is_first=number == 0)
    filter_native_errors(name)
    try:
        initialize(address, count, number, FLAGS.heartbeat_seconds)
    except ValueError as error:
        if address is not None:
            raise
        raise ValueError(
            "--distributed requires a cluster that JAX knows (srun, mpirun, a TPU pod, "
            "Kubernetes, ...), and none started this process; give --coordinator_address, "
            "--num_processes and --process_id instead"
        ) from error


def initialize(
    address: str | None,
    count: int | None,
    number: int | None,
    heartbeat_seconds: int,
    join_seconds: int = JOIN_SECONDS,
) -> None:
    """`jax.distributed.initialize`, for processes that may die and be started again.

    Args:
      address: HOST:PORT of process 0; where absent, a cluster tells.
      count: how many processes.
      number: this process's, from 0.
      heartbeat_seconds: after which a process that is not heard of counts as dead.
      join_seconds: after which one that has not joined counts as dead.

    Raises:
      ValueError: if there is no address and no cluster.
    """
    # Else JAX catches SIGTERM, by which schedulers ask a process to end, and goes on.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        address,
        num_processes=count,
        process_id=number,
        initialization_timeout=join_seconds,
        heartbeat_timeout_seconds=heartbeat_seconds,
        shutdown_timeout_seconds=SHUTDOWN_SECONDS,
    )


def compare(experiment: str) -> None:
    """Raises in all processes unless they do the same, and keep it in a place that they share.

    Sweeps and cells of all lie in --sweeps, or else in --out; the first process alone writes the
    rest of --out. Of --figures_only the first alone reads, and nothing is shared.

    Args:
      experiment: its name.

    Raises:
      ValueError: with every flag, version or device that differs, or what is not shared.
    """
    if jax.process_count() == 1:
        return
    processes.agree(lambda: _describe(experiment), "the same command")
    if not FLAGS.figures_only:
        name = "--sweeps" if FLAGS.sweeps else "--out (or --sweeps, where sweeps and cells lie)"
        processes.check_storage(open_storage(FLAGS.sweeps or FLAGS.out), name)


def leave(status: int) -> int:
    """Ends one of several processes that has failed, at once; the others hear that it is gone.

    JAX would wait for the others at exit, while they wait for this one.

    Args:
      status: the exit status.

    Returns:
      The same, where the process may end as any other.
    """
    if jax.distributed.is_initialized() and status not in (0, 1):
        sys.stdout.flush()
        sys.stderr.flush()
        if jax.process_index() == 0:
            time.sleep(LAST_WORDS_SECONDS)
        os._exit(status)
    return status


def _describe(experiment: str) -> Mapping[str, Any]:
    # A folder of each one's own, where the sweeps lie elsewhere.
    own = (*OWN, "out") if FLAGS.sweeps or FLAGS.figures_only else OWN
    given = {f"--{name}": value for name, value in current_settings().items() if name not in own}
    versions = {f"version of {name}": each for name, each in provenance.versions().items()}
    revision = provenance.revision(Path(__file__))
    return {"experiment": experiment, **given, **versions, "revision": revision}


def _check_address(given: str | None) -> bool:
    if given is None:
        return True
    host, colon, port = given.rpartition(":")
    if host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 2**16:
        return True
    raise flags.ValidationError(
        f"--coordinator_address must be HOST:PORT with a port from 1 to 65535, got {given!r}"
    )


def _check_identity(given: Mapping[str, Any]) -> bool:
    address, count, number = (given[name] for name in TOGETHER)
    missing = [f"--{name}" for name in TOGETHER if given[name] is None]
    if 0 < len(missing) < len(TOGETHER):
        raise flags.ValidationError(
            "--coordinator_address, --num_processes and --process_id require each other; "
            f"{' and '.join(missing)} must be given too"
        )
    if address is not None and number >= count:
        raise flags.ValidationError(
            f"--process_id must be from 0 to {count - 1} where --num_processes is {count}, "
            f"got {number}"
        )
    return True


def _check_coordinator(address: str, *, is_first: bool) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.getaddrinfo(host.strip("[]"), int(port))
    except OSError as error:
        raise OSError(f"--coordinator_address {address}: no such host ({error})") from error
    if is_first:
        try:
            # As JAX will; it crashes where another program has the port.
            socket.create_server(("", int(port))).close()
        except OSError as error:
            raise OSError(
                f"--coordinator_address {address}: the port cannot be had ({error})"
            ) from error
