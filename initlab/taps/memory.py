"""The memory of a loop over time: which part of a change of its state a step keeps."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from initlab.programs.control import Scan, While
from initlab.programs.equations import all_equations
from initlab.programs.primitives import CUSTOM_DERIVATIVES
from initlab.programs.trace import as_function
from initlab.taps.facts import Facts
from initlab.taps.recurrence import components, takes_slices
from initlab.taps.scope import Scope, Site

__all__ = [
    "advance",
    "composed",
    "first_changes",
    "followed",
    "parts_of_state",
    "place",
    "strided_of",
    "takes_inputs",
    "tangents",
]

BACKWARD_ONLY = CUSTOM_DERIVATIVES - {"custom_jvp_call"}
"""Calls whose derivative by hand has reverse mode alone."""

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


def takes_inputs(
    loop: Scan | While,
    shared: Sequence[Facts],
    carried: Sequence[Facts],
    sliced: Sequence[Facts] = (),
) -> bool:
    """Whether every step of a loop takes other data: what it forgets is then what came before.

    Steps that only repeat a function, as towards its fixed point, are layers: they may forget.
    """
    if any(each.data for each in sliced):
        return True
    inputs, outputs = loop.body.jaxpr.invars, loop.body.jaxpr.outvars
    # What is carried on as it is may hold the inputs too.
    kept = [facts.data and outputs[n] is inputs[len(shared) + n] for n, facts in enumerate(carried)]
    flags = [*(facts.data for facts in shared), *kept, *(False for _ in sliced)]
    return takes_slices(loop.body, flags)


def _can_be_followed(
    body: Any, shared: Sequence[Any], state: Sequence[Any], xs: Sequence[Any], parts: Sequence[int]
) -> bool:
    """Whether a step has a derivative that a change can be pushed through; found by trying."""

    def push_once(given: Sequence[Any]) -> Any:
        shared, state, xs = given
        return _push(body, shared, state, xs, parts)(*(state[number] for number in parts))

    try:
        jax.eval_shape(push_once, ([*shared], [*state], [*xs]))
    # JAX raises any of these of a kernel or a callback without a derivative. Nothing else is tried
    # here than the derivative of the author's own step, and `followed` notes what has none.
    except (NotImplementedError, TypeError, ValueError):
        return False
    return True


def followed(
    body: Any, given: Any, parts: Sequence[int], after: Sequence[Facts], scope: Scope
) -> list[list[int]]:
    """The parts of a state whose memory is measured, those together that are one recurrence.

    Args:
      body: of the loop, closed.
      given: what all of its steps take, its state, and what one step takes besides.
      parts: which entries of the state are signals.
      after: the facts of the next state.
      scope: its notes gain what cannot be measured.

    Returns:
      Sets of parts.
    """
    shared, state, xs = given
    found = components(body, len(shared), parts)
    kept = [each for each in found if _can_be_followed(body, shared, state, xs, each)]
    lost = [after[each[0]] for each in found if each not in kept]
    scope.notes.not_followed |= {each.kept or each.names for each in lost}
    return kept


def place(scope: Scope, value: Any, facts: Facts, growths: Any, times: int = 1) -> Facts:
    """A state after the last step of a loop over time: a place, with the loop's memory.

    Args:
      scope: gains the place.
      value: the state.
      facts: what is known of it.
      growths: logarithms, and flags, of `advance` at each step; None where it was not followed.
      times: how many steps in time a step of the loop is, as of a chunk.

    Returns:
      Its facts there.
    """
    number = scope.add(Site("state", facts.kept or facts.names, "", gradient=False))
    scope.visit(number, value, facts)
    key = scope.key(number)
    if growths is not None:
        logs, is_diagonal = growths
        memory = jnp.mean(logs) / times
        # Only of entries that are kept each by itself is a slow one like the others.
        fastest = jnp.where(jnp.all(is_diagonal), memory, jnp.nan)
        scope.results[key] |= {"memory": memory, "fastest": fastest}
    return facts.at(key)


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


def first_changes(state: Sequence[Any], parts: Sequence[int]) -> tuple[Any, ...]:
    """Two changes of a loop's state before its first step: None for what is no part of it.

    Args:
      state: its carry.
      parts: which entries of the carry are signals.

    Returns:
      Two lists, as long as the carry.
    """
    return tuple(
        [change[parts.index(n)] if n in parts else None for n in range(len(state))]
        for change in tangents([state[n] for n in parts])
    )


def advance(
    body: Any, shared: Sequence[Any], state: Sequence[Any], xs: Sequence[Any], changes: Tangents
) -> tuple[Tangents, tuple[jax.Array, jax.Array]]:
    """The changes one step later: `J v / |J v|`, J the derivative of the next state by this one.

    Args:
      body: of the loop, closed.
      shared: what all of its steps take.
      state: its state; parts without a change are None in `changes`.
      xs: what this step takes.
      changes: of each part of the state, None for one that is no signal.

    Returns:
      The changes, and the logarithm of |J v| with whether J multiplies each entry by itself.
    """
    chosen = [n for n, each in enumerate(changes[0]) if each is not None]
    push = _push(body, shared, state, xs, chosen)
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


def _push(
    body: Any, shared: Sequence[Any], state: Sequence[Any], xs: Sequence[Any], chosen: Sequence[int]
) -> Callable:
    """`v -> J v`, J the derivative of chosen parts of the next state by the same parts of this."""
    held = jax.lax.stop_gradient([*shared, *state, *xs])
    run = as_function(body)

    def step(*parts: Any) -> list[Any]:
        given = list(held)
        for number, part in zip(chosen, parts, strict=True):
            given[len(shared) + number] = part
        results = run(*given)
        return [results[number] for number in chosen]

    return _derivative(body, step, [held[len(shared) + number] for number in chosen])


def _derivative(body: Any, step: Callable, state: Sequence[Any]) -> Callable:
    """`v -> J v`; where a derivative is written by hand, of reverse mode alone, by transposing it.

    The cotangents' map `u -> J^T u` is linear, so that its own transpose is J.
    """
    if not any(each.primitive.name in BACKWARD_ONLY for each in all_equations(body)):
        return jax.linearize(step, *state)[1]
    outputs, pull = jax.vjp(step, *state)
    _, transposed = jax.vjp(pull, jax.tree.map(jnp.zeros_like, outputs))
    return lambda *change: transposed(tuple(change))[0]


def _norm(parts: Sequence[Any]) -> jax.Array:
    squares = [jnp.sum(jnp.square(part.astype(jnp.float32))) for part in parts]
    return jnp.sqrt(functools.reduce(jnp.add, squares))


def _decay_statistics(strided: _Strided) -> dict[str, jax.Array]:
    """Of the decays of an associative scan their rms, and the memory of the slowest and fastest."""
    decays = jnp.abs(jax.lax.stop_gradient(strided.value)).astype(jnp.float32)
    each = jnp.mean(jnp.log(decays), axis=strided.axis)
    return {
        "rms": jnp.sqrt(jnp.mean(jnp.square(decays))),
        "memory": jnp.max(each),
        "fastest": jnp.min(each),
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
