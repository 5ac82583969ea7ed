"""What each operation of a program does to what is known of a wide network's arrays."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.programs.equations import run_equation
from initlab.programs.primitives import (
    CONTRACTIONS,
    CONVOLUTIONS,
    CUMULATIVE,
    ELEMENTWISE,
    RAGGED,
    REDUCTIONS,
    UNCHANGED,
    WINDOWS,
)
from initlab.signals.population import SIZE, Drawn, Kind, Known, Normals, Sampled, Unfollowed
from initlab.signals.population_kinds import as_sampled, entrywise, reason_of
from initlab.signals.population_moves import MOVED
from initlab.signals.population_products import convolution, product, rows_of_table

__all__ = ["apply_rule"]


def apply_rule(normals: Normals, equation: Any, operands: Sequence[Any]) -> list[Any]:
    """What is known of an equation's results.

    Args:
      normals: whose samples new signals take.
      equation: of no program of its own.
      operands: what is known of its operands.

    Returns:
      One for each result.
    """
    count = len(equation.outvars)
    if unknown := reason_of(operands):
        return [unknown] * count
    if all(isinstance(each, Known) for each in operands):
        is_data = any(each.is_data for each in operands)
        return [
            Known(each, is_data) for each in run_equation(equation, [e.value for e in operands])
        ]
    if not any(isinstance(each, Sampled) or getattr(each, "is_data", False) for each in operands):
        return _of_parameters(equation, operands)
    name = equation.primitive.name
    if name in UNCHANGED:
        return list(operands)
    if name in CONVOLUTIONS:
        found: Any = convolution(normals, equation, operands)
    elif name in CONTRACTIONS - RAGGED:
        found = product(normals, equation, operands)
    elif name in ELEMENTWISE:
        found = _entrywise(normals, equation, operands)
    elif name == "gather" and isinstance(operands[0], Drawn):
        found = rows_of_table(normals, equation, operands[0], operands[1])
    elif name in JOINING:
        found = JOINING[name](normals, equation, operands)
    elif isinstance(operands[0], Drawn):
        found = Unfollowed(f"{name} of a parameter and data")
    elif name in RULES or name in REDUCTIONS:
        found = RULES.get(name, _reduce)(equation, as_sampled(operands[0]), operands[1:])
    elif name in CUMULATIVE | WINDOWS:
        found = _over_sites(equation, as_sampled(operands[0]), operands[1:])
    else:
        found = Unfollowed(f"{name} has no rule")
    return found if isinstance(found, list) else [found] * count


def _of_parameters(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """A function of parameters alone, of each draw."""
    drawn = [each for each in operands if isinstance(each, Drawn)]
    values = [each.values if isinstance(each, Drawn) else each.value for each in operands]
    axes = [0 if isinstance(each, Drawn) else None for each in operands]
    run = jax.vmap(lambda *given: run_equation(equation, given), axes)
    return [Drawn(each, drawn[0].path, drawn[0].index) for each in run(*values)]


def _entrywise(normals: Normals, equation: Any, operands: Sequence[Any]) -> Any:
    found = entrywise(normals, operands)
    if isinstance(found, str):
        return Unfollowed(found)
    arrays, kinds = found
    size = max(len(each) for each in arrays)
    rank = len(kinds)
    full = np.broadcast_shapes(
        *(each.shape for each in arrays if each.ndim == rank + 1), (1,) * (rank + 1)
    )
    scalars = equation.primitive.name in ("clamp", "select_n")
    values = []
    for each, variable in zip(arrays, equation.invars, strict=True):
        value = jnp.asarray(each, variable.aval.dtype)
        if each.ndim == rank + 1:
            value = jnp.broadcast_to(value, (size, *full[1:]))
        elif len(value) == 1:
            value = value[0]
        elif scalars:
            return Unfollowed("a choice by a signal that is one number")
        else:
            value = jnp.broadcast_to(value.reshape(size, *[1] * rank), (size, *full[1:]))
        values.append(value)
    (result,) = run_equation(equation, values)
    return Sampled(result, equation.outvars[0].aval.shape, kinds, _place(equation, operands))


def _place(equation: Any, operands: Sequence[Any]) -> str | None:
    """A product stays one after a bias, a change of dtype or of sign."""
    places = [each.place for each in operands if isinstance(each, Sampled)]
    others = [each for each in operands if not isinstance(each, Sampled)]
    is_bias = all(
        isinstance(each, Drawn) or (isinstance(each, Known) and not each.is_data) for each in others
    )
    is_sum = equation.primitive.name in ("add", "sub", "add_any", "convert_element_type")
    return places[0] if len(places) == 1 and is_bias and is_sum else None


def _reduce(equation: Any, x: Sampled, _: Sequence[Any]) -> Any:
    """Over sites in each sample; over units the number of them times the mean of the samples."""
    axes = tuple(map(int, equation.params["axes"]))
    name = equation.primitive.name
    over_units = [axis for axis in axes if x.kinds[axis] in (Kind.UNIT, Kind.FLAT)]
    if over_units and name != "reduce_sum":
        return Unfollowed(f"{name} over units")
    copies = math.prod(x.copies(axis) for axis in axes)
    if name in ("reduce_prod", "reduce_xor") and copies > 1:
        return Unfollowed(f"{name} over equal entries")
    (values,) = run_equation_with(equation, x.values, axes=tuple(axis + 1 for axis in axes))
    if over_units:
        values = jnp.mean(values, axis=0, keepdims=True)
    if name == "reduce_sum" and copies > 1:
        values = values * jnp.asarray(copies, values.dtype)
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    shape = tuple(x.shape[axis] for axis in kept)
    return Sampled(values, shape, tuple(x.kinds[axis] for axis in kept))


def run_equation_with(equation: Any, *operands: Any, **changed: Any) -> list[Any]:
    """An equation on operands of other shapes, with other parameters."""
    result = equation.primitive.bind(*operands, **{**equation.params, **changed})
    return list(result) if equation.primitive.multiple_results else [result]


def _over_sites(equation: Any, x: Sampled, rest: Sequence[Any]) -> Any:
    """What mixes sites in each sample, and no units: pooling, running sums."""
    params = equation.params
    windows = params.get("window_dimensions")
    touched = (
        [params["axis"]]
        if windows is None
        else [axis for axis, size in enumerate(windows) if size > 1]
    )
    if rest or any(x.kinds[axis] in (Kind.UNIT, Kind.FLAT) for axis in touched):
        return Unfollowed(f"{equation.primitive.name} over units")
    values = x.values
    for axis in touched:
        values = jnp.repeat(values, x.copies(axis), axis + 1)
    run = jax.vmap(lambda value: run_equation(equation, [value])[0])
    kinds = tuple(Kind.SITE if axis in touched else kind for axis, kind in enumerate(x.kinds))
    return Sampled(run(values), equation.outvars[0].aval.shape, kinds)


def _gather(equation: Any, x: Sampled, rest: Sequence[Any]) -> Any:
    """Chosen sites, as the last position: of axes of units all are taken."""
    (indices,) = rest
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    if not isinstance(indices, Known):
        return Unfollowed("sites that a signal chooses")
    if any(
        kind != Kind.SITE and (size != x.shape[axis] or axis in numbers.start_index_map)
        for axis, (kind, size) in enumerate(zip(x.kinds, sizes, strict=True))
    ):
        return Unfollowed("chosen units")
    own = tuple(min(size, x.values.shape[axis + 1]) for axis, size in enumerate(sizes))
    run = jax.vmap(
        lambda value: run_equation_with(equation, value, indices.value, slice_sizes=own)[0]
    )
    offsets = iter(
        axis
        for axis in range(len(x.shape))
        if axis not in numbers.collapsed_slice_dims and axis not in numbers.operand_batching_dims
    )
    shape = equation.outvars[0].aval.shape
    kinds = tuple(
        x.kinds[next(offsets)] if axis in numbers.offset_dims else Kind.SITE
        for axis in range(len(shape))
    )
    return Sampled(run(x.values), shape, kinds)


def _concatenate(normals: Normals, equation: Any, operands: Sequence[Any]) -> Any:
    """Sites of one kind after those of another, as a class token before patches; or units."""
    axis = equation.params["dimension"]
    # Nothing is appended where a batch is padded to a multiple that it has.
    has_entries = [bool(variable.aval.shape[axis]) for variable in equation.invars]
    operands = list(itertools.compress(operands, has_entries))
    if len(operands) == 1:
        return operands[0]
    found = entrywise(normals, [_without(each, axis) for each in operands])
    if isinstance(found, str):
        return Unfollowed(found)
    arrays, kinds = found
    lengths = [length for v in equation.invars if (length := v.aval.shape[axis])]
    shape = equation.outvars[0].aval.shape
    if kinds[axis] == Kind.FLAT:
        return Unfollowed("axes of sites and units beside each other")
    if kinds[axis] == Kind.UNIT:
        return Sampled(_mixture(arrays, lengths), shape, kinds)
    size = max(len(each) for each in arrays)
    full = np.broadcast_shapes(
        *((*each.shape[: axis + 1], 1, *each.shape[axis + 2 :]) for each in arrays)
    )
    parts = [
        jnp.broadcast_to(each, (size, *full[1 : axis + 1], length, *full[axis + 2 :]))
        for each, length in zip(arrays, lengths, strict=True)
    ]
    own = (*kinds[:axis], Kind.SITE, *kinds[axis + 1 :])
    return Sampled(jnp.concatenate(parts, axis + 1), shape, own)


def _stack(normals: Normals, equation: Any, operands: Sequence[Any]) -> Any:
    """Arrays beside each other along a new axis: of units where they are units' samples."""
    axis = equation.params["axis"]
    found = entrywise(normals, operands)
    if isinstance(found, str):
        return Unfollowed(found)
    arrays, kinds = found
    shape = equation.outvars[0].aval.shape
    if Kind.UNIT in kinds:
        mixed = jnp.expand_dims(_mixture(arrays, [1] * len(arrays)), axis + 1)
        return Sampled(mixed, shape, (*kinds[:axis], Kind.UNIT, *kinds[axis:]))
    full = np.broadcast_shapes(*(each.shape for each in arrays))
    stacked = jnp.stack([jnp.broadcast_to(each, full) for each in arrays], axis + 1)
    return Sampled(stacked, shape, (*kinds[:axis], Kind.SITE, *kinds[axis:]))


