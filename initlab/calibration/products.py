"""The weights whose scales a refiner sets, and the lengths of their products, as traced vectors."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.taps import Model, measure, read_model
from initlab.taps.scope import Scope, Site, bits
from initlab.types import Params

__all__ = ["Entry", "Products", "find_products", "scale"]

Entry = tuple[int, int | None]
"""A parameter by its number among the leaves, and the slice of it that a loop takes, or None."""

Place = tuple[int, ...]
"""Where a measurement lies: the number of a site, or of a loop and of the site in its body."""


@dataclasses.dataclass(frozen=True, eq=False)
class Products:
    """The products of a model that have a weight of their own, one entry each: K of them.

    A weight that a loop over layers slices has an entry for each slice.

    Attributes:
      model: as it was read.
      leaf: the number of each entry's weight among the leaves of params.
      slice: which slice of it; None for a whole one.
      places: where each entry's products are measured; more than one where a weight is used again.
      on_path: whether every way from the data to the outputs passes the product.
      ends: the place of the sum that a residual branch's last product is added in; else None.
      sums: how many times a branch is added to a stream.
    """

    model: Model
    leaf: tuple[int, ...]
    slice: tuple[int | None, ...]
    places: tuple[tuple[Place, ...], ...]
    on_path: tuple[bool, ...]
    ends: tuple[Place | None, ...]
    sums: int

    def scaled(self, params: Params, scales: jax.Array) -> Params:
        """Params with each entry's weight times its scale [K]."""
        return scale(params, list(zip(self.leaf, self.slice, strict=True)), scales)

    def measure(
        self, params: Params, batch: Any, key: jax.Array, loss: Any = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Lengths of the products, norms of their gradients, and lengths of the sums they end in.

        Args:
          params: the parameters.
          batch: inputs.
          key: draws what is sent back where there is no loss.
          loss: `outputs -> scalar`.

        Returns:
          Three vectors [K]; the last is NaN for a product that no branch ends in.
        """
        seen = measure(self.model, params, batch, key, loss)

        def length(place: Place, number: int | None) -> jax.Array:
            return _at(_of(seen["sites"], place)["rms"], number).astype(jnp.float32)

        def norm(place: Place, number: int | None) -> jax.Array:
            return _at(_of(seen["slots"], place), number)

        lengths, norms, ends = [], [], []
        for places, number, end in zip(self.places, self.slice, self.ends, strict=True):
            lengths.append(_together([length(place, number) for place in places], jnp.mean))
            norms.append(_together([norm(place, number) for place in places], jnp.sum))
            ends.append(jnp.float32(jnp.nan) if end is None else length(end, number))
        return jnp.stack(lengths), jnp.stack(norms), jnp.stack(ends)


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
      ValueError: if no weight's scale can be told from its product, or one has a product in a
        branch, or in a loop within a loop.
    """
    model = read_model(apply, params, batch)
    if hidden := _hidden(model.plan, 0):
        names = ", ".join(model.paths[bit] for bit in bits(hidden))
        raise ValueError(
            f"the products of {names} lie in a branch or in a loop within a loop, where their "
            "lengths cannot be told apart"
        )
    above = frozenset().union(*(known.above for known in model.outputs if known.data))
    found: dict[tuple[int, int | None], list[Any]] = {}
    ends: dict[int, Place] = {}
    sums = 0
    for place, key, site, repeats in _sites(model.plan):
        weights = [n for n in bits(site.names) if model.notes.contracted >> n & 1]
        times = repeats if site.sliced else 1
        if site.kind == "sum":
            sums += times if repeats else 1
            ends |= dict.fromkeys(weights, place)
        elif site.kind == "product" and site.scales:
            for number in range(times):
                entry = (weights[0], number if site.sliced else None)
                found.setdefault(entry, []).append((place, key in above))
    if not found:
        raise ValueError("apply has no product of a parameter of its own and data")
    # A loop's products follow each other within an iteration, then come those of the next.
    order = sorted(found, key=lambda entry: _turn(found[entry][0][0], entry[1]))
    return Products(
        model,
        tuple(leaf for leaf, _ in order),
        tuple(number for _, number in order),
        tuple(tuple(place for place, _ in found[entry]) for entry in order),
        tuple(all(on_path for _, on_path in found[entry]) for entry in order),
        tuple(ends.get(leaf) for leaf, _ in order),
        sums,
    )


def _turn(place: Place, number: int | None) -> Place:
    """When a product is computed: by its number, or its loop's, the iteration's and its own."""
    return place if len(place) == 1 else (place[0], number or 0, place[1])


def _hidden(scope: Scope, loops: int) -> int:
    """Bit set of the weights with products in branches, or in loops within loops."""
    found = 0
    for entry in scope.entries:
        if isinstance(entry, Site):
            found |= entry.names if loops > 1 and entry.scales else 0
        else:
            for inner in entry:
                found |= _hidden(inner, loops + (1 if len(entry) == 1 else 2))
    return found


def _sites(plan: Scope) -> list[tuple[Place, tuple[int, ...], Site, int]]:
    """Place, key and repeats of each site; loops within loops and branches are left out."""
    sites = []
    for number, entry in enumerate(plan.entries):
        if isinstance(entry, Site):
            sites.append(((number,), (*plan.path, number), entry, 0))
        elif len(entry) == 1:
            body = entry[0]
            sites += [
                ((number, inner), (*body.path, inner), site, body.repeats)
                for inner, site in enumerate(body.entries)
                if isinstance(site, Site)
            ]
    return sites


def _of(results: Any, place: Place) -> Any:
    if len(place) == 1:
        return results[place[0]]
    loop = results[place[0]]
    return (loop[0] if isinstance(loop, list) else loop)[place[1]]


def _at(value: jax.Array, number: int | None) -> jax.Array:
    """One iteration's, or the root mean square over a loop whose iterations share the weight."""
    if number is not None:
        return value[number]
    return _together(list(value), jnp.mean) if value.ndim else value


def _together(values: Sequence[jax.Array], how: Callable[[jax.Array], jax.Array]) -> jax.Array:
    return jnp.sqrt(how(jnp.square(jnp.stack(values)))) if len(values) > 1 else values[0]
