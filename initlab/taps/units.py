"""What each unit of a model is scaled and shifted by to have unit variance."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.programs.axes import unit_axes
from initlab.programs.equations import run_equation
from initlab.taps.facts import Facts
from initlab.taps.model import Model, leaves_for, measure_signals
from initlab.taps.scope import bits
from initlab.taps.statistics import centred, deviation
from initlab.types import Params

__all__ = ["unit_factors"]

ALIKE = 0.999
"""Units whose correlation is above it, plus or minus, vary alike."""

TIE = 1e-3
"""A mean so much beyond the spread, relatively, is larger."""


@checks.checked
def unit_factors(
    model: Model,
    params: Params,
    batch: Any,
    sizes: jax.Array | None = None,
    careful: frozenset[int] = frozenset(),
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Factors and shifts by which `z = x w + b` has a spread in each unit; jit-able, vmap-able.

    The spread is the standard deviation over examples and positions. Each product is scaled before
    the next one sees it, so that one pass is enough; weights that are used again have their mean
    factor first, so that what is behind them sees it. Where the mean of x w is larger than its
    spread, the bias takes it: divided by the spread alone it would be large. Where there is no bias
    to take it, the mean is what has that size.

    Args:
      model: as `read_model` reads it.
      params: its parameters.
      batch: inputs.
      sizes: the spread for the products of each leaf, [leaves]; 1 by default.
      careful: numbers of leaves that are not enlarged.

    Returns:
      For each leaf what it is multiplied by, and what is added to it then: arrays of its shape. The
      factor is 1 where an entry feeds no product, a unit that is constant or not finite, or a
      product that takes a function of the parameter; for a table that is looked up; and where no
      gradient is backpropagated. A layer whose units all vary alike has one factor for all.
    """
    leaves, inputs = leaves_for(model, params, batch)
    if sizes is not None and jnp.shape(sizes) != (len(leaves),):
        raise ValueError(f"sizes must be [{len(leaves)}], got shape {jnp.shape(sizes)}")
    again, biases = _used_again(model, "names"), _biases(model)
    ones, zeros = (
        [jnp.ones_like(leaf) for leaf in leaves],
        [jnp.zeros_like(leaf) for leaf in leaves],
    )
    if again:
        found = _one_pass(model, leaves, inputs, frozenset(), frozenset(), sizes, careful)
        first = [found[n] if n in again else one for n, one in enumerate(ones)]
        leaves = [leaf * factor for leaf, factor in zip(leaves, first, strict=True)]
    else:
        first = ones
    found = _one_pass(model, leaves, inputs, again, biases, sizes, careful)
    factors = [
        one if n in again else (ones[n] if n in biases else found[n]) for n, one in enumerate(first)
    ]
    # What feeds no product, or a bias without a mean to take, is found to have 1: the unused one.
    return factors, [found[n] - 1 if n in biases else zero for n, zero in enumerate(zeros)]


def _one_pass(
    model: Model,
    leaves: list[Any],
    inputs: list[Any],
    fixed: frozenset[int],
    biases: frozenset[int],
    sizes: jax.Array | None,
    careful: frozenset[int],
) -> list[jax.Array]:
    """The factors of all leaves but the fixed ones, means over their uses; of biases 1 + shift.

    A product knows which axes of what it takes are its units, but not which those are in the
    parameter. So its factors are the derivative of `sum(factors * what it takes)`, which
    backpropagation carries through every move, cast and slice. A second cotangent counts the uses.
    """
    may_shift = sum(1 << n for n in biases)

    def record(number: Any, usable: Any, taken: Any) -> jax.Array:
        number, usable = (
            jax.lax.stop_gradient(jnp.broadcast_to(each, taken.shape)).astype(taken.dtype)
            for each in (number, usable)
        )
        sums = [jnp.sum(each * taken) for each in (number * usable, usable)]
        return jnp.stack(sums).astype(jnp.float32)

    def rescale(
        equation: Any, place: int, values: Sequence[Any], facts: Facts, added: int
    ) -> tuple[list[Any], Any]:
        weight = values[place]
        factor, usable = _factor(equation, place, values, bool(added & may_shift))
        if sizes is not None:
            wanted = sizes[jnp.asarray(bits(facts.params))].min().astype(factor.dtype)
            factor = jnp.where(usable, factor * wanted, factor)
        if not careful.isdisjoint(bits(facts.params)):
            factor = jnp.minimum(factor, 1)
        scaled = weight * jnp.broadcast_to(factor, weight.shape).astype(weight.dtype)
        given = [scaled if n == place else value for n, value in enumerate(values)]
        return given, record(factor, usable, weight)

    def recentre(total: Any, product: Any, bias: Any, facts: Facts) -> tuple[Any, Any]:
        if not facts.plain or not facts.params & may_shift:
            return total, jnp.zeros(2, jnp.float32)
        flags = zip(facts.features, bias.shape, product.shape, strict=True)
        others = [n for n, (is_own, a, b) in enumerate(flags) if not is_own or a != b]
        product = jax.lax.stop_gradient(product).astype(jnp.float32)
        mean = jnp.mean(product, axis=others, keepdims=True)
        spread = deviation(product, others).reshape(mean.shape)
        # Of a feature that is 0 or 1 half the time both are the same: rounding must not decide.
        beyond = jnp.abs(mean) > (1 + TIE) * spread
        shift = jnp.where(jnp.isfinite(mean) & beyond, -mean, 0)
        moved = total + jnp.broadcast_to(shift, total.shape).astype(total.dtype)
        return moved, record(1 + shift, jnp.ones_like(shift), bias)

    def run(leaves: list[Any]) -> jax.Array:
        results = measure_signals(model, leaves, inputs, rescale, fixed, recentre)
        pairs, _ = jax.tree_util.tree_flatten_with_path(results)
        # A branch that is not taken leaves NaN.
        sums = [
            jnp.sum(jnp.where(jnp.isnan(each), 0, each).reshape(-1, 2), axis=0)
            for path, each in pairs
            if path[-1] == jax.tree_util.DictKey("recorded")
        ]
        return jnp.stack([jnp.zeros(2, jnp.float32), *sums]).sum(axis=0)

    _, back = jax.vjp(run, leaves)
    (totals,), (counts,) = (back(each) for each in jnp.eye(2, dtype=jnp.float32))
    return [
        jnp.where(count != 0, total / jnp.where(count != 0, count, 1), 1)
        for total, count in zip(totals, counts, strict=True)
    ]


