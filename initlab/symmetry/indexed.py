"""Which steps take one index of an axis, or stack what has been taken."""

from collections.abc import Hashable, Sequence

from initlab.symmetry.dimensions import Dimension
from initlab.symmetry.propagate_axes import Step
from initlab.symmetry.rule_types import Axes

__all__ = ["indexed"]


Indices = Sequence[tuple[Dimension, Hashable]]


def indexed(step: Step) -> Sequence[Indices] | None:
    """For each result the dimensions that one index was taken of (or stacked), and which.

    None where the step takes no part of its operand.
    """
    if step.name in ("enter", "leave"):
        outer = step.operands[0] if step.name == "enter" else step.results[0]
        return [[(outer[0], step.params["index"])]]
    if not step.operands:
        return None
    operand = step.operands[0]
    if step.chosen:
        taken = [(operand[each.axis], each.index) for each in step.chosen]
        return [[each for each in taken if not each[0].uniform]]
    if step.name == "unstack":
        unstacked = operand[step.params["axis"]]
        return [[(unstacked, number)] for number in range(len(step.results))]
    if step.name == "slice":
        starts = step.params["start_indices"]
        return [_single(operand, step.results[0], starts)]
    if step.name == "split":
        place, start, found = step.params["axis"], 0, []
        for size, result in zip(step.params["sizes"], step.results, strict=True):
            starts = [start if number == place else 0 for number in range(len(operand))]
            found.append(_single(operand, result, starts))
            start += size
        return found
    return None


def _single(operand: Axes, result: Axes, starts: Sequence[int]) -> Indices:
    taken = [n for n, axis in enumerate(operand) if axis.size > 1 and result[n].size == 1]
    return [(operand[n], starts[n]) for n in taken if not operand[n].uniform]
