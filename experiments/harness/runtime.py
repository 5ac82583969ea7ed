"""Where an experiment runs: devices, processes, the compilation cache, the terminal."""

import os
import sys
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging

from initlab.sweeps import progress

__all__ = ["define_flags", "is_first", "start"]

# --help and run.json list a flag under the binary that asks for it, not under this file.
flags.disclaim_key_flags()

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Flags that every experiment has."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "initlab"
    flags.DEFINE_string(
        "compilation_cache_dir", str(cache), "Folder that keeps compiled programs; empty: none."
    )
    flags.DEFINE_bool(
        "distributed", False, "One of several processes, found by Slurm, Open MPI, a TPU pod, ..."
    )
    flags.DEFINE_string(
        "coordinator_address", None, "HOST:PORT of process 0, where no cluster tells it."
    )
    flags.DEFINE_integer("num_processes", None, "How many processes.", lower_bound=1)
    flags.DEFINE_integer("process_id", None, "This process's number, from 0.", lower_bound=0)


def start() -> None:
    """Sets JAX up as the flags say; before anything is computed.

    Raises:
      app.UsageError: if only some of the flags that identify a process among several are given.
    """
    # Backends that JAX looked for and did not find are not worth a message.
    logging.get_absl_logger().manager.getLogger("jax").setLevel("WARNING")
    logging.get_absl_logger().addFilter(_is_worth_logging)
    # One device for each core: small networks run 2 to 7 times faster so.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", cores or 1)
    if FLAGS.compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", FLAGS.compilation_cache_dir)
    address, count, number = (
        FLAGS[name].value for name in ("coordinator_address", "num_processes", "process_id")
    )
    if address is not None and count is not None and number is not None:
        jax.distributed.initialize(address, num_processes=count, process_id=number)
    elif (address, count, number) != (None, None, None):
        raise app.UsageError(
            "--coordinator_address, --num_processes and --process_id require each other"
        )
    elif FLAGS.distributed:
        jax.distributed.initialize()
    if sys.stderr.isatty():
        logging.get_absl_handler().python_handler.setStream(progress.AboveTheBar())


def _is_worth_logging(record: Any) -> bool:
    """Whether a log record concerns this run."""
    # chex warns at exit that statuses "were not inspected" once any function was chexified, even
    # when each call was inspected at once (async_check=False): it never clears its list of them,
    # so that block_until_chexify_assertions_complete() does not stop the warning.
    return "Some of chexify assertion statuses" not in record.getMessage()


def is_first() -> bool:
    """Whether this process is the one that writes the folder's files."""
    return jax.process_index() == 0
