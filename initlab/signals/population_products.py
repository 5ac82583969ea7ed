"""Products of signals with drawn weights, and of signals with each other, in wide layers."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab.programs.primitives import PRODUCTS
from initlab.signals.population import (
    SIZE,
    Drawn,
    Kind,
    Known,
    Normals,
    Sampled,
    Unfollowed,
    correlated,
    has_mean,
    moments,
    root_of,
)
from initlab.signals.population_kinds import as_sampled

__all__ = ["convolution", "product", "rows_of_table"]

MOST_SITES = 1024
"""Examples times positions of a product's result: their covariance is taken apart."""

MOST_PAIRS = 4096
"""Independent normals of a product of two signals, for each sample."""


class _Dims(NamedTuple):
    """Axes of a product: of the left and the right operand."""

    contracted: tuple[tuple[int, ...], tuple[int, ...]]
    batch: tuple[tuple[int, ...], tuple[int, ...]]

    def free(self, side: int, rank: int) -> list[int]:
        taken = (*self.contracted[side], *self.batch[side])
        return [axis for axis in range(rank) if axis not in taken]


def product(normals: Normals, equation: Any, operands: Sequence[Any]) -> Any:
    """The result of a product: of a weight and a signal, or of two signals."""
    left, right = operands
    dims = _dims_of(equation)
    shape = equation.outvars[0].aval.shape
    for side, (weight, other) in enumerate(((left, right), (right, left))):
        if isinstance(weight, Drawn) and not isinstance(other, Drawn):
            return _with_weight(normals, weight, as_sampled(other), dims, side, shape)
    left, right = as_sampled(left), as_sampled(right)
    crossing = [(left.kinds[i], right.kinds[j]) for i, j in zip(*dims.contracted, strict=True)]
    if any(Kind.FLAT in each.kinds for each in (left, right)):
        return Unfollowed("a product of sites and units in one axis")
    if any(Kind.UNIT in pair for pair in crossing):
        return _of_units(normals, left, right, dims, shape)
    return _of_sites(left, right, dims, shape)


def _dims_of(equation: Any) -> _Dims:
    name = equation.primitive.name
    if name in PRODUCTS:
        axes = PRODUCTS[name]
        ranks = [len(variable.aval.shape) for variable in equation.invars]
        first, second = (axis % rank for axis, rank in zip(axes, ranks, strict=True))
        runs = tuple(range(ranks[0] - 2))
        return _Dims(((first,), (second,)), (runs, runs))
    contracted, batch = equation.params["dimension_numbers"]
    first, second = (tuple(map(int, axes)) for axes in contracted)
    runs, others = (tuple(map(int, axes)) for axes in batch)
    return _Dims((first, second), (runs, others))


def _with_weight(
    normals: Normals,
    weight: Drawn,
    x: Sampled,
    dims: _Dims,
    side: int,
    shape: tuple[int, ...],
) -> Sampled | Unfollowed:
    """`z = sum_i w_i x_i`: Gaussian, with covariance `E w^2 sum_i E x_i(s) x_i(s')`."""
    if has_mean(weight):
        return Unfollowed(f"the mean of {weight.name} is not 0")
    contracted, batch = dims.contracted[1 - side], dims.batch[1 - side]
    free = dims.free(1 - side, len(x.shape))
    order = [*batch, *free]
    sizes = [x.values.shape[axis + 1] for axis in order]
    copies = math.prod(x.copies(axis) for axis in contracted)
    sites = math.prod(sizes)
    if sites > MOST_SITES:
        return Unfollowed(f"{sites} examples and positions are more than {MOST_SITES}")
    moved = np.transpose(np.asarray(x.values), (0, *(axis + 1 for axis in (*order, *contracted))))
    second = moments(moved.reshape(len(moved), sites, -1))
    # Each index of a batch axis has weights of its own.
    index = np.indices(sizes).reshape(len(sizes), -1)[: len(batch)]
    own = np.all(index[:, :, None] == index[:, None, :], axis=0)
    power = float(np.mean(np.square(np.asarray(weight.values, np.float64))))
    z = correlated(normals, second * own * (copies * power)).reshape(SIZE, *sizes)
    outer = len(shape) - len(order)
    kinds = [x.kinds[axis] for axis in order]
    # A signal that is the same for all meets other weights in each.
    kinds[: len(batch)] = [Kind.UNIT if kind == Kind.SAME else kind for kind in kinds[: len(batch)]]
    if side == 0:
        # The weight's free axes follow the batch's.
        at = len(batch)
        z = z.reshape(SIZE, *sizes[:at], *[1] * outer, *sizes[at:])
        kinds = [*kinds[:at], *[Kind.UNIT] * outer, *kinds[at:]]
    else:
        z = z.reshape(SIZE, *sizes, *[1] * outer)
        kinds = [*kinds, *[Kind.UNIT] * outer]
    return Sampled(jnp.asarray(z, x.values.dtype), shape, tuple(kinds), weight.name)


