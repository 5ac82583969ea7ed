"""Where an experiment runs: devices, processes, the compilation cache, the terminal."""

import os
import sys
from pathlib import Path
from typing import Any

import jax
from absl import flags, logging

from experiments.harness import cluster
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
    cluster.define_flags()


def start(name: str) -> None:
    """Sets JAX up as the flags say; before anything is computed.

    Args:
      name: the program's.

    Raises:
      ValueError: if the other processes cannot be joined.
      OSError: if the coordinator's host is unknown, or its port in use.
    """
    # Backends that JAX looked for and did not find are not worth a message.
    logging.get_absl_logger().manager.getLogger("jax").setLevel("WARNING")
    logging.get_absl_logger().addFilter(_is_worth_logging)
    # One device for each core: small networks run 2 to 7 times faster so.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    jax.config.update("jax_num_cpu_devices", cores or 1)
    if FLAGS.compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", FLAGS.compilation_cache_dir)
    cluster.join(name)
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
