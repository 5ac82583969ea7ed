"""While loops, which have no reverse mode: what is inside is not measured, but for their memory."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.programs.control import While
from initlab.programs.equations import run_equation
from initlab.programs.trace import as_function
from initlab.taps import memory
from initlab.taps.facts import Facts, Pair, join
from initlab.taps.loops import Evaluate, entering
from initlab.taps.notes import Notes
from initlab.taps.scope import Scope

__all__ = ["repeat"]


def repeat(
    evaluate: Evaluate, equation: Any, loop: While, operands: list[Pair], scope: Scope
) -> list[Pair]:
    """Runs a while loop forward only; the memory of one that takes inputs is measured on the way.

    Args:
      evaluate: reads a step for what its state is multiplied by.
      equation: the while.
      loop: what it holds.
      operands: its operands.
      scope: its notes gain the loop, and it gains a place for each part of the state.

    Returns:
      Its results.
    """
    facts = [each for _, each in operands]
    if any(each.params or each.data for each in facts):
        scope.notes.untracked["while"] = "a while loop: no gradients through it, no sites inside"
    # value_and_grad would refuse the loop; behind stop_gradient it is run forward only.
    values = [
        jax.lax.stop_gradient(value) if hasattr(value, "dtype") else value for value, _ in operands
    ]
    _, shared, state = loop.split(facts)
    after = [_after(each, facts) for each in state]
    parts = [
        n
        for n, (each, variable) in enumerate(zip(after, equation.outvars, strict=True))
        if each.data and each.params and jnp.issubdtype(variable.aval.dtype, jnp.floating)
    ]
    followed: list[list[int]] = []
    if memory.takes_inputs(loop, shared, state):
        _, given, first = loop.split(values)
        followed = memory.followed(loop.body, (given, first, []), parts, after, scope)
    if followed and scope.plan is None:
        after = _with_factors(evaluate, loop, shared, after, followed)
    growths: list[Any] = [None for _ in followed]
    if followed and scope.follow and scope.plan is not None:
        results, growths = _run(loop, values, followed)
    else:
        results = run_equation(equation, values)
    by_part = {each[0]: growth for each, growth in zip(followed, growths, strict=True)}
    for part in parts:
        after[part] = memory.place(scope, results[part], after[part], by_part.get(part))
    return list(zip(results, after, strict=True))


def _after(state: Facts, facts: list[Facts]) -> Facts:
    joined = join(facts, (0,) * len(state.features))
    return dataclasses.replace(joined, differentiable=0, live=frozenset(), features=state.features)


def _with_factors(
    evaluate: Evaluate,
    loop: While,
    shared: Sequence[Facts],
    after: Sequence[Facts],
    followed: Sequence[Sequence[int]],
) -> list[Facts]:
    """The facts of a state, with the parameters that multiply what is followed of it in a step."""
    parts = {part for each in followed for part in each}
    state = [dataclasses.replace(each, recurrent=n in parts) for n, each in enumerate(after)]
    known = [*map(entering, shared), *state]
    cell: list[int] = []

    def step(values: Any) -> None:
        # Read for its facts alone: no place of it is measured.
        results = evaluate(loop.body, list(zip(values, known, strict=True)), Scope(Notes(0)))
        cell[:] = [each.kept for _, each in results]

    jax.eval_shape(step, loop.body.in_avals)
    return [dataclasses.replace(each, kept=kept) for each, kept in zip(after, cell, strict=True)]


def _run(loop: While, values: list[Any], followed: list[list[int]]) -> tuple[list[Any], list[Any]]:
    """The loop's results, and of each followed set of parts its mean growth of every step."""
    for_condition, shared, first = loop.split(values)
    condition, run = as_function(loop.condition), as_function(loop.body)
    avals = [each.aval for each in loop.body.jaxpr.outvars]
    first = [jnp.asarray(value, each.dtype) for value, each in zip(first, avals, strict=True)]

    def step(carry: Any) -> Any:
        state, changes, sums, are_diagonal, count = carry
        moved = [memory.advance(loop.body, shared, state, [], each) for each in changes]
        logs, flags = ([each[n] for _, each in moved] for n in (0, 1))
        sums = [total + log for total, log in zip(sums, logs, strict=True)]
        are_diagonal = [one & other for one, other in zip(are_diagonal, flags, strict=True)]
        after = list(run(*shared, *state))
        return after, [each for each, _ in moved], sums, are_diagonal, count + 1

    start = (
        first,
        [memory.first_changes(first, each) for each in followed],
        [jnp.zeros((), jnp.float32) for _ in followed],
        [jnp.ones((), bool) for _ in followed],
        jnp.zeros((), jnp.float32),
    )
    results, _, sums, are_diagonal, count = jax.lax.while_loop(
        lambda carry: condition(*for_condition, *carry[0])[0], step, start
    )
    # A loop that never ran has no memory: 0 / 0.
    return results, [(total / count, flag) for total, flag in zip(sums, are_diagonal, strict=True)]