def _mixture(arrays: Sequence[Any], lengths: Sequence[int]) -> jax.Array:
    """Samples of units of several kinds: each sample is one kind's, as often as there are units."""
    # Samples of opposite signs stay pairs, and the same in every place of a program.
    half = np.random.default_rng(sum(lengths)).permutation(SIZE // 2) / (SIZE // 2)
    kind = np.searchsorted(np.cumsum(lengths)[:-1] / sum(lengths), half, side="right")
    full = np.broadcast_shapes((SIZE, *[1] * (arrays[0].ndim - 1)), *(e.shape for e in arrays))
    chosen = np.concatenate([kind, kind]).reshape(SIZE, *[1] * (len(full) - 1))
    return jnp.select(
        [chosen == n for n in range(len(arrays))], [jnp.broadcast_to(e, full) for e in arrays]
    )


def _without(each: Any, axis: int) -> Any:
    """The operand, whose entries along the axis are sites, however few."""
    if not isinstance(each, Sampled) or each.kinds[axis] != Kind.SAME:
        return each
    kinds = (*each.kinds[:axis], Kind.SITE, *each.kinds[axis + 1 :])
    values = jnp.repeat(each.values, each.copies(axis), axis + 1)
    return Sampled(values, each.shape, kinds)


def _pad(equation: Any, x: Sampled, rest: Sequence[Any]) -> Any:
    padding = equation.params["padding_config"]
    touched = [axis for axis, widths in enumerate(padding) if any(widths)]
    if any(x.kinds[axis] in (Kind.UNIT, Kind.FLAT) for axis in touched):
        return Unfollowed("units that are padded")
    if not isinstance(rest[0], Known):
        return Unfollowed("padding by a signal")
    values = x.values
    for axis in touched:
        values = jnp.repeat(values, x.copies(axis), axis + 1)
    padded = jax.lax.pad(values, jnp.asarray(rest[0].value, values.dtype), [(0, 0, 0), *padding])
    kinds = tuple(Kind.SITE if axis in touched else kind for axis, kind in enumerate(x.kinds))
    return Sampled(padded, equation.outvars[0].aval.shape, kinds)


RULES: dict[str, Callable[[Any, Sampled, Sequence[Any]], Any]] = {
    **MOVED,
    "gather": _gather,
    "pad": _pad,
}

JOINING = {"concatenate": _concatenate, "stack": _stack}
