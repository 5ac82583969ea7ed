"""A program with its parameters in slices, each an input: layers of a stack, parts of one matrix.

Where a program takes an axis of a parameter index by index (a scan over stacked layers, one matrix
of queries, keys and values), the slices are parameters of their own, though they lie in one array.
An axis of that array cannot say so: all slices share it, so that what ties the units of one layer
ties those of all. The program is therefore run once more, symbolically, on the slices: operations
act on slices for as long as they keep them apart (`stacks`), a loop over them is unrolled, with its
counter as a number. The result computes what the given program does, by construction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from initlab import checks
from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.equations import run_equation
from initlab.programs.primitives import ELEMENTWISE, MOVES, REDUCTIONS, UNCHANGED
from initlab.programs.trace import trace
from initlab.programs.walk import walk
from initlab.symmetry.stacks import (
    Place,
    Stack,
    places_in,
    run_on_slices,
    squeezed,
    stacked,
    whole,
    window,
)

__all__ = ["unstacked"]

ITERATIONS = 128
"""A longer loop is not unrolled: its layers stay tied."""

FOLDED = 1024
"""Integers of more entries are no counters."""


def unstacked(program: Any, places: Mapping[int, Sequence[Place]]) -> Any:
    """The same program of slices.

    Args:
      program: a closed jaxpr.
      places: for the number of an input the places that it is sliced at, first those of the array,
        then those of each slice, and so on.

    Returns:
      A closed jaxpr whose inputs are those of `program`, each with places replaced by its slices:
      those of its first slice, of its second one, ...
    """
    shapes = [
        jax.ShapeDtypeStruct(
            _slice_shape(variable.aval.shape, places.get(n, ())), variable.aval.dtype
        )
        for n, variable in enumerate(program.jaxpr.invars)
    ]
    counts = [_count(places.get(n, ())) for n in range(len(shapes))]

    def apply(*given: Any) -> list[Any]:
        left = list(given)
        operands = [_assembled(left, places.get(n, ())) for n in range(len(shapes))]
        return [whole(each) for each in _run(program, operands)]

    slices = [shape for shape, count in zip(shapes, counts, strict=True) for _ in range(count)]
    return trace(apply, *slices)[0]


def _slice_shape(shape: Sequence[int], places: Sequence[Place]) -> tuple[int, ...]:
    sizes = list(shape)
    for place in places:
        sizes[place.axis] //= place.size
    return tuple(sizes)


def _count(places: Sequence[Place]) -> int:
    return int(np.prod([place.size for place in places], dtype=int))


def _assembled(left: list[Any], places: Sequence[Place]) -> Any:
    """An input from its slices, which are taken from the front of a list."""
    if not places:
        return left.pop(0)
    return Stack(places[0], tuple(_assembled(left, places[1:]) for _ in range(places[0].size)))


def _run(program: Any, operands: Sequence[Any]) -> list[Any]:
    return walk(
        program,
        operands,
        _step,
        constant=lambda value: value,
        unused=_unused,
    )


def _unused(aval: Any) -> Any:
    """A result of dead code, which is read only where it has no entries, as padding by nothing."""
    shape = getattr(aval, "shape", ())
    return np.zeros(shape, aval.dtype) if 0 in shape else None


def _step(equation: Any, given: list[Any]) -> Sequence[Any]:
    operands = [
        _typed(value, variable.aval) for value, variable in zip(given, equation.invars, strict=True)
    ]
    has_slices = any(isinstance(each, Stack) for each in operands)
    match control(equation):
        case Call(body=body):
            return _run(body, operands)
        case Cond(branches) if _is_known(operands[0]):
            chosen = min(max(int(operands[0]), 0), len(branches) - 1)
            return _run(branches[chosen], operands[1:])
        case Scan() as loop if has_slices:
            return _unrolled(loop, operands) or _sliced_inside(loop, operands)
        case While() as loop if has_slices:
            results = _unrolled_while(loop, operands)
            if results is not None:
                return results
    name = equation.primitive.name
    if name in UNCHANGED:
        return operands
    if name in ("concatenate", "stack"):
        results = _stacked(equation, operands)
        if results is not None:
            return results
    if name == "dynamic_slice" and isinstance(operands[0], Stack):
        results = _at_known_index(equation, operands)
        if results is not None:
            return results
    if _is_folded(equation, operands):
        with jax.ensure_compile_time_eval():
            return [np.asarray(each) for each in run_equation(equation, operands)]
    return run_on_slices(equation, operands)


def _typed(value: Any, aval: Any) -> Any:
    """A number written into the program in the dtype that it has there."""
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return np.asarray(value, aval.dtype)
    return value


def _is_known(value: Any) -> bool:
    return not isinstance(value, Stack) and checks.is_concrete(value)


def _is_folded(equation: Any, operands: Sequence[Any]) -> bool:
    """Whether it is arithmetic of known integers, as of a loop's counter."""
    is_arithmetic = equation.primitive.name in ELEMENTWISE | MOVES | REDUCTIONS | {"iota"}
    return (
        is_arithmetic
        and all(map(_is_known, operands))
        and all(
            variable.aval.size <= FOLDED
            and any(jnp.issubdtype(variable.aval.dtype, kind) for kind in (jnp.integer, jnp.bool_))
            for variable in equation.outvars
        )
    )


