"""Axes carried through a program: which of them one permutation must move together."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from initlab.programs.axes import moved
from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.primitives import ELEMENTWISE, PASSING, SLICES
from initlab.programs.ragged import expanded
from initlab.programs.walk import walk
from initlab.symmetry.chosen import Chosen, chosen_indices
from initlab.symmetry.dimensions import Dimension, atoms, mark_read, pin, unify
from initlab.symmetry.primitive_rules import RULES
from initlab.symmetry.rule_types import Axes, fresh, pinned, refuse
from initlab.symmetry.value_numbers import ValueNumbers

__all__ = ["Record", "Step", "propagate_axes"]


class Step(NamedTuple):
    """What was done to arrays: an equation, or what a loop or a branch does at its borders.

    Attributes:
      name: the primitive; "join" where a value comes from several programs, "enter" where an
        iteration takes its slices and "leave" where slices are stacked.
      operands: the axes of each.
      results: the axes of each.
      params: the equation's; for "enter" and "leave" those of the loop: "index", a token of its
        iterations, and "shifts", whether each leaves its carry on other units than it found.
      chosen: the axes of the first operand that data choose one index of each time, and which.
    """

    name: str
    operands: Sequence[Axes]
    results: Sequence[Axes]
    params: Any
    chosen: tuple[Chosen, ...] = ()


class Record:
    """What a propagation gains.

    Attributes:
      unsupported: the primitives without a rule.
      steps: every step in its order.
      numbers: which integers are the same.
    """

    def __init__(self) -> None:
        self.unsupported: set[str] = set()
        self.steps: list[Step] = []
        self.numbers = ValueNumbers()


def propagate_axes(program: Any, inputs: Sequence[Axes], record: Record) -> list[Axes]:
    """Carries axes through a program; type inference by unification, with axes for types.

    One pass is enough, also through loops: unification does not depend on the order in which
    equations are read, and what a later equation ties is tied for the earlier ones too.

    An axis along which an array is uniform (a broadcast, a constant of ones) is polymorphic, as a
    generalized type is: each equation that reads the array gets a dimension of its own there.

    Args:
      program: a closed jaxpr.
      inputs: the axes of each of its inputs.
      record: gains the names of primitives without a rule, and the steps.

    Returns:
      The axes of each output. The inputs' axes are unified and pinned in place.
    """
    return _axes(_propagated(program, _numbered(inputs, record), record))


class _Array(NamedTuple):
    """What is carried with an array: its axes, and a number that only equal arrays share."""

    axes: Axes
    number: int


def _numbered(each: Sequence[Axes], record: Record) -> list[_Array]:
    return [_Array(axes, record.numbers.fresh()) for axes in each]


def _axes(arrays: Sequence[_Array]) -> list[Axes]:
    return [each.axes for each in arrays]


def _propagated(program: Any, inputs: Sequence[_Array], record: Record) -> list[_Array]:
    return walk(
        program,
        inputs,
        functools.partial(_step, record),
        constant=lambda value: _Array(_constant_axes(value), record.numbers.of_constant(value)),
        unused=lambda aval: _Array(fresh(getattr(aval, "shape", ())), record.numbers.fresh()),
    )


def _step(record: Record, equation: Any, given: list[_Array]) -> Sequence[_Array]:
    match control(equation):
        case Call(body=body):
            return _propagated(body, given, record)
        case Scan() as loop:
            return _numbered(_scan(loop, given, record), record)
        case While() as loop:
            return _numbered(_while(loop, given, record), record)
        case Cond(branches):
            # Any of them may run, so that all of them must allow a permutation.
            results = [_axes(_propagated(branch, given[1:], record)) for branch in branches]
            joined = [_joined(each, record) for each in zip(*results, strict=True)]
            return _numbered(joined, record)
    if (lookups := expanded(equation)) is not None:
        return _propagated(lookups, given, record)
    numbers = [each.number for each in given]
    results = _by_rule(record, equation, _axes(given), numbers)
    found = record.numbers.of_results(equation, numbers)
    return [_Array(*each) for each in zip(results, found, strict=True)]


def _by_rule(
    record: Record, equation: Any, given: list[Axes], numbers: Sequence[int]
) -> Sequence[Axes]:
    name = equation.primitive.name
    shapes = [getattr(variable.aval, "shape", ()) for variable in equation.outvars]
    operands = [_instantiated(axes) for axes in given]
    if name in RULES:
        results = RULES[name](operands, shapes, equation.params)
    else:
        record.unsupported.add(name)
        results = refuse(name, operands, shapes)
    # Of what is sliced only the piece taken counts as read: a leaf that merely lies beside others
    # in one array is not used by their slices.
    for axes in results if name in SLICES else operands:
        for axis in axes:
            mark_read(axis)
    results = [_with_uniform(equation, given, axes) for axes in results]
    chosen = chosen_indices(equation, results, numbers, record.numbers)
    record.steps.append(Step(name, given, results, equation.params, chosen))
    return results


def _instantiated(axes: Axes) -> Axes:
    """An array's axes for one use of it: where it is uniform, they are the use's own."""
    if not any(axis.uniform for axis in axes):
        return axes
    return tuple(Dimension(axis.size) if axis.uniform else axis for axis in axes)


def _with_uniform(equation: Any, given: Sequence[Axes], axes: Axes) -> Axes:
    """A result's axes, those marked along which it is uniform."""
    name = equation.primitive.name
    if name == "broadcast_in_dim":
        kept = {
            place: given[0][number]
            for number, place in enumerate(equation.params["broadcast_dimensions"])
            if given[0][number].size == axes[place].size
        }
        uniform = [n not in kept or kept[n].uniform for n in range(len(axes))]
    elif name in PASSING and any(axis.uniform for axis in given[0]):
        uniform = moved(equation, [axis.uniform for axis in given[0]])
    elif name in ELEMENTWISE:
        # An operand that has no such axis, or one of length 1, is the same all along it.
        uniform = [
            all(its[n].uniform for its in given if len(its) > n and its[n].size == axis.size)
            for n, axis in enumerate(axes)
        ]
    else:
        return axes
    return tuple(
        Dimension(axis.size, uniform=True) if flag and axis.size > 1 else axis
        for axis, flag in zip(axes, uniform, strict=True)
    )


