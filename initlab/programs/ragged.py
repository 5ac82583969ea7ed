"""Products of rows with a matrix each, in runs of rows that share one: experts of sorted tokens."""

from typing import Any, cast

import jax.numpy as jnp
from jax import lax

from initlab.programs.axes import runs_axes
from initlab.programs.trace import trace

__all__ = ["expanded"]


def expanded(equation: Any) -> Any:
    """The program that looks up each row's matrix and multiplies by it, `y_t = x_t w[group of t]`.

    It says what the operation does in terms that every instrument has rules for. It is read, not
    run: it holds a matrix for each row.

    Args:
      equation: any.

    Returns:
      A closed jaxpr of the equation's operands; None where `runs_axes` is None or the product has
      axes of a batch.

    >>> import jax
    >>> operands = jnp.ones((6, 3)), jnp.ones((2, 3, 5)), jnp.asarray([2, 4])
    >>> (equation,) = jax.make_jaxpr(lax.ragged_dot)(*operands).eqns
    >>> [each.aval.shape for each in expanded(equation).jaxpr.outvars]
    [(6, 5)]
    """
    axes = runs_axes(equation)
    if axes is None or len(equation.invars) != 3:
        return None
    contract, batch = equation.params["ragged_dot_dimension_numbers"].dot_dimension_numbers
    if batch[0]:
        return None
    rows, groups = axes

    def product(left: Any, right: Any, sizes: Any) -> Any:
        # Row t is of group g where t lies behind the ends of the g groups before.
        ends = jnp.cumsum(sizes)
        # Through Any: JAX's own types are partly unknown.
        numbers = cast(Any, jnp).arange(left.shape[rows], dtype=ends.dtype)[:, None]
        group = jnp.sum((numbers >= ends[None]).astype(ends.dtype), axis=1)
        chosen = jnp.take(right, group, axis=groups, mode="clip")
        pairs = contract, ((rows,), (groups,))
        result = cast(Any, lax).dot_general(left, chosen, pairs)
        place = sum(n < rows and n not in contract[0] for n in range(left.ndim))
        return jnp.moveaxis(result, 0, place)

    program, _ = trace(product, *(variable.aval for variable in equation.invars))
    return program
