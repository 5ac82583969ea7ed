"""Loops and branches, rebuilt around what is measured inside them."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab.jaxprs import run_equation, scan_counts
from initlab.taps.known import Known, join
from initlab.taps.scope import Scope

__all__ = ["branch", "repeat", "scan"]

Pair = tuple[Any, Known]
Walk = Callable[[Any, Sequence[Pair], Scope], list[Pair]]


def scan(walk: Walk, equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A scan whose body also gives what is measured, stacked over its iterations.

    Args:
      walk: reads the body.
      equation: the scan.
      operands: its operands.
      scope: gains the body's scope.

    Returns:
      Its results.
    """
    params = equation.params
    constants, carries = scan_counts(params)
    first = constants + carries
    values = [value for value, _ in operands]
    knowns = [_entering(known) for _, known in operands]
    slices = [_slice(known) for known in knowns[first:]]
    for known in knowns[first:]:
        scope.notes.stacked |= known.params if known.is_weight else 0
    number = scope.add([])
    seen: dict[str, Any] = {}

    def body(carried: Sequence[Known], plan: Scope | None, state: Any, given: Any) -> Any:
        xs, slots = given
        inner = scope.inner(number, 0, plan, slots)
        held, known = [*values[:constants], *state, *xs], [*knowns[:constants], *carried, *slices]
        out = walk(params["jaxpr"], list(zip(held, known, strict=True)), inner)
        for value, each in out:
            inner.end(value, each, "")
        seen["scope"], seen["out"] = inner, [_entering(each) for _, each in out]
        results = [_typed(value, each) for (value, _), each in zip(out, avals, strict=True)]
        return results[:carries], (results[carries:], inner.results)

    avals = [each.aval for each in params["jaxpr"].jaxpr.outvars]
    state = [_typed(*each) for each in zip(values[constants:first], avals, strict=False)]
    if scope.plan is None:
        carried = knowns[constants:first]
        while True:
            each = [jax.eval_shape(lambda x: x[0], x) for x in values[first:]]
            jax.eval_shape(functools.partial(body, carried, None), state, (each, {}))
            settled = [_again(*pair, knowns) for pair in zip(carried, seen["out"], strict=False)]
            if [_facts(known) for known in settled] == [_facts(known) for known in carried]:
                break
            carried = settled
        plan, slots = seen["scope"], {}
        plan.repeats, plan.carried = params["length"], carried
        gains = [b.norms - a.norms for a, b in zip(carried, seen["out"], strict=False) if a.data]
        plan.norms_gained = max(0, min(gains, default=0))
    else:
        (plan,) = scope.plan.scopes(number)
        slots = scope.slots.get(number, {})
    state, (stacked, results) = jax.lax.scan(
        functools.partial(body, plan.carried, plan if scope.plan else None),
        state,
        (values[first:], slots),
        params["length"],
        reverse=params["reverse"],
        unroll=params["unroll"],
    )
    scope.entries[number], scope.results[number] = [plan], [results]
    pairs = []
    gained = plan.norms_gained * (params["length"] - 1)
    for n, (value, known) in enumerate(zip([*state, *stacked], seen["out"], strict=True)):
        features = known.features if n < carries else (False, *known.features)
        known = dataclasses.replace(known, features=features, norms=known.norms + gained)
        pairs.append((value, known))
    return pairs


def _typed(value: Any, aval: Any) -> Any:
    """A number written into the program as the array that a loop carries."""
    return jnp.asarray(value, aval.dtype) if jnp.ndim(value) == 0 else value


def _again(before: Known, after: Known, operands: Sequence[Known]) -> Known:
    """What is known of a loop's state at the start of any iteration."""
    above = before.above
    if after.data and not before.data:
        inside = [known.above for known in operands if known.data]
        above = functools.reduce(operator.and_, inside) if inside else frozenset()
    return dataclasses.replace(
        before,
        params=before.params | after.params,
        open=before.open | after.open,
        data=before.data or after.data,
        features=tuple(a or b for a, b in zip(before.features, after.features, strict=True)),
        names=before.names or after.names,
        above=above,
        uniform=None,
        scales=before.scales and after.scales,
        factors=before.factors & after.factors,
    )


