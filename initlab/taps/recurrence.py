"""Which parts of a loop's state remember: those that a step computes from themselves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from initlab.programs.control import Call, control
from initlab.programs.equations import is_real
from initlab.programs.primitives import MOVES, UNCHANGED
from initlab.programs.walk import walk

__all__ = ["components", "takes_slices"]

WRITES = MOVES | UNCHANGED | {"concatenate", "dynamic_update_slice", "gather", "pad", "scatter"}
WRITES |= {"convert_element_type", "select_n", "stack", "unstack"}
"""What leaves entries as they were, in the same or in another place."""

SUMS = {"add", "add_any", "sub"}


class _Origin(NamedTuple):
    """The parts of the state that an array is computed from, and those that it holds unchanged."""

    computed: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()

    @property
    def all(self) -> frozenset[int]:
        return self.computed | self.held


def components(body: Any, shared: int, parts: Sequence[int]) -> list[list[int]]:
    """The parts of a state that depend on one another, each set with a memory of its own.

    They are the strongly connected components of "the next i depends on j", so that the derivative
    of a step is block triangular in them, and each block has a growth of its own. A part that is
    only carried on, written into, added to or shifted (a constant, a buffer of outputs, a sum, the
    latest inputs) keeps what it holds by design: it is in none.

    Args:
      body: of a loop, closed: `(*shared, *state, ...) -> (*state, ...)`.
      shared: how many operands come before the state.
      parts: which entries of the state are of interest.

    Returns:
      The components, in the order of their first parts.
    """
    variables = body.jaxpr.invars
    operands = [_Origin(held=frozenset({n - shared})) for n in range(len(variables))]
    operands = [
        each if n - shared in parts and is_real(variable.aval) else _Origin()
        for n, (each, variable) in enumerate(zip(operands, variables, strict=True))
    ]
    results = walk(body, operands, _step, constant=lambda _: _Origin(), unused=lambda _: _Origin())
    after = {part: results[part] for part in parts}
    reached = {part: _reached(part, after) for part in parts}
    found: list[list[int]] = []
    for part in parts:
        if any(part in each for each in found):
            continue
        circle = [other for other in parts if other in reached[part] and part in reached[other]]
        if any(after[one].computed & set(circle) for one in circle):
            found.append(circle)
    return found


def _reached(part: int, after: dict[int, _Origin]) -> set[int]:
    """All that the next value of a part depends on, over any number of steps."""
    seen: set[int] = set()
    waiting = [part]
    while waiting:
        new = after[waiting.pop()].all - seen
        seen |= new
        waiting += new
    return seen


def _step(equation: Any, operands: list[_Origin]) -> list[_Origin]:
    held = control(equation)
    if isinstance(held, Call):
        return walk(
            held.body, operands, _step, constant=lambda _: _Origin(), unused=lambda _: _Origin()
        )
    name = equation.primitive.name
    found = _Origin(frozenset[int]().union(*(each.all for each in operands)))
    if name in WRITES or name in SUMS:
        computed = frozenset[int]().union(*(each.computed for each in operands))
        if name in SUMS:
            # Added to itself, or to what is made of it, a part does not keep what it held.
            computed |= operands[0].all & operands[1].all
        found = _Origin(computed, frozenset[int]().union(*(each.held for each in operands)))
    # No derivative passes it.
    if name == "stop_gradient":
        found = _Origin()
    return [found if is_real(each.aval) else _Origin() for each in equation.outvars]


def takes_slices(body: Any, flags: Sequence[bool]) -> bool:
    """Whether a program takes a slice, by a number, of an array that is flagged or made of one.

    Args:
      body: a closed jaxpr.
      flags: of each of its inputs.

    Returns:
      Whether it does, itself or in a call; what an inner loop takes is that loop's.
    """
    found = [False]

    def step(equation: Any, operands: list[bool]) -> list[bool]:
        held = control(equation)
        if isinstance(held, Call):
            return walk(held.body, operands, step, constant=bool_of, unused=bool_of)
        if equation.primitive.name in ("dynamic_slice", "gather") and operands[0]:
            found[0] = True
        return [any(operands) for _ in equation.outvars]

    def bool_of(_: Any) -> bool:
        return False

    walk(body, flags, step, constant=bool_of, unused=bool_of)
    return found[0]