def _aligned(left: Sampled, right: Sampled, dims: _Dims) -> tuple[list[str], str]:
    """Einsum letters of the operands and of the result, without that of samples."""
    letters = [chr(ord("a") + n) for n in range(len(left.shape) + len(right.shape))]
    names = [letters[: len(left.shape)], letters[len(left.shape) :]]
    for pairs in (dims.contracted, dims.batch):
        for i, j in zip(*pairs, strict=True):
            names[1][j] = names[0][i]
    result = [names[0][i] for i in dims.batch[0]]
    result += [names[0][i] for i in dims.free(0, len(left.shape))]
    result += [names[1][j] for j in dims.free(1, len(right.shape))]
    return ["".join(each) for each in names], "".join(result)


def _result_kinds(left: Sampled, right: Sampled, dims: _Dims) -> tuple[Kind, ...] | None:
    """Kinds of the result's axes; None where an axis is one of units and one of sites."""
    kinds = []
    for i, j in zip(*dims.batch, strict=True):
        pair = {left.kinds[i], right.kinds[j]} - {Kind.SAME}
        if len(pair) > 1:
            return None
        kinds.append(pair.pop() if pair else Kind.SAME)
    kinds += [left.kinds[i] for i in dims.free(0, len(left.shape))]
    kinds += [right.kinds[j] for j in dims.free(1, len(right.shape))]
    return tuple(kinds)


def _of_sites(left: Sampled, right: Sampled, dims: _Dims, shape: tuple[int, ...]) -> Any:
    """A sum over examples or positions, as of attention's weights with values: sample by sample."""
    kinds = _result_kinds(left, right, dims)
    if kinds is None:
        return Unfollowed("a product of sites with units")
    copies = math.prod(
        min(left.copies(i), right.copies(j)) for i, j in zip(*dims.contracted, strict=True)
    )
    (one, other), result = _aligned(left, right, dims)
    values = [np.asarray(each.values, np.float64) for each in (left, right)]
    found = _einsum(one, other, result, values) * copies
    return Sampled(jnp.asarray(found, left.values.dtype), shape, kinds)


