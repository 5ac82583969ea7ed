"""Slices that data choose: experts by a router, layers by a counter, members by an index."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from initlab.symmetry.dimensions import Dimension
from initlab.symmetry.rule_types import Axes
from initlab.symmetry.value_numbers import ValueNumbers

__all__ = ["Chosen", "Index", "chosen_indices"]


class Index(NamedTuple):
    """Which index of a dimension the entries of an array were taken at.

    Attributes:
      which: the same for lookups by the same indices.
      along: the dimensions of the array of indices: entries that agree there have one index. Where
        an array has lost one of them, nothing is known of its entries' indices.
    """

    which: Hashable
    along: tuple[Dimension, ...]


class Chosen(NamedTuple):
    """A lookup of whole slices: the axis that has the indices, and which they are."""

    axis: int
    index: Index


def chosen_indices(
    equation: Any, results: Sequence[Axes], numbers: Sequence[int], known: ValueNumbers
) -> tuple[Chosen, ...]:
    """The index that a `dynamic_slice` or a `gather` takes of each axis that it takes one of.

    Args:
      equation: of a jaxpr.
      results: the axes of its results.
      numbers: the value numbers of its operands.
      known: what they belong to.

    Returns:
      The indices; none where it is another equation, or takes another window.
    """
    name, params = equation.primitive.name, equation.params
    if name not in ("dynamic_slice", "gather"):
        return ()
    shape, sizes = equation.invars[0].aval.shape, params["slice_sizes"]
    batched = params["dimension_numbers"].operand_batching_dims if name == "gather" else ()
    cut = [n for n, size in enumerate(sizes) if size != shape[n] and n not in batched]
    if any(sizes[axis] != 1 for axis in cut):
        return ()
    if name == "dynamic_slice":
        return tuple(Chosen(axis, Index(numbers[1 + axis], ())) for axis in cut)
    places = params["dimension_numbers"].start_index_map
    columns = [known.column(numbers[1], places.index(axis), len(places)) for axis in cut]
    within = params["dimension_numbers"].offset_dims
    along = tuple(each for n, each in enumerate(results[0]) if n not in within and each.size > 1)
    # Whatever the mode: what lies outside is filled with one number, which no exchange moves.
    return tuple(
        Chosen(axis, Index(column, along)) for axis, column in zip(cut, columns, strict=True)
    )
