"""A function's program, as the function is now."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
from jax.extend.core import jaxpr_as_fun

__all__ = ["as_function", "trace"]


def trace(function: Callable[..., Any], *values: Any) -> tuple[Any, Any]:
    """`jax.make_jaxpr`, but never the program of an earlier call.

    JAX keeps what it has traced by the function's identity and the shapes of its operands: where a
    global or an array that the function closes over has been replaced since, it gives the program
    of before. A function that is itself jitted stays as JAX has compiled it, as it does when it is
    called.

    Args:
      function: of arrays.
      *values: its operands, or their `jax.ShapeDtypeStruct`.

    Returns:
      The program, a closed jaxpr, and the tree of the shapes of its outputs.

    >>> scale = 2.0
    >>> double = lambda x: scale * x
    >>> before, _ = trace(double, 1.0)
    >>> scale = 3.0
    >>> after, shape = trace(double, 1.0)
    >>> as_function(before)(1.0)[0].item(), as_function(after)(1.0)[0].item(), shape.shape
    (2.0, 3.0, ())
    """

    # Another function at each call: nothing has been kept for it.
    def traced(*given: Any) -> Any:
        return function(*given)

    # Through Any, as below: JAX's own types are partly unknown.
    make = cast(Any, jax).make_jaxpr
    return make(traced, return_shape=True)(*values)


def as_function(program: Any) -> Callable[..., Sequence[Any]]:
    """A closed jaxpr as a function of its inputs that gives a list of its outputs.

    Args:
      program: as `trace` gives it.

    Returns:
      The function; whatever Python ran when the program was traced does not run again.
    """
    return cast(Any, jaxpr_as_fun)(program)
