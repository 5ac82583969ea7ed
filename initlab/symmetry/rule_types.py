"""What a rule is, and what most rules are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from initlab.symmetry.dimensions import Dimension, pin, unify

__all__ = ["Axes", "Rule", "Shapes", "elementwise", "fresh", "pinned", "refuse"]

Axes = tuple[Dimension, ...]
Shapes = Sequence[tuple[int, ...]]
Rule = Callable[[Sequence[Axes], Shapes, Mapping[str, Any]], Sequence[Axes]]
"""`(operands, outputs, params) -> results`: takes the axes of each operand, the shapes of the
outputs and the equation's parameters, sets equal what one permutation must move, pins what none
may, and returns the axes of each output. An axis of length 1 carries nothing."""


def fresh(shape: Sequence[int]) -> Axes:
    """Axes whose positions nothing distinguishes yet: any permutation may move them."""
    return tuple(Dimension(size) for size in shape)


def pinned(shape: Sequence[int], unsupported: Sequence[str] = ()) -> Axes:
    """Axes that nothing may permute."""
    axes = fresh(shape)
    for axis in axes:
        pin(axis, unsupported)
    return axes


def elementwise(operands: Sequence[Axes], outputs: Shapes, params: Mapping) -> Sequence[Axes]:
    """Each entry by itself: axes of one place are one axis."""
    del params
    # Scalars and axes of length 1 are the same for every entry.
    merged = [Dimension(size) for size in outputs[0]]
    for axes in operands:
        for number, axis in enumerate(axes):
            if axis.size == merged[number].size:
                unify(axis, merged[number])
    return [tuple(merged) for _ in outputs]


def refuse(name: str, operands: Sequence[Axes], outputs: Shapes) -> Sequence[Axes]:
    """Pins every axis; under a name, it is reported."""
    unsupported = [name] if name else []
    for axes in operands:
        for axis in axes:
            pin(axis, unsupported)
    return [pinned(shape, unsupported) for shape in outputs]
