"""Convolutions as sums of slices or products of patches: fast on a CPU, and alike for all units.

XLA compiles a convolution for a CPU in two ways: outside of loops it calls a library, within one
(and a training run is one) it writes out the sums entry by entry, up to a hundred times slower, and
many runs under vmap are worse still. So each convolution of a run is computed another way. A sum of
few inputs and places of the window is written out: slices of the input, whole vectors of examples,
times weights. Any other is a product of matrices, which is fast anywhere: of the patches of the
input that the window sees, and the weights. So is a gradient of weights, a sum over positions and
examples.

The product is that of a dense layer (`dense`), and a written sum has one order for all units. So
units, here channels, that start identical stay bit-identical, forward and backward.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.bilinear import define_bilinear
from initlab.networks.dense import FEW, LANES, NARROW, TILE, sum_over_examples, sum_over_inputs
from initlab.programs.equations import all_equations, run_equation
from initlab.programs.primitives import CONVOLUTIONS
from initlab.programs.rewrite import rewrite

__all__ = ["convolutions_as_products", "convolve_slices", "count_convolved"]

MOST_SLICES = 512
"""A convolution that would take more slices of its input is left as it is."""

FEW_TERMS = 144
"""Up to so many terms of a sum over inputs and window are written out, for few units."""

TERMS_AT_ONCE = 18
"""About so many of them stand in one expression, those of two inputs at least."""

PARAMS = (
    "window_strides",
    "padding",
    "lhs_dilation",
    "rhs_dilation",
    "dimension_numbers",
    "feature_group_count",
    "batch_group_count",
)
"""What a convolution's equation says of it, but for its precision."""