def _factor(
    equation: Any, place: int, values: Sequence[Any], has_bias: bool
) -> tuple[jax.Array, jax.Array]:
    """The factor of each unit and whether it is one, in the shape of the weight or broadcast."""
    axes = unit_axes(equation, place)
    (product,) = run_equation(equation, [jax.lax.stop_gradient(value) for value in values])
    units = [axis for axis, _ in axes]
    others = [n for n in range(product.ndim) if n not in units]
    spread = deviation(product, others)
    size = spread
    if not has_bias:
        mean = jnp.mean(product.astype(jnp.float32), axis=others).reshape(spread.shape)
        mean = mean.astype(spread.dtype)
        size = jnp.where(spread > 0, jnp.maximum(spread, jnp.abs(mean)), 0)
    size = jnp.where(_vary_alike(product, others), jnp.sqrt(jnp.mean(jnp.square(size))), size)
    # The weight's axes in their order, all others of size 1.
    rank, into = values[place].ndim, [axis for _, axis in axes]
    order = sorted(range(len(into)), key=into.__getitem__)
    squeezed = jnp.transpose(size.reshape([product.shape[n] for n in units]), order)
    size = jnp.expand_dims(squeezed, [n for n in range(rank) if n not in into])
    factor = 1 / size
    usable = jnp.isfinite(factor) & (factor > 0)
    return jnp.where(usable, factor, 1), usable


def _vary_alike(product: jax.Array, others: Sequence[int]) -> jax.Array:
    """Whether all units are multiples of one another about their means: of one input, say.

    With a factor of its own each would become plus or minus the same unit.
    """
    deviations = centred(product, others).astype(jnp.float32)
    # By their largest entry first: squares of tiny or huge ones would leave float32.
    largest = jnp.max(jnp.abs(deviations), axis=others, keepdims=True)
    deviations = deviations / jnp.where(largest > 0, largest, 1)
    flat = jnp.moveaxis(deviations, others, range(len(others)))
    flat = flat.reshape(math.prod(product.shape[n] for n in others), -1)
    norms = jnp.sqrt(jnp.sum(jnp.square(flat), axis=0, keepdims=True))
    unit = flat / jnp.broadcast_to(jnp.where(norms > 0, norms, 1), flat.shape)
    first = jnp.take(unit, jnp.argmax(norms), axis=1)[:, None]
    products = unit * jnp.broadcast_to(first, unit.shape)
    alike = jnp.abs(jnp.sum(products, axis=0, keepdims=True))
    # One unit alone is like itself, and a constant one like none.
    return jnp.all(jnp.where(norms > 0, alike > ALIKE, True)) & (flat.shape[1] > 1)


def _biases(model: Model) -> frozenset[int]:
    """Parameters that are added to one product each, and are not used otherwise as weights."""
    added = {
        bit
        for place in model.plan.sites()
        if place.site.kind == "product"
        for bit in bits(place.site.biases)
    }
    return frozenset(bit for bit in added if not model.notes.contracted >> bit & 1) - _used_again(
        model, "biases"
    )


def _used_again(model: Model, field: str) -> frozenset[int]:
    """Parameters in more than one product, as in a loop over time: by "names" or "biases"."""
    counts: dict[int, int] = {}
    for place in model.plan.sites():
        site, loops = place.site, place.loops
        if site.kind != "product" or not site.scales:
            continue
        # Of a loop within a loop it is not known which of them took the slice.
        is_own = site.sliced and len(loops) == 1
        uses = 1 if is_own else math.prod(loop.repeats for loop in loops)
        for bit in bits(getattr(site, field)):
            counts[bit] = counts.get(bit, 0) + uses
    return frozenset(bit for bit, uses in counts.items() if uses > 1)
