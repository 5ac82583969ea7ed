"""Slices that data choose: experts by a router, layers by a counter, members by an index."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from initlab.symmetry.dimensions import Dimension
from initlab.symmetry.rule_types import Axes
from initlab.symmetry.value_numbers import ValueNumbers

__all__ = ["Chosen", "Index", "chosen_index"]


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


def chosen_index(
    equation: Any, results: Sequence[Axes], numbers: Sequence[int], known: ValueNumbers
) -> Chosen | None:
    """The index that a `dynamic_slice` or a `gather` takes of one axis, all others being whole.

    Args:
      equation: of a jaxpr.
      results: the axes of its results.
      numbers: the value numbers of its operands.
      known: what they belong to.

    Returns:
      The index; None where it is another equation, or takes another window.
    """
    name, params = equation.primitive.name, equation.params
    if name not in ("dynamic_slice", "gather"):
        return None
    shape, sizes = equation.invars[0].aval.shape, params["slice_sizes"]
    batched = params["dimension_numbers"].operand_batching_dims if name == "gather" else ()
    cut = [n for n, size in enumerate(sizes) if size != shape[n] and n not in batched]
    if len(cut) != 1 or sizes[cut[0]] != 1:
        return None
    (axis,) = cut
    if name == "dynamic_slice":
        return Chosen(axis, Index(numbers[1 + axis], ()))
    places = params["dimension_numbers"].start_index_map
    column = known.column(numbers[1], places.index(axis), len(places))
    within = params["dimension_numbers"].offset_dims
    along = tuple(each for n, each in enumerate(results[0]) if n not in within and each.size > 1)
    # Whatever the mode: what lies outside is filled with one number, which no exchange moves.
    return Chosen(axis, Index(column, along))
