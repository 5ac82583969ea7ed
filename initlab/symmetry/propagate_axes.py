"""Axes carried through a program: which of them one permutation must move together."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.primitives import SLICES
from initlab.programs.walk import walk
from initlab.symmetry.dimensions import mark_read, pin, unify
from initlab.symmetry.primitive_rules import RULES
from initlab.symmetry.rule_types import Axes, fresh, pinned, refuse

__all__ = ["propagate_axes"]


def propagate_axes(program: Any, inputs: Sequence[Axes], unsupported: set[str]) -> list[Axes]:
    """Carries axes through a program; type inference by unification, with axes for types.

    One pass is enough, also through loops: unification does not depend on the order in which
    equations are read, and what a later equation ties is tied for the earlier ones too.

    Args:
      program: a closed jaxpr.
      inputs: the axes of each of its inputs.
      unsupported: gains the names of primitives without a rule.

    Returns:
      The axes of each output. The inputs' axes are unified and pinned in place.
    """
    return walk(
        program,
        inputs,
        functools.partial(_step, unsupported),
        constant=_constant_axes,
        unused=lambda aval: fresh(getattr(aval, "shape", ())),
    )


def _step(unsupported: set[str], equation: Any, operands: list[Axes]) -> Sequence[Axes]:
    match control(equation):
        case Call(body=body):
            return propagate_axes(body, operands, unsupported)
        case Scan() as loop:
            return _scan(loop, operands, unsupported)
        case While() as loop:
            return _while(loop, operands, unsupported)
        case Cond(branches):
            # Any of them may run, so that all of them must allow a permutation.
            results = [propagate_axes(branch, operands[1:], unsupported) for branch in branches]
            for each in results[1:]:
                _unify_all(results[0], each)
            return results[0]
    name = equation.primitive.name
    shapes = [getattr(variable.aval, "shape", ()) for variable in equation.outvars]
    if name in RULES:
        results = RULES[name](operands, shapes, equation.params)
    else:
        unsupported.add(name)
        results = refuse(name, operands, shapes)
    # Of what is sliced only the piece taken counts as read: a leaf that merely lies beside others
    # in one array is not used by their slices.
    for axes in results if name in SLICES else operands:
        for axis in axes:
            mark_read(axis)
    return results


def _constant_axes(value: Any) -> Axes:
    """The axes of an array that is closed over; those along which it does not vary stay free."""
    axes = fresh(np.shape(value))
    try:
        array = np.asarray(value)
    except TypeError:  # a key array, or one that is itself being traced
        return pinned(np.shape(value))
    # Bits rather than numbers: NaN is like NaN, and 0.0 is not like -0.0.
    entries = np.frombuffer(array.tobytes(), np.uint8).reshape(*array.shape, array.itemsize)
    for number, axis in enumerate(axes):
        if array.size and np.any(entries != entries.take([0], axis=number)):
            pin(axis)
    return axes


def _scan(loop: Scan, operands: Sequence[Axes], unsupported: set[str]) -> Sequence[Axes]:
    shared, carry, sliced = loop.split(operands)
    for axes in sliced:
        # Iterations come in an order.
        pin(axes[0])
        mark_read(axes[0])
    inputs = [*shared, *carry, *(axes[1:] for axes in sliced)]
    outputs = propagate_axes(loop.body, inputs, unsupported)
    # What one iteration returns the next one takes: tying the two is the loop's fixed point.
    _unify_all(carry, outputs[: loop.carried])
    (length,) = pinned((loop.length,))
    return [*carry, *((length, *axes) for axes in outputs[loop.carried :])]


def _while(loop: While, operands: Sequence[Axes], unsupported: set[str]) -> Sequence[Axes]:
    for_condition, for_body, carry = loop.split(operands)
    # The condition's result has no axes; its equations unify and pin those of the carry.
    propagate_axes(loop.condition, [*for_condition, *carry], unsupported)
    outputs = propagate_axes(loop.body, [*for_body, *carry], unsupported)
    _unify_all(carry, outputs)
    return carry


def _unify_all(ones: Sequence[Axes], others: Sequence[Axes]) -> None:
    for one, other in zip(ones, others, strict=True):
        for axis, its in zip(one, other, strict=True):
            unify(axis, its)
