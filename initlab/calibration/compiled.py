"""A refiner as one compiled program, where it is called on numbers."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from initlab import checks
from initlab.types import Params

__all__ = ["run_compiled"]


def run_compiled(refine: Callable[..., Params], functions: tuple[Any, ...], *values: Any) -> Params:
    """`refine(*functions, *values)`, compiled once for its functions and the shapes of its values.

    Operation by operation a refiner would compile each of some thousand small programs on its own,
    which takes many times as long. Where any value is traced the caller compiles, and refine is run
    as it is.

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
    try:
        compiled = _compiled(refine, functions)
    except TypeError:
        # A callable object that holds arrays has no hash: it is compiled at each call.
        compiled = jax.jit(functools.partial(refine, *functions))
    return compiled(*values)


@functools.lru_cache(maxsize=8)
def _compiled(refine: Callable[..., Params], functions: tuple[Any, ...]) -> Callable[..., Params]:
    """Few are kept: a function holds on to whatever it has closed over."""
    return jax.jit(functools.partial(refine, *functions))
