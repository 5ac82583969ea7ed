"""Compiling what runs once: optimizing a small program takes longer than running it."""

import functools
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any

import jax
from jax.stages import Compiled, Lowered

__all__ = [
    "FAST_COMPILE_OPTIONS",
    "SMALL_FLOPS",
    "compile_fast",
    "compile_or_reuse",
    "compile_to_run_once",
    "fast_compile_options",
]

FAST_COMPILE_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
        # One LLVM module: of 32, each has a cost of its own.
        "xla_cpu_parallel_codegen_split_count": 1,
    }
)
"""XLA's options of all that compiles fast: a quarter of the time, for programs that run slower."""

SMALL_FLOPS = 1e9
"""A program of fewer floating-point operations is small."""


KEPT = 16
"""How many compiled programs are kept: each holds on to its code and its constants."""

_COMPILED: OrderedDict[Any, Compiled] = OrderedDict()


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

    Where JAX is told not to optimize (jax_disable_most_optimizations), all compiles fast.

    Args:
      lowered: what `jax.jit(function).lower(...)` gives.

    Returns:
      The compiled program.

    >>> import jax.numpy as jnp
    >>> compile_to_run_once(jax.jit(jnp.square).lower(3.0))(3.0).item()
    9.0
    """
    if jax.config.values["jax_disable_most_optimizations"]:
        # Counting the operations takes a tenth of the time of compiling a small program.
        return compile_fast(lowered)
    costs = lowered.cost_analysis() or {}
    is_small = costs.get("flops", math.inf) < SMALL_FLOPS
    if is_small and jax.default_backend() == "cpu":
        return compile_fast(lowered)
    return lowered.compile()


def compile_or_reuse(
    lowered: Lowered, compile: Callable[[Lowered], Compiled], *placed: Hashable
) -> Compiled:
    """Compiles a program, or takes the same one from among those compiled last.

    Programs are identified by their text, constants included: by nothing that can change behind
    it, as a function's globals can. One that calls Python is compiled each time.

    Args:
      lowered: what `jax.jit(function).lower(...)` gives.
      compile: compiles it.
      *placed: what else the compiled program depends on, as where its operands lie.

    Returns:
      The compiled program.

    >>> import jax.numpy as jnp
    >>> lowered = [jax.jit(lambda x: scale * x).lower(3.0) for scale in (2.0, 3.0, 2.0)]
    >>> two, three, again = (compile_or_reuse(each, compile_fast) for each in lowered)
    >>> two(1.0).item(), three(1.0).item(), again is two
    (2.0, 3.0, True)
    """
    text = lowered.as_text()
    if "callback" in text:
        return compile(lowered)
    # Trees, and dtypes that are JAX's own, as keys', are Python's: the text does not have them.
    outside = lowered.in_tree, str(lowered.in_avals), lowered.out_tree, str(lowered.out_info)
    device = jax.config.values["jax_default_device"]
    key = hashlib.sha256(text.encode()).digest(), *outside, compile, device, *placed
    if key not in _COMPILED:
        _COMPILED[key] = compile(lowered)
    _COMPILED.move_to_end(key)
    while len(_COMPILED) > KEPT:
        _COMPILED.popitem(last=False)
    return _COMPILED[key]
