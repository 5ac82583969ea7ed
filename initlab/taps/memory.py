"""The memory of a loop over time: which part of a change of its state a step keeps."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.equations import is_literal
from initlab.programs.primitives import CUSTOM_DERIVATIVES
from initlab.programs.trace import as_function
from initlab.taps.facts import Facts
from initlab.taps.scope import Scope, Site

__all__ = [
    "advance",
    "composed",
    "first_changes",
    "parts_of_state",
    "strided_of",
    "takes_inputs",
    "tangents",
]

Tangents = tuple[list[jax.Array], list[jax.Array]]
"""Two changes of a loop's state, of unit size: whether both change alike says whether it is one
factor for each entry that changes them."""


class _Strided(NamedTuple):
    """Every second slice of an array along time; an associative scan multiplies odd by even.

    Attributes:
      source: the array's facts, which identify it.
      value: the array.
      axis: time.
    """

    source: Facts
    value: Any
    axis: int


def parts_of_state(loop: Scan, carried: Sequence[Facts], sliced: Sequence[Facts]) -> list[int]:
    """Which parts of a loop's state are signals; none of a loop over layers.

    Args:
      loop: the scan.
      carried: facts of its state that hold in every iteration.
      sliced: facts of what it slices.

    Returns:
      Numbers of parts of the state.
    """
    if loop.length < 2 or any(each.is_weight for each in sliced):
        return []
    avals = loop.body.in_avals[loop.shared : loop.shared + loop.carried]
    return [
        number
        for number, (aval, facts) in enumerate(zip(avals, carried, strict=True))
        if facts.data and facts.params and aval.size and jnp.issubdtype(aval.dtype, jnp.floating)
    ]


def takes_inputs(loop: Scan, shared: Sequence[Facts], sliced: Sequence[Facts]) -> bool:
    """Whether every step of a loop takes other data: what it forgets is then what came before.

    Steps that only repeat a function, as towards its fixed point, are layers: they may forget.
    Its own derivative by hand may have no forward mode, so that a loop with one is not followed.
    """
    if not _has_forward_mode(loop.body):
        return False
    if any(each.data for each in sliced):
        return True
    data = {
        variable
        for variable, facts in zip(loop.body.jaxpr.invars, shared, strict=False)
        if facts.data
    }
    return any(
        equation.primitive.name in ("dynamic_slice", "gather")
        and not is_literal(equation.invars[0])
        and equation.invars[0] in data
        for equation in loop.body.jaxpr.eqns
    )


def _has_forward_mode(program: Any) -> bool:
    for equation in program.jaxpr.eqns:
        match control(equation):
            case Call(body=body):
                if equation.primitive.name in CUSTOM_DERIVATIVES - {"custom_jvp_call"}:
                    return False
                inner = [body]
            case Scan(body=body):
                inner = [body]
            case While(body=body, condition=condition):
                inner = [body, condition]
            case Cond(branches=branches):
                inner = list(branches)
            case _:
                inner = []
        if not all(map(_has_forward_mode, inner)):
            return False
    return True


def tangents(parts: Sequence[Any]) -> Tangents:
    """Two random changes of a state, of unit size each."""

    def draw(seed: int) -> list[jax.Array]:
        keys = jax.random.split(jax.random.key(seed), len(parts))
        drawn = [
            jax.random.normal(key, jnp.shape(part), part.dtype)
            for key, part in zip(keys, parts, strict=True)
        ]
        size = _norm(drawn)
        return [each / size.astype(each.dtype) for each in drawn]

    return draw(0), draw(1)


def first_changes(loop: Scan, state: Sequence[Any], parts: Sequence[int]) -> tuple[Any, ...]:
    """Two changes of a loop's state before its first step: None for what is no part of it.

    Args:
      loop: the scan.
      state: its carry.
      parts: which entries of the carry are signals.

    Returns:
      Two lists, as long as the carry.
    """
    return tuple(
        [change[parts.index(n)] if n in parts else None for n in range(loop.carried)]
        for change in tangents([state[n] for n in parts])
    )


def advance(
    loop: Scan, shared: Sequence[Any], state: Sequence[Any], xs: Sequence[Any], changes: Tangents
) -> tuple[Tangents, tuple[jax.Array, jax.Array]]:
    """The changes one step later: `J v / |J v|`, J the derivative of the next state by this one.

    Args:
      loop: the scan.
      shared: what all of its steps take.
      state: its state; parts without a change are None in `changes`.
      xs: what this step takes.
      changes: of each part of the state, None for one that is no signal.

    Returns:
      The changes, and the logarithm of |J v| with whether J multiplies each entry by itself.
    """
    chosen = [n for n, each in enumerate(changes[0]) if each is not None]
    held = jax.lax.stop_gradient([*shared, *state, *xs])
    run = as_function(loop.body)

    def step(*parts: Any) -> list[Any]:
        given = list(held)
        for number, part in zip(chosen, parts, strict=True):
            given[loop.shared + number] = part
        results = run(*given)
        return [results[number] for number in chosen]

    _, push = jax.linearize(step, *(held[loop.shared + number] for number in chosen))
    one, other = ([each[number] for number in chosen] for each in changes)
    after, beside = push(*one), push(*other)
    size = _norm(after)
    crossed = [(a * w, b * v) for a, b, v, w in zip(after, beside, one, other, strict=True)]
    apart = _norm([a - b for a, b in crossed])
    is_diagonal = apart <= 1e-3 * _norm([a for a, _ in crossed])
    scale = jnp.where(size > 0, size, 1)

    def placed(parts: Sequence[Any]) -> list[Any]:
        by_number = dict(zip(chosen, parts, strict=True))
        return [
            by_number[n] / scale.astype(by_number[n].dtype) if n in by_number else None
            for n in range(len(changes[0]))
        ]

    return (placed(after), placed(beside)), (jnp.log(size), is_diagonal)


def _norm(parts: Sequence[Any]) -> jax.Array:
    squares = [jnp.sum(jnp.square(part.astype(jnp.float32))) for part in parts]
    return jnp.sqrt(functools.reduce(jnp.add, squares))


def _decay_statistics(strided: _Strided) -> dict[str, jax.Array]:
    """Of the decays of an associative scan their rms, and the memory of the slowest."""
    decays = jnp.abs(jax.lax.stop_gradient(strided.value)).astype(jnp.float32)
    each = jnp.mean(jnp.log(decays), axis=strided.axis)
    return {
        "rms": jnp.sqrt(jnp.mean(jnp.square(decays))),
        "memory": jnp.max(each),
        "diagonal": jnp.asarray(True),
    }


def strided_of(equation: Any, value: Any, facts: Facts) -> _Strided | None:
    """Every second slice of a value along an axis that is none of units, or None.

    Args:
      equation: a move.
      value: what it moves.
      facts: what is known of that.

    Returns:
      The slice, if the equation takes it and the value depends on parameters.
    """
    strides = equation.params.get("strides") if equation.primitive.name == "slice" else None
    axes = [axis for axis, stride in enumerate(strides or ()) if stride == 2]
    if len(axes) != 1 or facts.features[axes[0]] or not facts.params or facts.is_composed:
        return None
    return _Strided(facts, value, axes[0])


def composed(
    equation: Any, operands: list[Facts], result: Facts, scope: Scope, where: str
) -> Facts:
    """The result of an operation; the first level of an associative scan is a place.

    There the decays of neighbouring steps are multiplied, whose memory is measured; what is such a
    product already belongs to the levels after it.

    Args:
      equation: an elementwise operation.
      operands: the facts of its operands.
      result: the facts of its result.
      scope: gains the place.
      where: the model's own name for it.

    Returns:
      The facts of the result.
    """
    if equation.primitive.name != "mul":
        return result
    if all(facts.is_composed for facts in operands):
        return dataclasses.replace(result, is_composed=True)
    one, other = (facts.strided for facts in operands)
    if one is None or other is None:
        return result
    if one.source is not other.source or one.axis != other.axis:
        return result
    number = scope.add(Site("state", one.source.names, where, gradient=False))
    if scope.measures:
        scope.results[scope.key(number)] = _decay_statistics(one)
    return dataclasses.replace(result, is_composed=True)