def _facts(known: Known) -> tuple[Any, ...]:
    origin = known.params, known.open, known.data, known.scales, known.factors
    return *origin, known.features, known.names, known.above


def branch(walk: Walk, equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A cond whose branches also give what is measured; NaN in those that are not taken.

    Args:
      walk: reads a branch.
      equation: the cond.
      operands: its operands, the index first.
      scope: gains a scope for each branch.

    Returns:
      Its results.
    """
    branches = equation.params["branches"]
    (index, _), *rest = operands
    values, knowns = [value for value, _ in rest], [_entering(known) for _, known in rest]
    number = scope.add([])
    numbers = range(len(branches))
    plans: list[Scope | None] = [None] * len(branches)
    slots: list[Any] = [{} for _ in branches]
    if scope.plan is not None:
        plans = list(scope.plan.scopes(number))
        slots = scope.slots.get(number, slots)
    seen: dict[int, Any] = {}

    def alone(n: int, values: Any, slots: Any) -> Any:
        inner = scope.inner(number, n, plans[n], slots[n])
        out = walk(branches[n], list(zip(values, knowns, strict=True)), inner)
        for value, known in out:
            inner.end(value, known, "")
        seen[n] = inner, [_entering(known) for _, known in out]
        avals = [each.aval for each in branches[n].jaxpr.outvars]
        results = [_typed(value, each) for (value, _), each in zip(out, avals, strict=True)]
        return results, inner.results

    shapes = [jax.eval_shape(functools.partial(alone, n), values, slots)[1] for n in numbers]

    def taken(n: int) -> Callable:
        def run(values: Any, slots: Any) -> Any:
            results, measured = alone(n, values, slots)
            return results, [
                measured if m == n else _nothing(each) for m, each in enumerate(shapes)
            ]

        return run

    results, measured = jax.lax.switch(index, [taken(n) for n in numbers], values, slots)
    scope.entries[number] = [seen[n][0] for n in numbers]
    scope.results[number] = measured
    return [
        (value, dataclasses.replace(join(each, value.shape), features=_common(each)))
        for value, *each in zip(results, *(seen[n][1] for n in numbers), strict=True)
    ]


def _common(knowns: Sequence[Known]) -> tuple[bool, ...]:
    return tuple(any(column) for column in zip(*(known.features for known in knowns), strict=True))


def _nothing(shapes: Any) -> Any:
    def blank(each: Any) -> jax.Array:
        is_real = jnp.issubdtype(each.dtype, jnp.floating)
        return jnp.full(each.shape, jnp.nan if is_real else 0, each.dtype)

    return jax.tree.map(blank, shapes)


def repeat(walk: Walk, equation: Any, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A while loop, through which no gradient comes back: nothing inside it is measured.

    Args:
      walk: not used.
      equation: the while.
      operands: its operands.
      scope: its notes gain the loop.

    Returns:
      Its results.
    """
    del walk
    knowns = [known for _, known in operands]
    if any(known.params or known.data for known in knowns):
        scope.notes.untracked["while"] = "a while loop: no gradients through it, no sites inside"
    values = [
        jax.lax.stop_gradient(value) if hasattr(value, "dtype") else value for value, _ in operands
    ]
    state = operands[equation.params["cond_nconsts"] + equation.params["body_nconsts"] :]
    return [
        (each, dataclasses.replace(join(knowns, each.shape), open=0, features=known.features))
        for each, (_, known) in zip(run_equation(equation, values), state, strict=True)
    ]


def _entering(known: Known) -> Known:
    return dataclasses.replace(known, chain=None, site=None)


def _slice(known: Known) -> Known:
    return dataclasses.replace(
        known, features=known.features[1:], sliced=known.is_weight, uniform=None
    )
