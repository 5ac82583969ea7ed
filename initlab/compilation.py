"""Compiling what runs once: optimizing a small program takes longer than running it."""

import functools
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
from jax.stages import Compiled, Lowered

__all__ = [
    "FAST_COMPILE_OPTIONS",
    "SMALL_FLOPS",
    "compile_fast",
    "compile_to_run_once",
    "fast_compile_options",
]

FAST_COMPILE_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
)
"""XLA's options of all that compiles fast: a quarter of the time, for programs that run slower."""

SMALL_FLOPS = 1e9
"""A program of fewer floating-point operations is small."""


@functools.cache
def fast_compile_options() -> Mapping[str, Any]:
    """FAST_COMPILE_OPTIONS without those that this version of XLA does not know.

    Options come and go with versions; without one, compiling only takes longer. Each is tried once.

    Returns:
      `{option: value}`.

    >>> set(fast_compile_options()) <= set(FAST_COMPILE_OPTIONS)
    True
    """
    known = {name: value for name, value in FAST_COMPILE_OPTIONS.items() if _is_known(name, value)}
    return MappingProxyType(known)


def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0).lower().compile({name: value})
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return False
    return True


def compile_fast(lowered: Lowered) -> Compiled:
    """Compiles with those of FAST_COMPILE_OPTIONS that XLA knows.

    Args:
      lowered: what `jax.jit(function).lower(...)` gives.

    Returns:
      The compiled program.

    >>> import jax.numpy as jnp
    >>> compile_fast(jax.jit(jnp.square).lower(3.0))(3.0).item()
    9.0
    """
    return lowered.compile(dict(fast_compile_options()))


def compile_to_run_once(lowered: Lowered) -> Compiled:
    """Compiles fast what is small and runs on a CPU, and all else as usual.

    Args:
      lowered: what `jax.jit(function).lower(...)` gives.

    Returns:
      The compiled program.

    >>> import jax.numpy as jnp
    >>> compile_to_run_once(jax.jit(jnp.square).lower(3.0))(3.0).item()
    9.0
    """
    costs = lowered.cost_analysis() or {}
    is_small = costs.get("flops", math.inf) < SMALL_FLOPS
    if is_small and jax.default_backend() == "cpu":
        return compile_fast(lowered)
    return lowered.compile()
