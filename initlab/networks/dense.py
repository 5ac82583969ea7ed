"""The arithmetic of a dense layer in which units that start identical stay bit-identical.

Arrays lie [units, examples]: examples fill the vector lanes, and each unit is a row of its own.
Three products make a layer: its output, the gradient of its input, the gradient of its weight. In
each, every unit's sum must run in the same order, whatever the unit's number. A library's matrix
product does not promise that: units left over from a full vector, or cut off by a block, are summed
another way. Three formulations do:

- fold: `sum_k` written out as multiplications and additions of whole rows, for up to TERMS terms;
- row by row: products of a matrix in full tiles and one row, for up to FEW rows;
- padded: the matrix product, unit axes padded by zeros to a multiple of LANES beyond NARROW units.

The choice depends on shapes alone, so the arithmetic of a network never depends on its params.
"""

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from initlab.bilinear import define_bilinear

__all__ = [
    "FEW",
    "LANES",
    "NARROW",
    "TILE",
    "dense",
    "sum_over_examples",
    "sum_over_inputs",
    "to_lanes",
]

LANES = 16
"""Floats in the widest vector register; unit axes and examples are padded to a multiple of it."""

TERMS = 8
"""Up to so many terms a sum over units is written out."""

NARROW = 16
"""Up to so many units need no padding."""

FEW = 4
"""Up to so many units on one side a weight's gradient is made row by row."""

TILE = 8
"""Rows that the product of a matrix and a row takes together; more rows are padded to full ones."""


def to_lanes(x: jax.Array) -> jax.Array:
    """Inputs [B, n] as [n, B'], B' the multiple of LANES that B is filled up to.

    >>> to_lanes(jnp.ones((3, 2))).shape
    (2, 16)
    """
    # Copies of the last example: finite where it is, with zero cotangents, so that they add exactly
    # nothing.
    return jnp.pad(x.T, ((0, 0), (0, -x.shape[0] % LANES)), mode="edge")


def dense(h: jax.Array, weight: jax.Array, bias: jax.Array | None) -> jax.Array:
    """`z[j, b] = sum_i weight[i, j] h[i, b] + bias[j]`, each unit summed in the same order.

    Differentiable in every mode, to any order.

    Args:
      h: inputs [fan_in, B], B a multiple of LANES.
      weight: [fan_in, fan_out].
      bias: [fan_out], or None for a layer without.

    Returns:
      Pre-activations [fan_out, B].

    >>> h, weight, bias = jnp.ones((2, 16)), jnp.ones((2, 3)), jnp.zeros((3,))
    >>> dense(h, weight, bias)[:, 0].tolist()
    [2.0, 2.0, 2.0]
    """
    z = sum_over_inputs(weight, h)
    if bias is None:
        return z
    # The bias is the weight of an input that is always 1, so that its gradient is summed as theirs.
    return z + sum_over_inputs(bias[None], jnp.ones_like(h[:1]))


def _sum_inputs(weight: jax.Array, h: jax.Array) -> jax.Array:
    """`out[j, b] = sum_i weight[i, j] h[i, b]`."""
    return _rows_of(jnp.swapaxes(weight, -2, -1), h)


def _sum_outputs(weight: jax.Array, dz: jax.Array) -> jax.Array:
    """`out[i, b] = sum_j weight[i, j] dz[j, b]`."""
    return _rows_of(weight, dz)


def _rows_of(weight: jax.Array, h: jax.Array) -> jax.Array:
    """`out[u, b] = sum_k weight[u, k] h[k, b]`."""
    units, terms = weight.shape[-2:]
    if terms <= TERMS or (terms <= NARROW and units <= FEW):
        return _fold([weight[..., k, None] * h[..., k, None, :] for k in range(terms)])
    if max(terms, units) > NARROW:
        # Padded on both axes alike, so that forward and backward share one padded copy.
        weight, h = _pad(weight, LANES, axes=(-2, -1)), _pad(h, LANES)
    # The barrier keeps a transposed weight a small copy: the product reads its rows faster.
    return _dot(jax.lax.optimization_barrier(weight), h, -1, -2)[..., :units, :]


def _sum_examples(h: jax.Array, dz: jax.Array) -> jax.Array:
    """`out[i, j] = sum_b h[i, b] dz[j, b]`."""
    fan_in, fan_out = h.shape[-2], dz.shape[-2]
    if fan_out <= min(fan_in, FEW):
        return jnp.stack([_times_row(h, dz[..., j, :]) for j in range(fan_out)], axis=-1)
    if fan_in <= FEW:
        return jnp.stack([_times_row(dz, h[..., i, :]) for i in range(fan_in)], axis=-2)
    if max(fan_in, fan_out) > NARROW:
        h, dz = _pad(h, LANES), _pad(dz, LANES)
    return _dot(h, dz, -1, -1)[..., :fan_in, :fan_out]


def _sum_examples_on_cuda(h: jax.Array, dz: jax.Array) -> jax.Array:
    """`out[i, j] = sum_b h[i, b] dz[j, b]`, for few units as one reduction of all pairs."""
    if min(h.shape[-2], dz.shape[-2]) > FEW:
        return _sum_examples(h, dz)
    # Products written out unit by unit may be contracted to one rounding for one unit and to
    # another for the next; with units on an axis there is one piece of code for all.
    return jnp.sum(h[..., :, None, :] * dz[..., None, :, :], axis=-1)


# Each product's gradients are the other two products. Under vmap each run has a product of its own:
# a library would make one long product of runs that share the inputs, and its blocks cut the units
# of a run in unequal parts.
sum_over_inputs = define_bilinear(
    "sum_over_inputs",
    _sum_inputs,
    lambda dz, h: sum_over_examples(h, dz),
    lambda dz, weight: sum_over_outputs(weight, dz),
)
sum_over_outputs = define_bilinear(
    "sum_over_outputs",
    _sum_outputs,
    lambda dh, dz: sum_over_examples(dh, dz),
    lambda dh, weight: sum_over_inputs(weight, dh),
)
sum_over_examples = define_bilinear(
    "sum_over_examples",
    _sum_examples,
    lambda weight, dz: sum_over_outputs(weight, dz),
    lambda weight, h: sum_over_inputs(weight, h),
    cuda=_sum_examples_on_cuda,
)


def _times_row(rows: jax.Array, row: jax.Array) -> jax.Array:
    """`out[j] = sum_b rows[j, b] row[b]`."""
    units = rows.shape[-2]
    return _dot(_pad(rows, TILE) if units > TILE else rows, row, -1, -1)[..., :units]


def _fold(terms: Sequence[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, terms)


def _pad(array: jax.Array, multiple: int, axes: Sequence[int] = (-2,)) -> jax.Array:
    """Zeros up to a multiple along the axes; along that of units when none is named."""
    widths = [(0, 0)] * array.ndim
    for axis in axes:
        widths[axis] = (0, -array.shape[axis] % multiple)
    return jnp.pad(array, widths)


def _dot(left: jax.Array, right: jax.Array, left_axis: int, right_axis: int) -> jax.Array:
    """The product over one axis of each; axes before the last two are those of runs."""
    runs = tuple(range(left.ndim - 2))
    # HIGHEST: float32 means float32 also where an accelerator would round the factors.
    return jax.lax.dot_general(
        left,
        right,
        (((left.ndim + left_axis,), (right.ndim + right_axis,)), (runs, runs)),
        precision=jax.lax.Precision.HIGHEST,
    )