def _einsum(one: str, other: str, result: str, values: Sequence[np.ndarray]) -> np.ndarray:
    """By broadcasting: an axis of one entry may meet one of several."""
    sizes: dict[str, int] = {}
    for names, value in zip((one, other), values, strict=True):
        for letter, size in zip(names, value.shape[1:], strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    full = [
        np.broadcast_to(value, (len(value), *(sizes[letter] for letter in names)))
        for names, value in zip((one, other), values, strict=True)
    ]
    if len(full[0]) != len(full[1]):
        size = max(map(len, full))
        full = [np.broadcast_to(each, (size, *each.shape[1:])) for each in full]
    return np.einsum(f"Z{one},Z{other}->Z{result}", *full, optimize=True)


def _of_units(
    normals: Normals, left: Sampled, right: Sampled, dims: _Dims, shape: tuple[int, ...]
) -> Any:
    """`sum_i q_i k_i` over units, as of queries and keys: its mean, and Gaussian around it.

    The covariance at (s, t) and (s', t') is the number of units times E q(s) q(s') E k(t) k(t').
    """
    kinds = _result_kinds(left, right, dims)
    pairs = list(zip(*dims.contracted, strict=True))
    if kinds is None or any(
        {left.kinds[i], right.kinds[j]} not in ({Kind.UNIT}, {Kind.UNIT, Kind.SAME})
        for i, j in pairs
    ):
        return Unfollowed("a product of sites with units")
    copies = math.prod(left.shape[i] for i, _ in pairs)
    (one, other), result = _aligned(left, right, dims)
    values = [np.asarray(each.values, np.float64) for each in (left, right)]
    mean = _einsum(one, other, result, values).mean(axis=0, keepdims=True) * copies
    roots, sizes = [], []
    for side, value in enumerate(values):
        order = [*dims.batch[side], *dims.free(side, value.ndim - 1)]
        axes = [axis + 1 for axis in (*order, *dims.contracted[side])]
        moved = np.transpose(value, (0, *axes))
        sizes.append(moved.shape[1 : 1 + len(order)])
        # Times a constant only what differs between units is left to chance.
        if all((right, left)[side].kinds[pair[1 - side]] == Kind.SAME for pair in pairs):
            moved = moved - moved.mean(axis=0, keepdims=True)
        roots.append(root_of(moments(moved.reshape(len(moved), math.prod(sizes[-1]), -1))))
    ranks = [root.shape[1] for root in roots]
    if math.prod(ranks) > MOST_PAIRS:
        return Unfollowed(
            f"a product of two signals at {len(roots[0])} examples and positions, too many"
        )
    noise = normals.draw(math.prod(ranks)).reshape(SIZE, *ranks) * math.sqrt(copies)
    # Sites of the batch's axes are those of both: only pairs within one are products.
    runs = len(dims.batch[0])
    shared = [max(pair) for pair in zip(sizes[0][:runs], sizes[1][:runs], strict=True)]
    first, second = (
        np.broadcast_to(
            root.reshape(*size[:runs], math.prod(size[runs:]), rank),
            (*shared, math.prod(size[runs:]), rank),
        ).reshape(math.prod(shared), math.prod(size[runs:]), rank)
        for root, size, rank in zip(roots, sizes, ranks, strict=True)
    )
    one_sided = noise @ second.reshape(math.prod(second.shape[:2]), ranks[1]).T
    one_sided = one_sided.reshape(SIZE, ranks[0], *second.shape[:2])
    spread = np.matmul(first, np.moveaxis(one_sided, 2, 1))
    spread = spread.reshape(SIZE, *shared, *sizes[0][runs:], *sizes[1][runs:])
    return Sampled(jnp.asarray(mean + spread, left.values.dtype), shape, kinds)


def convolution(normals: Normals, equation: Any, operands: Sequence[Any]) -> Any:
    """A convolution of a signal with a drawn kernel: the product of its patches."""
    given, weight = operands
    params = equation.params
    if not isinstance(weight, Drawn) or isinstance(given, Drawn):
        return Unfollowed("a convolution of two signals")
    if has_mean(weight):
        return Unfollowed(f"the mean of {weight.name} is not 0")
    x = as_sampled(given)
    numbers = params["dimension_numbers"]
    batch, feature, *spatial = numbers.lhs_spec
    groups = params["feature_group_count"]
    channels = x.shape[feature]
    if params["batch_group_count"] != 1 or (
        groups > 1 and not (groups == channels and x.kinds[feature] == Kind.UNIT)
    ):
        return Unfollowed("a convolution in groups")
    if x.kinds[feature] == Kind.FLAT or any(
        x.kinds[axis] in (Kind.UNIT, Kind.FLAT) for axis in spatial
    ):
        return Unfollowed("a convolution over units")
    window = [weight.values.shape[1 + axis] for axis in numbers.rhs_spec[2:]]
    # Channels that are one unit, at all places; examples and samples are the patches' rows.
    values = jnp.moveaxis(
        x.values, [n + 1 for n in (batch, feature, *spatial)], range(1, x.values.ndim)
    )
    size = [x.shape[axis] for axis in spatial]
    values = jnp.broadcast_to(values, (*values.shape[:3], *size))
    if any(each != 1 for each in params["lhs_dilation"]) or np.min(params["padding"]) < 0:
        return Unfollowed("a convolution of spread or cut places")
    patches = _patches(
        np.asarray(values),
        window,
        params["window_strides"],
        params["padding"],
        params["rhs_dilation"],
    )
    examples, out = values.shape[1], patches.shape[3:-1]
    sites = examples * math.prod(out)
    if sites > MOST_SITES:
        return Unfollowed(f"{sites} examples and positions are more than {MOST_SITES}")
    terms = np.moveaxis(patches, 2, -1).reshape(len(values), sites, -1)
    second = moments(terms)
    copies = 1 if groups > 1 else x.copies(feature)
    power = float(np.mean(np.square(np.asarray(weight.values, np.float64))))
    z = correlated(normals, second * (copies * power)).reshape(SIZE, examples, 1, *out)
    first, channel, *places = numbers.out_spec
    z = np.moveaxis(z, range(1, z.ndim), [n + 1 for n in (first, channel, *places)])
    kinds = [Kind.SAME] * len(x.shape)
    kinds[first], kinds[channel] = x.kinds[batch], Kind.UNIT
    for axis in places:
        kinds[axis] = Kind.SITE
    shape = equation.outvars[0].aval.shape
    return Sampled(jnp.asarray(z, x.values.dtype), shape, tuple(kinds), weight.name)


def _patches(
    values: np.ndarray,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> np.ndarray:
    """What each output place sees: [SIZE, examples, channels, *places, entries of the window]."""
    # NumPy's own type of the widths is narrower than what it takes.
    edges: Any = [(0, 0), (0, 0), (0, 0), *padding]
    padded = np.pad(values, edges)
    seen = []
    for offset in np.ndindex(*window):
        index = [
            slice(at * spread, size - (width - 1 - at) * spread, step)
            for at, width, spread, size, step in zip(
                offset, window, dilation, padded.shape[3:], strides, strict=True
            )
        ]
        seen.append(padded[(slice(None), slice(None), slice(None), *index)])
    return np.stack(seen, -1)


def rows_of_table(normals: Normals, equation: Any, table: Drawn, indices: Known) -> Any:
    """Rows of a drawn table, as of an embedding: independent for each index."""
    numbers = equation.params["dimension_numbers"]
    shape = equation.outvars[0].aval.shape
    rank = table.values.ndim - 1
    if (
        tuple(numbers.start_index_map) != (0,)
        or tuple(numbers.collapsed_slice_dims) != (0,)
        or tuple(equation.params["slice_sizes"]) != (1, *table.values.shape[2:])
        or rank < 2
    ):
        return Unfollowed("entries of a parameter that are chosen otherwise than by rows")
    chosen, inverse = np.unique(np.asarray(indices.value)[..., 0], return_inverse=True)
    spread = float(np.sqrt(np.mean(np.square(np.asarray(table.values, np.float64)))))
    samples = normals.draw(len(chosen)) * spread
    offsets = tuple(numbers.offset_dims)
    sizes = [1 if axis in offsets else size for axis, size in enumerate(shape)]
    kinds = tuple(Kind.UNIT if axis in offsets else Kind.SITE for axis in range(len(shape)))
    values = samples[:, inverse.reshape(-1)].reshape(SIZE, *sizes)
    return Sampled(jnp.asarray(values, table.values.dtype), shape, kinds, table.name)
