"""A program followed equation by equation: which axes one permutation must move together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from initlab.programs.equations import (
    inner_program,
    is_literal,
    live_equations,
    scan_counts,
)
from initlab.symmetry.dimensions import equate, mark_read, pin
from initlab.symmetry.primitive_rules import RULES, SLICES
from initlab.symmetry.rule_types import Axes, fresh, pinned, refuse

__all__ = ["follow"]


def follow(program: Any, inputs: Sequence[Axes], untold: set[str]) -> list[Axes]:
    """Carries axes through a program.

    Args:
      program: a closed jaxpr.
      inputs: the axes of each of its inputs.
      untold: gains the names of primitives without a rule.

    Returns:
      The axes of each output. The inputs' axes are set equal and pinned in place.
    """
    known: dict[Any, Axes] = {}

    def axes_of(variable: Any) -> Axes:
        return _constant_axes(variable.val) if is_literal(variable) else known[variable]

    known.update(zip(program.jaxpr.constvars, map(_constant_axes, program.consts), strict=True))
    known.update(zip(program.jaxpr.invars, inputs, strict=True))
    live = live_equations(program.jaxpr)
    for equation, used in zip(program.jaxpr.eqns, live, strict=True):
        shapes = [getattr(variable.aval, "shape", ()) for variable in equation.outvars]
        if used:
            operands = [axes_of(variable) for variable in equation.invars]
            results = _step(equation, operands, shapes, untold)
        else:
            results = map(fresh, shapes)
        known.update(zip(equation.outvars, results, strict=True))
    return [axes_of(variable) for variable in program.jaxpr.outvars]


def _step(
    equation: Any, operands: Sequence[Axes], shapes: Sequence[tuple[int, ...]], untold: set[str]
) -> Sequence[Axes]:
    name = equation.primitive.name
    if name in CONTROL:
        return CONTROL[name](equation.params, operands, untold)
    if name in RULES:
        results = RULES[name](operands, shapes, equation.params)
    else:
        untold.add(name)
        results = refuse(name, operands, shapes)
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


def _call(params: Mapping[str, Any], operands: Sequence[Axes], untold: set[str]) -> Sequence[Axes]:
    return follow(inner_program(params), operands, untold)


def _scan(params: Mapping[str, Any], operands: Sequence[Axes], untold: set[str]) -> Sequence[Axes]:
    consts, carried = scan_counts(params)
    state, stacked = operands[consts : consts + carried], operands[consts + carried :]
    for axes in stacked:
        pin(axes[0])
        mark_read(axes[0])
    inputs = [*operands[: consts + carried], *(axes[1:] for axes in stacked)]
    outputs = follow(params["jaxpr"], inputs, untold)
    _tie(state, outputs[:carried])
    # What is stacked runs over the steps, in their order.
    length = fresh((params["length"],))
    pin(length[0])
    return [*state, *((*length, *axes) for axes in outputs[carried:])]


def _while(params: Mapping[str, Any], operands: Sequence[Axes], untold: set[str]) -> Sequence[Axes]:
    first, second = params["cond_nconsts"], params["body_nconsts"]
    state = list(operands[first + second :])
    follow(params["cond_jaxpr"], [*operands[:first], *state], untold)
    outputs = follow(params["body_jaxpr"], [*operands[first : first + second], *state], untold)
    _tie(state, outputs)
    return state


def _cond(params: Mapping[str, Any], operands: Sequence[Axes], untold: set[str]) -> Sequence[Axes]:
    branches = [follow(branch, operands[1:], untold) for branch in params["branches"]]
    for branch in branches[1:]:
        _tie(branches[0], branch)
    return branches[0]


def _tie(ones: Sequence[Axes], others: Sequence[Axes]) -> None:
    for one, other in zip(ones, others, strict=True):
        for axis, same in zip(one, other, strict=True):
            equate(axis, same)


CALLS = """
    call checkpoint closed_call composite custom_jvp_call custom_vjp_call custom_vmap_call jit
    linear_call pjit remat2
"""

CONTROL: dict[str, Callable[..., Sequence[Axes]]] = {
    **dict.fromkeys(CALLS.split(), _call),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
"""What runs programs of its own, which are followed too."""
