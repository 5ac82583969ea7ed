"""The arithmetic of a dense layer in which units that start identical stay bit-identical.

Arrays lie [units, examples]: examples fill the vector lanes, and each unit is a row of its own.
Three products make a layer: its output, the gradient of its input, the gradient of its weight. In
each, every unit's sum must run in the same order, whatever the unit's number. A library's matrix
product does not promise that: columns left over from a full vector are summed another way. Two
formulations do:

- fold: `sum_k` written out as multiplications and additions of whole rows, for up to NARROW terms;
- padded: the matrix product with the unit axes padded by zeros to a multiple of LANES.

The choice depends on shapes alone, so the arithmetic of a network never depends on its params.
"""

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp

__all__ = ["LANES", "dense"]

LANES = 16
"""Floats in the widest vector register; unit axes and examples are padded to a multiple of it."""

NARROW = 16
"""Up to so many terms a sum over units is written out."""

NARROW_GRADIENT = 8
"""Up to so many units on one side a weight's gradient is a sum of elementwise products."""


@jax.custom_vjp
def dense(h: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    """`z[j, b] = sum_i weight[i, j] h[i, b] + bias[j]`, each unit summed in the same order.

    Differentiable in reverse mode, and in forward mode over reverse mode.

    Args:
      h: inputs [fan_in, B], B a multiple of LANES.
      weight: [fan_in, fan_out].
      bias: [fan_out].

    Returns:
      Pre-activations [fan_out, B].

    >>> h, weight, bias = jnp.ones((2, 16)), jnp.ones((2, 3)), jnp.zeros((3,))
    >>> dense(h, weight, bias)[:, 0].tolist()
    [2.0, 2.0, 2.0]
    """
    return _product(weight, h, over=0) + bias[:, None]


def _forward(h: jax.Array, weight: jax.Array, bias: jax.Array):
    return _product(weight, h, over=0) + bias[:, None], (h, weight)


def _backward(residuals: tuple[jax.Array, jax.Array], dz: jax.Array):
    h, weight = residuals
    return _product(weight, dz, over=1), _outer(h, dz), _sum_examples(dz)


dense.defvjp(_forward, _backward)


def _product(weight: jax.Array, h: jax.Array, over: int) -> jax.Array:
    """`sum_i weight[i, j] h[i, b]` over axis 0, `sum_j weight[i, j] h[j, b]` over axis 1."""
    terms, units = weight.shape[over], weight.shape[1 - over]
    if min(terms, units) > NARROW:
        # Padded on both axes alike, so that forward and backward share one padded copy.
        padded = jnp.pad(weight, [(0, -size % LANES) for size in weight.shape])
        return _dot(padded, _pad_units(h), over, 0)[:units]
    rows = jnp.moveaxis(weight, over, 0)
    if terms <= NARROW:
        return _fold([rows[i][:, None] * h[i][None, :] for i in range(terms)])
    return jnp.stack([jnp.sum(rows[:, j][:, None] * h, axis=0) for j in range(units)])


def _outer(h: jax.Array, dz: jax.Array) -> jax.Array:
    """`out[i, j] = sum_b h[i, b] dz[j, b]`."""
    fan_in, fan_out = h.shape[0], dz.shape[0]
    if min(fan_in, fan_out) <= NARROW_GRADIENT:
        return _sum_examples(h[:, None, :] * dz[None, :, :])
    return _dot(_pad_units(h), _pad_units(dz), 1, 1)[:fan_in, :fan_out]


def _sum_examples(terms: jax.Array) -> jax.Array:
    """Sum over the last axis: LANES partial sums, then their sum.

    The barrier keeps the compiler from joining the two stages into one scalar loop.
    """
    lanes = terms.reshape(*terms.shape[:-1], -1, LANES).sum(axis=-2)
    return jax.lax.optimization_barrier(lanes).sum(axis=-1)


def _fold(terms: Sequence[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, terms)


def _pad_units(rows: jax.Array) -> jax.Array:
    return jnp.pad(rows, ((0, -rows.shape[0] % LANES), (0, 0)))


def _dot(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int) -> jax.Array:
    # HIGHEST: float32 means float32 also where an accelerator would round the factors.
    return jax.lax.dot_general(
        left,
        right,
        (((left_axis,), (right_axis,)), ((), ())),
        precision=jax.lax.Precision.HIGHEST,
    )
