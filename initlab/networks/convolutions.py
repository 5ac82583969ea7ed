"""Convolutions as products of patches, which a CPU computes fast and units alike.

XLA compiles a convolution for a CPU in two ways: outside of loops it calls a library, within one
(and a training run is one) it writes out the sums entry by entry, up to a hundred times slower, and
many runs under vmap are worse still. A product of matrices is fast anywhere. So each convolution of
a run becomes one: of the patches of the input that the window sees, and the weights.

The product is that of a dense layer (`dense`), so that units, here channels, that start identical
stay bit-identical, forward and backward.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.networks.dense import LANES, NARROW, sum_over_examples, sum_over_inputs
from initlab.programs.equations import all_equations, run_equation
from initlab.programs.primitives import CONVOLUTIONS
from initlab.programs.rewrite import rewrite

__all__ = ["convolutions_as_products", "convolve_patches", "has_convolutions"]

MOST_SLICES = 512
"""A convolution that would take more slices of its input is left as it is."""


def convolutions_as_products(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose convolutions are products of patches where it is compiled for a CPU.

    `make_run` and `make_loss` do this by themselves. It is for loops of one's own: a convolution
    within `jax.lax.scan`, `fori_loop` or `map` on a CPU.

    Args:
      function: of pytrees of arrays. A function that takes gradients within it has those of its
        convolutions computed likewise.

    Returns:
      A function of the same arguments with the same results, but for rounding: real convolutions of
      one to three axes of positions, of any stride, padding, dilation, groups and layout, become
      products; any other stays, as do all of them on an accelerator.

    >>> signal, window = jnp.arange(5.0)[None, None], jnp.ones((1, 1, 3))
    >>> smooth = lambda x: jax.lax.conv_general_dilated(x, window, (1,), "VALID")
    >>> convolutions_as_products(smooth)(signal).tolist()
    [[[3.0, 6.0, 9.0]]]
    """
    return rewrite(function, _choose)


def has_convolutions(program: Any) -> bool:
    """Whether a program, a jaxpr, has a convolution in it or in the programs within it."""
    return any(equation.primitive.name in CONVOLUTIONS for equation in all_equations(program))


def _choose(equation: Any) -> Callable[..., Sequence[jax.Array]] | None:
    """What stands in for an equation: for a convolution that can be a product, that product."""
    if equation.primitive.name not in CONVOLUTIONS:
        return None
    (lhs, rhs), (out,) = (
        [variable.aval for variable in each] for each in (equation.invars, equation.outvars)
    )
    real = jnp.issubdtype(lhs.dtype, jnp.floating) and lhs.dtype == rhs.dtype
    spatial = lhs.ndim - 2
    shapes = (lhs.shape, rhs.shape, out.shape)
    if not real or not 1 <= spatial <= 3 or any(0 in shape for shape in shapes):
        return None
    numbers = equation.params["dimension_numbers"]
    window, counts = (
        math.prod(each.shape[n] for n in spec[2:])
        for each, spec in ((rhs, numbers.rhs_spec), (out, numbers.out_spec))
    )
    if min(window, counts) > MOST_SLICES:
        return None

    def chosen(lhs: jax.Array, rhs: jax.Array) -> list[jax.Array]:
        result = jax.lax.platform_dependent(
            lhs,
            rhs,
            cpu=lambda lhs, rhs: convolve_patches(lhs, rhs, equation.params).astype(out.dtype),
            default=lambda lhs, rhs: run_equation(equation, [lhs, rhs])[0],
        )
        return [result]

    return chosen