def _constant_axes(value: Any) -> Axes:
    """The axes of an array that is closed over; it is uniform along those where it never varies."""
    try:
        array = np.asarray(value)
    except TypeError:  # a key array, or one that is itself being traced
        return pinned(np.shape(value))
    # Bits rather than numbers: NaN is like NaN, and 0.0 is not like -0.0.
    entries = np.frombuffer(array.tobytes(), np.uint8).reshape(*array.shape, array.itemsize)
    axes = []
    for number, size in enumerate(array.shape):
        varies = array.size and np.any(entries != entries.take([0], axis=number))
        axes.append(Dimension(size, pinned=bool(varies), uniform=not varies and size > 1))
    return tuple(axes)


def _scan(loop: Scan, operands: Sequence[_Array], record: Record) -> Sequence[Axes]:
    shared, first, taken = loop.split(operands)
    carry, sliced = [_instantiated(axes) for axes in _axes(first)], _axes(taken)
    token: dict[str, Any] = {"index": object(), "shifts": False}
    slices = []
    for axes in sliced:
        # Iterations come in an order.
        pin(axes[0])
        mark_read(axes[0])
        slices.append(axes[1:])
        record.steps.append(Step("enter", [axes], [slices[-1]], token))
    inside = _numbered([*carry, *slices], record)
    outputs = _axes(_propagated(loop.body, [*shared, *inside], record))
    token["shifts"] = _shifts(carry, outputs[: loop.carried], slices)
    # What one iteration returns the next one takes: tying the two is the loop's fixed point.
    carry = [_joined(each, record) for each in zip(carry, outputs[: loop.carried], strict=True)]
    stacked = []
    for axes in outputs[loop.carried :]:
        stacked.append((*pinned((loop.length,)), *axes))
        record.steps.append(Step("leave", [axes], [stacked[-1]], token))
    return [*carry, *stacked]


def _shifts(carry: Sequence[Axes], after: Sequence[Axes], slices: Sequence[Axes]) -> bool:
    """Whether an iteration leaves its carry on other units than it found, as its slices have both.

    So does a layer without a residual sum: the units of each layer are its own, though what follows
    ties those of all.
    """
    held = {atom for axes in slices for axis in axes for atom in atoms(axis)}
    for one, other in zip(carry, after, strict=True):
        for before, then in zip(one, other, strict=True):
            ends = {*atoms(before)}, {*atoms(then)}
            if ends[0] != ends[1] and all(held & end for end in ends):
                return True
    return False


def _while(loop: While, operands: Sequence[_Array], record: Record) -> Sequence[Axes]:
    for_condition, for_body, first = loop.split(operands)
    carry = [_instantiated(axes) for axes in _axes(first)]
    # The condition's result has no axes; its equations unify and pin those of the carry.
    _propagated(loop.condition, [*for_condition, *_numbered(carry, record)], record)
    outputs = _axes(_propagated(loop.body, [*for_body, *_numbered(carry, record)], record))
    return [_joined(each, record) for each in zip(carry, outputs, strict=True)]


def _joined(values: Sequence[Axes], record: Record) -> Axes:
    """The axes of a value that is one of several, as a loop's carry and a branch's result are."""
    first, *others = map(_instantiated, values)
    for each in others:
        _unify_all([first], [each])
    record.steps.append(Step("join", values, [first], {}))
    return first


def _unify_all(ones: Sequence[Axes], others: Sequence[Axes]) -> None:
    for one, other in zip(ones, others, strict=True):
        for axis, its in zip(one, other, strict=True):
            unify(axis, its)
