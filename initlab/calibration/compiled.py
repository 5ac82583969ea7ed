"""A refiner as one compiled program, where it is called on numbers."""

from collections.abc import Callable
from typing import Any

import jax

from initlab import checks
from initlab.compilation import compile_or_reuse, compile_to_run_once
from initlab.programs.trace import as_function, trace
from initlab.types import Params

__all__ = ["run_compiled"]


def run_compiled(refine: Callable[..., Params], functions: tuple[Any, ...], *values: Any) -> Params:
    """`refine(*functions, *values)`, compiled once for its program.

    Operation by operation a refiner would compile each of some thousand small programs on its own,
    which takes many times as long. It is traced at each call, as its functions are now. Where any
    value, or one that a function closes over, is traced the caller compiles.

    Args:
      refine: pure; its last arguments are pytrees of arrays and numbers.
      functions: its first arguments, which are static: functions, and what they cannot be traced
        for.
      *values: its last arguments.

    Returns:
      The params.

    >>> double = lambda apply, params: jax.tree.map(apply, params)
    >>> run_compiled(double, (lambda w: 2 * w,), {"w": 3.0})["w"].item()
    6.0
    """
    if not all(map(checks.is_concrete, jax.tree.leaves(values))):
        return refine(*functions, *values)
    leaves, tree = jax.tree.flatten(values)
    program, shapes = trace(lambda *leaves: refine(*functions, *tree.unflatten(leaves)), *leaves)
    run = as_function(program)
    if all(map(checks.is_concrete, program.consts)):
        placed = tuple(getattr(leaf, "sharding", None) for leaf in leaves)
        run = compile_or_reuse(jax.jit(run).lower(*leaves), compile_to_run_once, *placed)
    return jax.tree.unflatten(jax.tree.structure(shapes), run(*leaves))
