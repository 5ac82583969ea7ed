"""Which steps take one index of an axis, or stack what has been taken."""

from collections.abc import Hashable, Sequence

from initlab.symmetry.dimensions import Dimension
from initlab.symmetry.propagate_axes import Step
from initlab.symmetry.rule_types import Axes

__all__ = ["indexed"]


def indexed(step: Step) -> Sequence[tuple[Dimension, Hashable] | None] | None:
    """For each result: the dimension that one index was taken of (or stacked), and which."""
    if step.name in ("enter", "leave"):
        outer = step.operands[0] if step.name == "enter" else step.results[0]
        return [(outer[0], step.params["index"])]
    if not step.operands:
        return None
    operand = step.operands[0]
    if step.chosen is not None and not operand[step.chosen.axis].uniform:
        return [(operand[step.chosen.axis], step.chosen.index)]
    if step.name == "unstack":
        unstacked = operand[step.params["axis"]]
        return [(unstacked, number) for number in range(len(step.results))]
    if step.name == "slice":
        starts = step.params["start_indices"]
        return [_one_index(operand, step.results[0], starts)]
    if step.name == "split":
        place, start, found = step.params["axis"], 0, []
        for size, result in zip(step.params["sizes"], step.results, strict=True):
            starts = [start if number == place else 0 for number in range(len(operand))]
            found.append(_one_index(operand, result, starts))
            start += size
        return found
    return None


def _one_index(
    operand: Axes, result: Axes, starts: Sequence[int]
) -> tuple[Dimension, Hashable] | None:
    taken = [n for n, axis in enumerate(operand) if axis.size > 1 and result[n].size == 1]
    if len(taken) != 1 or operand[taken[0]].uniform:
        return None
    return operand[taken[0]], starts[taken[0]]