def convolutions_as_products(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose convolutions are products and sums where it is compiled for a CPU.

    `make_run` and `make_loss` do this by themselves. It is for loops of one's own: a convolution
    within `jax.lax.scan`, `fori_loop` or `map` on a CPU.

    Args:
      function: of pytrees of arrays. Gradients of convolutions, taken within it or of it, are
        computed likewise.

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


def count_convolved(program: Any) -> int:
    """How many numbers the convolutions of a program, a jaxpr, give; 0 where there are none."""
    return sum(
        equation.outvars[0].aval.size
        for equation in all_equations(program)
        if equation.primitive.name in CONVOLUTIONS
    )


def _choose(equation: Any) -> Callable[..., Sequence[jax.Array]] | None:
    """What stands in for an equation: for a convolution that can be products, those on a CPU."""
    products = _as_products(equation)
    if products is None:
        return None
    return lambda lhs, rhs: jax.lax.platform_dependent(
        lhs, rhs, cpu=products, default=lambda lhs, rhs: run_equation(equation, [lhs, rhs])
    )


def _as_products(equation: Any) -> Callable[..., Sequence[jax.Array]] | None:
    """The same on whatever platform."""
    if equation.primitive.name not in CONVOLUTIONS:
        return None
    (lhs, rhs), (out,) = (
        [variable.aval for variable in each] for each in (equation.invars, equation.outvars)
    )
    real = jnp.issubdtype(lhs.dtype, jnp.floating) and lhs.dtype == rhs.dtype
    shapes = (lhs.shape, rhs.shape, out.shape)
    if not real or not 1 <= lhs.ndim - 2 <= 3 or any(0 in shape for shape in shapes):
        return None
    numbers = equation.params["dimension_numbers"]
    window, counts = (
        math.prod(each.shape[n] for n in spec[2:])
        for each, spec in ((rhs, numbers.rhs_spec), (out, numbers.out_spec))
    )
    if min(window, counts) > MOST_SLICES:
        return None
    wide = jnp.dtype(jnp.float32) if jnp.finfo(lhs.dtype).bits < 32 else lhs.dtype
    params = tuple((name, equation.params[name]) for name in PARAMS)
    convolve = _operation(lhs.shape, rhs.shape, wide, params)
    return lambda lhs, rhs: [convolve(lhs.astype(wide), rhs.astype(wide)).astype(out.dtype)]


@functools.cache
def _operation(
    lhs_shape: tuple[int, ...], rhs_shape: tuple[int, ...], dtype: Any, params: tuple
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """`convolve_slices` of factors of these shapes, whose gradients are such products too."""
    convolve = functools.partial(jax.lax.conv_general_dilated, **dict(params))
    lhs, rhs = (jax.ShapeDtypeStruct(shape, dtype) for shape in (lhs_shape, rhs_shape))

    def each_run(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        def mapped(left: jax.Array, right: jax.Array) -> jax.Array:
            one = function
            for _ in range(left.ndim - len(lhs_shape)):
                one = jax.vmap(one)
            return one(left, right)

        return mapped

    def transposed(factor: Any, fixed: Callable[..., Any]) -> Callable[..., jax.Array]:
        def gradient(cotangent: jax.Array, other: jax.Array) -> jax.Array:
            return jax.linear_transpose(fixed(other), factor)(cotangent)[0]

        return each_run(rewrite(gradient, _as_products))

    return define_bilinear(
        "convolve_slices",
        each_run(functools.partial(convolve_slices, params=dict(params))),
        transposed(lhs, lambda r: lambda l: convolve(l, r)),  # noqa: E741
        transposed(rhs, lambda l: lambda r: convolve(l, r)),  # noqa: E741
    )


def convolve_slices(lhs: jax.Array, rhs: jax.Array, params: Any) -> jax.Array:
    """`jax.lax.conv_general_dilated` by slices of its input.

    Args:
      lhs: the input, in the layout that params say.
      rhs: the weights, of the same dtype.
      params: as of the operation's equation, by the names in PARAMS.

    Returns:
      The result in its layout.
    """
    numbers = params["dimension_numbers"]
    rhs = jnp.transpose(rhs, numbers.rhs_spec)
    groups = max(params["feature_group_count"], params["batch_group_count"])
    # Axes: groups, outputs, inputs, then those of the window.
    weights = rhs.reshape(groups, -1, *rhs.shape[1:])
    examples, features, *places = numbers.lhs_spec
    window = weights.shape[3:]
    out = _positions([lhs.shape[n] for n in places], window, params)
    # Slices of the input are taken: one for each position in the window or, where that is larger
    # (for a gradient of weights it is a whole picture), one for each position of the output. The
    # last axis, examples, is read in whole vectors, whatever the slice.
    if math.prod(window) <= math.prod(out):
        # Axes: groups, inputs, those of positions, batch.
        x = _split(jnp.transpose(lhs, (features, *places, examples)), params, 0, -1)
        batch = x.shape[-1]
        x = _laid_out(x, params)
        slices = _Slices(window, params["rhs_dilation"], out, params["window_strides"])
        units = weights.shape[1]
        if weights[0, 0].size <= FEW_TERMS and units <= NARROW:
            product = _written_out(weights, x, slices)
        else:
            patches = _patches(x, slices, units)
            terms = jnp.moveaxis(weights, (1, 2), (-1, -2)).reshape(groups, -1, units)
            product = sum_over_inputs(_extend(terms, patches.shape[1], 1), patches)
        # Axes: outputs, those of positions, batch.
        product = product.reshape(groups * units, *out, -1)[..., :batch]
        order = [product.ndim - 1, *range(product.ndim - 1)]
    else:
        # Axes: groups, batch, those of positions, inputs, which are a gradient's examples.
        x = _split(jnp.transpose(lhs, (examples, *places, features)), params, -1, 0)
        batch = x.shape[1]
        slices = _Slices(out, params["window_strides"], window, params["rhs_dilation"])
        units = weights.shape[1]
        # Of a depthwise convolution: each group has one sum for each position of the window, and
        # channels that are copies are groups, whose products are alike, of one shape.
        alone = batch == units == 1
        patches = _patches(_laid_out(x, params), slices, units, filled=not alone)
        terms = _fill(jnp.moveaxis(weights, 2, -1)).reshape(groups, units, -1)
        times = _dot_over_last if alone else _times_patches
        product = times(patches, terms)[:, : math.prod(out) * batch]
        # Axes: those of positions, batch, outputs.
        product = jnp.moveaxis(product.reshape(groups, *out, batch, -1), 0, -2)
        product = product.reshape(*out, batch, -1)
        order = [product.ndim - 2, product.ndim - 1, *range(product.ndim - 2)]
    return jnp.transpose(product, [order[numbers.out_spec.index(n)] for n in range(product.ndim)])


def _positions(sizes: Sequence[int], window: Sequence[int], params: Any) -> list[int]:
    """How many positions the output has along each axis, for so many of the input."""
    names = ("padding", "lhs_dilation", "rhs_dilation", "window_strides")
    return [
        (low + (size - 1) * dilation + 1 + high - (width - 1) * apart - 1) // stride + 1
        for size, width, (low, high), dilation, apart, stride in zip(
            sizes, window, *(params[name] for name in names), strict=True
        )
    ]


def _split(x: jax.Array, params: Any, features: int, examples: int) -> jax.Array:
    """The axis of features, or of examples, in groups, these in front."""
    if params["batch_group_count"] > 1:
        axis, count = examples % x.ndim, params["batch_group_count"]
    else:
        axis, count = features % x.ndim, params["feature_group_count"]
    x = x.reshape(*x.shape[:axis], count, -1, *x.shape[axis + 1 :])
    return jnp.moveaxis(x, axis, 0)


def _laid_out(x: jax.Array, params: Any) -> jax.Array:
    """[groups, rows, *positions, columns], padded, the columns to a multiple of LANES."""
    edges = [
        (low, high, dilation - 1)
        for (low, high), dilation in zip(params["padding"], params["lhs_dilation"], strict=True)
    ]
    widths = [(0, 0, 0), (0, 0, 0), *edges, (0, -x.shape[-1] % LANES, 0)]
    # Laid out once, and not again in each slice.
    return jax.lax.optimization_barrier(jax.lax.pad(x, jnp.zeros((), x.dtype), widths))


class _Slices(NamedTuple):
    """Slices of positions.

    Attributes:
      counts: how many along each axis.
      apart: how far apart they begin.
      lengths: entries of each.
      steps: how far apart these are.
    """

    counts: Sequence[int]
    apart: Sequence[int]
    lengths: Sequence[int]
    steps: Sequence[int]

    def of(self, x: jax.Array) -> list[jax.Array]:
        """Those of x [groups, rows, *positions, columns], the last axis' first."""
        found = []
        for place in itertools.product(*map(range, self.counts)):
            starts = [n * distance for n, distance in zip(place, self.apart, strict=True)]
            stops = [
                start + (length - 1) * step + 1
                for start, length, step in zip(starts, self.lengths, self.steps, strict=True)
            ]
            where = [0, 0, *starts, 0], [*x.shape[:2], *stops, x.shape[-1]]
            found.append(jax.lax.slice(x, *where, [1, 1, *self.steps, 1]))
        return found


def _written_out(weights: jax.Array, x: jax.Array, slices: _Slices) -> jax.Array:
    """The sum over inputs and window, term by term: [groups, outputs, *positions, batch].

    Args:
      weights: [groups, outputs, inputs, *window].
      x: [groups, inputs, *positions, batch].
      slices: of x, one for each place in the window.

    Returns:
      The sums.
    """
    groups, units, inputs, *window = weights.shape
    # A loop over parts of the inputs: what it gives is laid out as it is computed, whatever reads
    # it. A single expression would be made anew in the layout of its reader, entry by entry. Parts
    # of one input would be read where they lie, at places that the loop computes, and no vectors
    # are made of that.
    at_once = min(inputs, max(2, TERMS_AT_ONCE // math.prod(window)))
    filled = inputs + -inputs % at_once
    count = filled // at_once
    weights, x = _extend(weights, filled, 2), _extend(x, filled, 1)
    parts = weights.reshape(groups, units, count, -1, math.prod(window))

    def add(number: jax.Array, total: jax.Array) -> jax.Array:
        factors = jax.lax.dynamic_index_in_dim(parts, number, 2, keepdims=False)
        seen = jax.lax.dynamic_slice_in_dim(x, number * at_once, at_once, 1)
        factors = factors.reshape(*factors.shape, *[1] * (x.ndim - 2))
        for n, each in enumerate(slices.of(seen)):
            for k in range(each.shape[1]):
                total = total + factors[:, :, k, n] * each[:, None, k]
        return total

    zeros = jnp.zeros((groups, units, *slices.lengths, x.shape[-1]), x.dtype)
    return jax.lax.fori_loop(0, count, add, zeros)


def _patches(x: jax.Array, slices: _Slices, units: int, filled: bool = True) -> jax.Array:
    """Slices of x [groups, rows, *positions, columns], one above the other.

    Returns:
      [groups, counts and rows, lengths and columns], with rows of zeros up to a multiple of LANES
      where `dense`, for so many units on the other side, would add them in a copy, if filled.
    """
    groups, rows, *_, columns = x.shape
    full = math.prod(slices.counts) * rows
    if filled and max(full, units) > NARROW:
        full += -full % LANES
    stacked = jnp.zeros((groups, full, *slices.lengths, columns), x.dtype)
    # Written in place, one after the other: a concatenation is compiled to a loop over entries,
    # each of which asks which slice it is of.
    for number, part in enumerate(slices.of(x)):
        where = [0, number * rows, *[0] * (len(slices.lengths) + 1)]
        stacked = jax.lax.dynamic_update_slice(stacked, part, where)
    return stacked.reshape(groups, full, -1)


def _times_patches(patches: jax.Array, terms: jax.Array) -> jax.Array:
    """`out[g, i, j] = sum_b patches[g, i, b] terms[g, j, b]`, each unit j summed in one order."""
    units = terms.shape[1]
    if patches.shape[1] <= NARROW or not FEW < units <= TILE:
        return sum_over_examples(patches, terms)
    # One tile of units, where `dense` would take two.
    return _dot_over_last(patches, _extend(terms, TILE, 1))[..., :units]


def _dot_over_last(left: jax.Array, right: jax.Array) -> jax.Array:
    axes = (((2,), (2,)), ((0,), (0,)))
    return jax.lax.dot_general(left, right, axes, precision=jax.lax.Precision.HIGHEST)


def _fill(array: jax.Array) -> jax.Array:
    """Zeros up to a multiple of LANES along the last axis: full vectors make all sums alike."""
    return _extend(array, array.shape[-1] + -array.shape[-1] % LANES, array.ndim - 1)


def _extend(array: jax.Array, size: int, axis: int) -> jax.Array:
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, size - array.shape[axis])
    return jnp.pad(array, widths)
