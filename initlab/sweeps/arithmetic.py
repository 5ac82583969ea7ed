"""What decides the bits beside the program: XLA's flags, JAX's options, the instruction set."""

import os
import platform
import re
import shlex
from pathlib import Path
from typing import Any

import jax

__all__ = ["arithmetic"]

OPTIONS = (
    "jax_allow_f16_reductions",
    "jax_compiler_enable_remat_pass",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_disable_most_optimizations",
    "jax_enable_custom_prng",
    "jax_enable_x64",
    "jax_exec_time_optimization_effort",
    "jax_high_dynamic_range_gumbel",
    "jax_memory_fitting_effort",
    "jax_memory_fitting_level",
    "jax_optimization_level",
    "jax_pjrt_client_create_options",
    "jax_random_seed_offset",
    "jax_softmax_custom_jvp",
    "jax_threefry_gpu_kernel_lowering",
    "jax_threefry_partitionable",
    "jax_xla_profile_version",
)
"""Options of JAX that change how a program is compiled, or which program is traced. The second kind
changes the program's digest too; by its name a reader knows what to set."""

VARIABLES = ("LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
"""Environment variables that accelerators' compilers and libraries read."""

HARMLESS = re.compile(
    r"xla_dump_\w+|xla_\w*cache_dir|xla_force_host_platform_device_count"
    r"|xla_gpu_force_compilation_parallelism"
)
"""Flags of XLA about files, threads that compile, and the number of devices."""

INSTRUCTIONS = re.compile(
    r"s?sse\w*|avx\w*|fma\w*|f16c|amx\w*|bmi\d|fp|fphp|asimd\w*|sve\w*|sme\w*|\w*bf16|i8mm"
)
"""Features of x86 and ARM that compute numbers, as /proc/cpuinfo calls them."""


def arithmetic(device_platform: str) -> dict[str, Any]:
    """All that changes a compiled program's bits and stands neither in it nor in versions.

    Args:
      device_platform: "cpu", "gpu" or "tpu".

    Returns:
      Plain JSON: "xla_flags" as one text, "options" of JAX, "environment", and for a CPU its
      "instruction_set", for which XLA compiles.

    >>> arithmetic("cpu")["options"]["jax_enable_x64"]
    False
    """
    return {
        "xla_flags": _flags(os.environ.get("XLA_FLAGS", "")),
        "options": {name: _option(name) for name in OPTIONS if name in jax.config.values},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    } | ({"instruction_set": _instruction_set()} if device_platform == "cpu" else {})


def _flags(text: str) -> str:
    if text.strip() and not text.strip().startswith("-"):
        # XLA reads them from a file of that name.
        file = Path(text.strip())
        text = file.read_text() if file.is_file() else text
    # The last of several is the one that counts.
    flags = {}
    for flag in shlex.split(text):
        name, _, value = flag.lstrip("-").partition("=")
        if not HARMLESS.fullmatch(name):
            flags[name] = value or "true"
    return " ".join(f"--{name}={value}" for name, value in sorted(flags.items()))


def _instruction_set() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE)
    words = found.group(1).split() if found else [platform.machine()]
    return " ".join(sorted(filter(INSTRUCTIONS.fullmatch, words)))


def _option(name: str) -> bool | int | float | str | None:
    # Some hold in a context, and are attributes; others are in the table alone.
    value = getattr(jax.config, name, jax.config.values[name])
    return value if isinstance(value, bool | int | float | str | None) else str(value)