def convolve_patches(lhs: jax.Array, rhs: jax.Array, params: Any) -> jax.Array:
    """`jax.lax.conv_general_dilated` as one product for each group of features.

    Args:
      lhs: the input, in the layout that params say.
      rhs: the weights.
      params: as of the operation's equation: dimension_numbers, window_strides, padding,
        lhs_dilation, rhs_dilation, feature_group_count, batch_group_count.

    Returns:
      The result in its layout; its dtype is that of the factors, which is one, or float32.
    """
    numbers = params["dimension_numbers"]
    wide = jnp.float32 if jnp.finfo(lhs.dtype).bits < 32 else lhs.dtype
    # [groups, batch, inputs, *positions] and [groups, outputs, inputs, *window].
    x = _in_groups(jnp.transpose(lhs.astype(wide), numbers.lhs_spec), params)
    groups = x.shape[0]
    rhs = jnp.transpose(rhs.astype(wide), numbers.rhs_spec)
    weights = rhs.reshape(groups, -1, *rhs.shape[1:])
    batch, window = x.shape[1], weights.shape[3:]
    edges = [
        (low, high, dilation - 1)
        for (low, high), dilation in zip(params["padding"], params["lhs_dilation"], strict=True)
    ]
    x = jax.lax.pad(x, jnp.zeros((), wide), [(0, 0, 0)] * 3 + edges)
    strides, spacing = params["window_strides"], params["rhs_dilation"]
    out = [
        (size - (w - 1) * apart - 1) // stride + 1
        for size, w, apart, stride in zip(x.shape[3:], window, spacing, strides, strict=True)
    ]
    units, count = weights.shape[1], math.prod(out)
    # Slices of the input are stacked: one for each position in the window or, where that is larger
    # (for a gradient of weights it is a whole picture), one for each position of the output. The
    # last axis, examples, is read in whole vectors, whatever the slice.
    if math.prod(window) <= count:
        # [window and inputs, out and batch].
        x = _fill(jnp.moveaxis(x, 1, -1))
        patches = _slices(x, window, spacing, out, strides, units)
        terms = jnp.moveaxis(weights, (1, 2), (-1, -2)).reshape(groups, -1, units)
        product = sum_over_inputs(_extend(terms, patches.shape[1], 1), patches)
        product = product.reshape(groups, units, *out, -1)[..., :batch]
        product = jnp.moveaxis(product, -1, 0)
    else:
        # [out and batch, window and inputs], where inputs are a gradient's examples.
        patches = _slices(_fill(jnp.moveaxis(x, 2, -1)), out, strides, window, spacing, units)
        terms = _fill(jnp.moveaxis(weights, 2, -1)).reshape(groups, units, -1)
        product = sum_over_examples(patches, terms)[:, : count * batch]
        product = product.reshape(groups, *out, batch, units)
        product = jnp.moveaxis(product, (-2, 0, -1), (0, 1, 2))
    product = product.reshape(batch, -1, *out)
    return jnp.transpose(product, [numbers.out_spec.index(n) for n in range(product.ndim)])


def _in_groups(lhs: jax.Array, params: Any) -> jax.Array:
    """[batch, features, ...] as [groups, batch, features, ...] of each group."""
    if (batches := params["batch_group_count"]) > 1:
        return lhs.reshape(batches, -1, *lhs.shape[1:])
    groups = params["feature_group_count"]
    return lhs.reshape(lhs.shape[0], groups, -1, *lhs.shape[2:]).swapaxes(0, 1)


def _slices(
    x: jax.Array,
    counts: Sequence[int],
    apart: Sequence[int],
    lengths: Sequence[int],
    steps: Sequence[int],
    units: int,
) -> jax.Array:
    """Slices of x [groups, rows, *positions, columns], one above the other.

    Args:
      x: the input.
      counts: how many slices along each axis of positions.
      apart: how far apart they begin.
      lengths: entries of each.
      steps: how far apart these are.
      units: on the other side of the product.

    Returns:
      [groups, counts and rows, lengths and columns], with rows of zeros up to a multiple of LANES
      where `dense` would add them in a copy.
    """
    groups, rows, *_, columns = x.shape
    places = list(itertools.product(*map(range, counts)))
    full = len(places) * rows
    if max(full, units) > NARROW:
        full += -full % LANES
    # Laid out once, and not again in each slice; nor are slices of given data folded, which would
    # take the compiler seconds.
    x = jax.lax.optimization_barrier(x)
    slices = jnp.zeros((groups, full, *lengths, columns), x.dtype)
    # Written in place, one after the other: a concatenation is compiled to a loop over entries,
    # each of which asks which slice it is of.
    for number, place in enumerate(places):
        starts = [n * distance for n, distance in zip(place, apart, strict=True)]
        stops = [
            start + (length - 1) * step + 1
            for start, length, step in zip(starts, lengths, steps, strict=True)
        ]
        part = jax.lax.slice(
            x, [0, 0, *starts, 0], [groups, rows, *stops, columns], [1, 1, *steps, 1]
        )
        where = [0, number * rows, *[0] * (len(lengths) + 1)]
        slices = jax.lax.dynamic_update_slice(slices, part, where)
    return slices.reshape(groups, full, -1)


def _fill(array: jax.Array) -> jax.Array:
    """Zeros up to a multiple of LANES along the last axis: full vectors make all sums alike."""
    return _extend(array, array.shape[-1] + -array.shape[-1] % LANES, array.ndim - 1)


def _extend(array: jax.Array, size: int, axis: int) -> jax.Array:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, size - array.shape[axis])
    return jnp.pad(array, widths)
