"""The weights whose scales a refiner sets, and the rms of their products, as traced vectors."""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.taps import Model, measure, measure_signals, read_model
from initlab.taps.facts import Key
from initlab.taps.scope import Place, bits
from initlab.types import Params

__all__ = ["Entry", "Products", "find_products", "read_products", "scale"]

Entry = tuple[int, int | None]
"""A parameter by its number among the leaves, and the slice of it that a loop takes, or None."""


@dataclasses.dataclass(frozen=True, eq=False)
class Products:
    """The products of a model that have a weight of their own, one entry each: K of them.

    A weight that a loop over layers slices has an entry for each slice.

    Attributes:
      model: as it was read.
      leaf: the number of each entry's weight among the leaves of params.
      slice: which slice of it; None for a whole one.
      sites: keys of each entry's products; more than one where a weight is used again.
      on_path: whether the product lies on every path from the data to one of the outputs.
      before: the number of the product before it on that path; None of the first, and off paths.
      is_head: of several outputs, whether it is the last product of one and on no other's path.
      is_open: of a single output, whether it is the last product before it and the output is not
        near zero where the product is: an exponential, a sigmoid.
      ends: the key of the sum that a residual branch's last product is added in; else None.
      sums: how many times a branch is added to a stream.
    """

    model: Model
    leaf: tuple[int, ...]
    slice: tuple[int | None, ...]
    sites: tuple[tuple[Key, ...], ...]
    on_path: tuple[bool, ...]
    before: tuple[int | None, ...]
    is_head: tuple[bool, ...]
    is_open: tuple[bool, ...]
    ends: tuple[Key | None, ...]
    sums: int

    @property
    def share(self) -> float:
        """`1/sqrt(sums)`: of a stream's rms a branch may have so much, and it stays of order 1."""
        return max(self.sums, 1) ** -0.5

    def changed(self, scales: jax.Array, number: jax.Array, factor: jax.Array) -> jax.Array:
        """Scales [K] with one times a factor, where that is one; a head's is never above 1.

        How large each of several outputs is to be its loss knows alone: policies begin small, and
        exponentials of log-scales at 1.
        """
        usable = jnp.isfinite(factor) & (factor > 0)
        scales = scales.at[number].multiply(jnp.where(usable, factor, 1))
        return jnp.where(jnp.asarray(self.is_head), jnp.minimum(scales, 1), scales)

    def scaled(self, params: Params, scales: jax.Array) -> Params:
        """Params with each entry's weight times its scale [K]."""
        return scale(params, list(zip(self.leaf, self.slice, strict=True)), scales)

    def rms(self, params: Params, batch: Any) -> jax.Array:
        """The rms of each product [K]: root mean square where a weight is used again."""
        return self._rms(measure_signals(self.model, params, batch))

    def _rms(self, sites: Mapping[Key, Any]) -> jax.Array:
        entries = zip(self.sites, self.slice, strict=True)
        each = [[_rms_at(sites, key, number) for key in keys] for keys, number in entries]
        return jnp.stack([_root_of_squares(uses, jnp.mean) for uses in each])

    def measure(
        self, params: Params, batch: Any, key: jax.Array, loss: Any = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The rms of each product, the norm of its gradient, and the rms of the sum it ends in.

        Args:
          params: the parameters.
          batch: inputs.
          key: draws the cotangent of the outputs where there is no loss.
          loss: `outputs -> scalar`.

        Returns:
          Three vectors [K]; the last is NaN for a product that no branch ends in.
        """
        measured = measure(self.model, params, batch, key, loss)

        sites, slots = measured["sites"], measured["slots"]
        norms, ends = [], []
        for keys, number, end in zip(self.sites, self.slice, self.ends, strict=True):
            norms.append(_root_of_squares([_at(slots[key], number) for key in keys], jnp.sum))
            ends.append(jnp.float32(jnp.nan) if end is None else _rms_at(sites, end, number))
        return self._rms(sites), jnp.stack(norms), jnp.stack(ends)


def scale(params: Params, entries: Sequence[Entry], scales: jax.Array) -> Params:
    """Params with each entry's part times its scale.

    Args:
      params: a pytree of arrays.
      entries: `(number of the leaf, slice of it or None for the whole)`, all slices of a leaf in
        their order.
      scales: [entries].

    Returns:
      The params.
    """
    leaves, tree = jax.tree.flatten(params)
    chosen: dict[int, list[int]] = {}
    for number, (leaf, _) in enumerate(entries):
        chosen.setdefault(leaf, []).append(number)
    for leaf, numbers in chosen.items():
        factor = scales[jnp.asarray(numbers)].astype(leaves[leaf].dtype)
        rest = (1,) * (jnp.ndim(leaves[leaf]) - 1)
        is_whole = entries[numbers[0]][1] is None
        factor = factor[0] if is_whole else factor.reshape(-1, *rest)
        leaves[leaf] = leaves[leaf] * jnp.broadcast_to(factor, leaves[leaf].shape)
    return jax.tree.unflatten(tree, leaves)


def find_products(apply: Callable[[Params, Any], Any], params: Params, batch: Any) -> Products:
    """Reads a model and finds the products that have a weight of their own; nothing is computed.

    Args:
      apply: a pure function `(params, batch) -> outputs`.
      params: a pytree of floating arrays.
      batch: inputs.

    Returns:
      The products, in the order of the program.

    Raises:
      ValueError: if no product has a weight that scales as one parameter does, or one such product
        lies in a branch, or in a loop within a loop.
    """
    model = read_model(apply, params, batch)
    if names := _hidden(model):
        paths = ", ".join(model.paths[bit] for bit in bits(names))
        raise ValueError(
            f"the products of {paths} lie in a branch or in a loop within a loop, where the rms of "
            "each cannot be measured"
        )
    products = read_products(model)
    if products is None:
        raise ValueError("apply has no product of a parameter of its own and data")
    return products


def _hidden(model: Model) -> int:
    """Bit set of the weights whose products have no numbers of their own."""
    # A table that is only looked up has no scale to set, wherever that is.
    hidden = [
        place.site.names
        for place in model.plan.sites()
        if place.site.scales
        and place.site.names & model.notes.contracted
        and not _has_own_numbers(place)
    ]
    return functools.reduce(operator.or_, hidden, 0)


def read_products(model: Model) -> Products | None:
    """The products of a model; None where it has none, or not all of them can be measured."""
    if _hidden(model):
        return None
    places = list(model.plan.sites())
    found: dict[Entry, list[Place]] = {}
    ends: dict[int, Key] = {}
    sums = 0
    for place in filter(_has_own_numbers, places):
        site = place.site
        weights = [n for n in bits(site.names) if model.notes.contracted >> n & 1]
        times = place.loops[0].repeats if site.sliced and place.loops else 1
        if site.kind == "sum":
            sums += times
            ends |= dict.fromkeys(weights, place.key)
        elif site.kind == "product" and site.scales and weights:
            for number in range(times):
                entry = (weights[0], number if site.sliced else None)
                found.setdefault(entry, []).append(place)
    if not found:
        return None
    # A loop's products follow each other within an iteration, then come those of the next.
    order = sorted(found, key=lambda entry: _moment(found[entry][0], entry[1]))
    uses = tuple(tuple(place.key for place in found[entry]) for entry in order)
    on_path, before, is_head, is_open = _paths(model, uses)
    return Products(
        model,
        tuple(leaf for leaf, _ in order),
        tuple(number for _, number in order),
        uses,
        on_path,
        before,
        is_head,
        is_open,
        tuple(ends.get(leaf) for leaf, _ in order),
        sums,
    )


def _paths(
    model: Model, uses: Sequence[Sequence[Key]]
) -> tuple[tuple[bool, ...], tuple[int | None, ...], tuple[bool, ...], tuple[bool, ...]]:
    """`on_path`, `before`, `is_head` and `is_open` of products."""
    outputs = [facts for facts in model.outputs if facts.data]
    paths = [[n for n, keys in enumerate(uses) if each.above.issuperset(keys)] for each in outputs]
    before: list[int | None] = [None] * len(uses)
    for path in paths:
        for one, other in itertools.pairwise(path):
            before[other] = one
    times = [sum(n in path for path in paths) for n in range(len(uses))]
    ends = {path[-1] for path in paths if path} if len(outputs) > 1 else set[int]()
    is_head = [n in ends and times[n] == 1 for n in range(len(uses))]
    pairs = zip(outputs, paths, strict=True)
    open_ends = {path[-1] for each, path in pairs if path and each.is_gate}
    is_open = [n in open_ends and len(outputs) == 1 for n in range(len(uses))]
    return tuple(map(bool, times)), tuple(before), tuple(is_head), tuple(is_open)


def _has_own_numbers(place: Place) -> bool:
    """Whether each iteration's measurement is one number: not in branches or nested loops."""
    return len(place.within) == len(place.loops) <= 1


def _moment(place: Place, number: int | None) -> Key:
    return place.moment([number or 0] * len(place.loops))


def _rms_at(sites: Mapping[Key, Any], key: Key, number: int | None) -> jax.Array:
    return _at(sites[key]["rms"], number).astype(jnp.float32)


def _at(value: jax.Array, number: int | None) -> jax.Array:
    """One iteration's, or the rms over a loop whose iterations share the weight."""
    if number is not None:
        return value[number]
    return _root_of_squares(list(value), jnp.mean) if value.ndim else value


def _root_of_squares(
    values: Sequence[jax.Array], combine: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    return jnp.sqrt(combine(jnp.square(jnp.stack(values)))) if len(values) > 1 else values[0]