def _stacked(equation: Any, operands: Sequence[Any]) -> list[Any] | None:
    """Arrays put together one by one are slices from then on."""
    count = len(operands)
    if equation.primitive.name == "stack":
        axis = equation.params["axis"]
        return [stacked([_expanded(each, axis) for each in operands], Place(axis, 1, count, 1))]
    axis = equation.params["dimension"]
    if count < 2 or any(each.shape[axis] != 1 for each in operands):
        return None
    return [stacked(operands, Place(axis, 1, count, 1))]


def _expanded(value: Any, axis: int) -> Any:
    if isinstance(value, Stack):
        place = value.place
        after = place.on(place.axis + (place.axis >= axis))
        return Stack(after, tuple(_expanded(each, axis) for each in value.pieces))
    return lax.expand_dims(value, (axis,))


def _at_known_index(equation: Any, operands: Sequence[Any]) -> list[Any] | None:
    """A window that a counter places."""
    value, *indices = operands
    sizes = equation.params["slice_sizes"]
    pairs = list(zip(value.shape, sizes, strict=True))
    if not all(_is_known(each) for each, (a, b) in zip(indices, pairs, strict=True) if a != b):
        return None
    starts = [
        0 if a == b else min(max(int(each), 0), a - b)
        for each, (a, b) in zip(indices, pairs, strict=True)
    ]
    limits = [start + size for start, size in zip(starts, sizes, strict=True)]
    return [window(value, starts, limits)]


def _unrolled(loop: Scan, operands: Sequence[Any]) -> list[Any] | None:
    """A scan over slices, or with slices that its counter may choose, iteration by iteration."""
    shared, carry, sliced = loop.split(operands)
    sizes = [place.size for each in (*shared, *carry) for place in places_in(each)]
    is_over = any(place.axis == 0 for each in sliced for place in places_in(each))
    if not 0 < loop.length <= ITERATIONS or not (is_over or loop.length <= max(sizes, default=0)):
        return None
    handed: list[list[Any]] = []
    order = range(loop.length)
    for number in reversed(order) if loop.reverse else order:
        slices = [_index(each, number) for each in sliced]
        results = _run(loop.body, [*shared, *carry, *slices])
        carry = results[: loop.carried]
        handed.append([_expanded(each, 0) for each in results[loop.carried :]])
    if loop.reverse:
        handed.reverse()
    place = Place(0, 1, loop.length, 1)
    return [*carry, *(stacked(each, place) for each in zip(*handed, strict=True))]


def _index(value: Any, number: int) -> Any:
    """One entry of the first axis."""
    if _is_known(value):
        return np.asarray(value)[number] if _is_numeric(value) else value[number]
    shape = value.shape
    starts, limits = [number, *(0 for _ in shape[1:])], [number + 1, *shape[1:]]
    return squeezed(window(value, starts, limits), (0,))


def _is_numeric(value: Any) -> bool:
    return isinstance(getattr(value, "dtype", None), np.dtype)


def _sliced_inside(loop: Scan, operands: Sequence[Any]) -> list[Any]:
    """A scan that stays one, of arrays whose slices lie on other axes than the one it goes along.

    The slices are operands of their own; what is carried is put together at its borders.
    """
    shared, carry, sliced = loop.split(operands)
    along = [whole(each) if 0 in {p.axis for p in places_in(each)} else each for each in sliced]
    flat: list[Any] = []
    forms = [_taken_apart(each, flat) for each in along]

    def body(carry: Any, slices: Any) -> Any:
        left = list(slices)
        inside = [_put_together(form, left) for form in forms]
        results = [whole(each) for each in _run(loop.body, [*shared, *carry, *inside])]
        return tuple(results[: loop.carried]), tuple(results[loop.carried :])

    first = tuple(map(whole, carry))
    last, handed = lax.scan(
        body, first, tuple(flat), loop.length, reverse=loop.reverse, unroll=loop.unroll
    )
    return [*last, *handed]


def _taken_apart(value: Any, flat: list[Any]) -> Any:
    """The form of a value, as places; its slices go to a list."""
    if not isinstance(value, Stack):
        flat.append(value)
        return None
    return value.place.on(value.place.axis - 1), [_taken_apart(e, flat) for e in value.pieces]


def _put_together(form: Any, left: list[Any]) -> Any:
    if form is None:
        return left.pop(0)
    place, forms = form
    return Stack(place, tuple(_put_together(each, left) for each in forms))


def _unrolled_while(loop: While, operands: Sequence[Any]) -> list[Any] | None:
    """A loop whose condition is a matter of known integers, iteration by iteration."""
    for_condition, for_body, carry = loop.split(operands)
    for _ in range(ITERATIONS):
        (more,) = _run(loop.condition, [*for_condition, *carry])
        if not _is_known(more):
            return None
        if not more:
            return carry
        carry = _run(loop.body, [*for_body, *carry])
    return None
