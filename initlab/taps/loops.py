"""Loops and branches, rebuilt around what is measured inside them.

JAX traces a loop's body as a function of arrays, and facts are no arrays: they cannot be among its
results. So a traced body here leaves its facts in a cell outside of it, as a side effect of being
traced, and the caller reads them there as soon as the trace is done. No tracer of a body may
outlive it, so that facts that leave one hold no values.
"""

import dataclasses
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.programs.control import Cond, Scan, While
from initlab.programs.equations import run_equation
from initlab.taps import blockwise, memory
from initlab.taps.facts import Facts, Pair, join, joined_mixed, joined_paths
from initlab.taps.scope import Branches, Loop, Scope, Site
from initlab.taps.statistics import blank

__all__ = ["branch", "repeat", "scan"]

Evaluate = Callable[[Any, Sequence[Pair], Scope], list[Pair]]


def scan(evaluate: Evaluate, loop: Scan, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A scan whose body also gives what is measured, stacked over its iterations.

    Args:
      evaluate: runs the body.
      loop: the scan.
      operands: its operands.
      scope: gains the loop.

    Returns:
      Its results.
    """
    operands = _meet_weights(loop, operands, scope)
    shared, state, sliced = loop.split([value for value, _ in operands])
    shared_facts, carried, sliced_facts = loop.split([_entering(each) for _, each in operands])
    for each in sliced_facts:
        scope.notes.stacked |= each.params if each.is_weight else 0
    if not any(each.is_weight for each in sliced_facts):
        carried = [dataclasses.replace(each, recurrent=True) for each in carried]
    # Not strict, here and below: a body gives its carry first, then what is stacked.
    avals = [each.aval for each in loop.body.jaxpr.outvars]
    state = [_typed(*each) for each in zip(state, avals, strict=False)]
    slices = [_slice(each) for each in sliced_facts]
    number = len(scope.entries)
    cell: dict[str, Any] = {}

    def body(carried: Sequence[Facts], plan: Scope | None, state: Any, given: Any) -> Any:
        xs, slots = given
        inner = cell["scope"] = scope.inner(number, 0, plan, slots)
        values, facts = [*shared, *state, *xs], [*shared_facts, *carried, *slices]
        pairs = list(zip(values, facts, strict=True))
        results, cell["out"] = _evaluated(evaluate, loop.body, pairs, inner)
        return results[: loop.carried], (results[loop.carried :], inner.results)

    if scope.plan is None:
        xs = [jax.eval_shape(lambda x: x[0], x) for x in sliced]
        before = [*shared_facts, *carried, *sliced_facts]

        def after(carried: Sequence[Facts]) -> Sequence[Facts]:
            jax.eval_shape(functools.partial(body, carried, None), state, (xs, {}))
            return cell["out"]

        carried, gained = _settled(after, carried, before)
        planned = Loop(cell["scope"], loop.length, gained, carried, loop.reverse)
        # Its softmaxes are the plan's, as those of the trace below are not.
        out = cell["out"]
        blockwise.mark_blocks([each.trail for each in out])
    else:
        planned = scope.plan.entries[number]
        assert isinstance(planned, Loop)
        out = None
    parts = memory.parts_of_state(loop, planned.carried, sliced_facts)
    is_followed = bool(parts) and scope.follow and scope.plan is not None
    is_followed = is_followed and memory.takes_inputs(loop, shared_facts, sliced_facts)
    # What a running softmax scales down is no memory that is lost.
    is_followed = is_followed and not blockwise.has_blocks(planned.body)
    run = functools.partial(body, planned.carried, planned.body if scope.plan else None)

    def step(state: Any, given: Any) -> Any:
        state, changes = state
        followed = None
        if is_followed:
            changes, followed = memory.advance(loop, shared, state, given[0], changes)
        state, measured = run(state, given)
        return (state, changes), (*measured, followed)

    changes = memory.first_changes(loop, state, parts) if is_followed else None
    (state, _), (stacked, results, followed) = jax.lax.scan(
        step,
        (state, changes),
        (sliced, scope.slots_within(number)),
        loop.length,
        reverse=loop.reverse,
        unroll=loop.unroll,
    )
    scope.add(planned)
    scope.results |= blockwise.merge_turns(planned.body, results)
    is_recurrent = any(each.recurrent for _, each in operands)
    facts = _after_last(loop, planned, out or cell["out"], is_recurrent)
    for part in parts:
        measured = followed if part == parts[0] else None
        facts[part] = _state(scope, state[part], facts[part], measured)
    return list(zip([*state, *stacked], facts, strict=True))


def _meet_weights(loop: Scan, operands: list[Pair], scope: Scope) -> list[Pair]:
    """The operands, where a state that is data meets its first parameter inside the loop."""
    weights = functools.reduce(operator.or_, (f.names for _, f in operands if f.is_weight), 0)
    if not weights:
        return operands
    # It meets it once it is no longer only data.
    first, last = loop.shared, loop.shared + loop.carried
    return [
        (value, scope.enter(value, each, weights, "") if first <= n < last else each)
        for n, (value, each) in enumerate(operands)
    ]


def _evaluated(
    evaluate: Evaluate, body: Any, pairs: Sequence[Pair], inner: Scope
) -> tuple[list[Any], list[Facts]]:
    """The results of a body in its own scope, and the facts that leave it."""
    out = evaluate(body, list(pairs), inner)
    for value, each in out:
        inner.end(value, each, "")
    avals = [each.aval for each in body.jaxpr.outvars]
    results = [_typed(value, each) for (value, _), each in zip(out, avals, strict=True)]
    return results, [_leaving(each) for _, each in out]


def _settled(
    iterate: Callable[[Sequence[Facts]], Sequence[Facts]],
    carried: list[Facts],
    operands: Sequence[Facts],
) -> tuple[list[Facts], int]:
    """What is known of a carry in every iteration, and the norms that an iteration adds.

    Facts only ever move one way, sets of parameters grow, what is common to all paths shrinks, so
    that this ends: at the least fixed point above the facts of the first iteration, mostly at the
    second try.
    """
    while True:
        after = iterate(carried)
        wider = [_widened(*pair, operands) for pair in zip(carried, after, strict=False)]
        if list(map(_compared, wider)) == list(map(_compared, carried)):
            break
        carried = wider
    # At least: the signal may be in any part of the carry.
    gains = [b.norms - a.norms for a, b in zip(carried, after, strict=False) if a.data]
    return carried, max(0, min(gains, default=0))


def _after_last(
    loop: Scan, planned: Loop, facts: Sequence[Facts], is_recurrent: bool
) -> list[Facts]:
    """Facts of a scan's results, from those after one iteration."""
    # Each of the others adds as many norms.
    gained = planned.norms_gained * (loop.length - 1)
    return [
        dataclasses.replace(
            each,
            features=each.features if n < loop.carried else (False, *each.features),
            trail=each.trail if n < loop.carried else blockwise.stacked_trail(each.trail),
            norms=each.norms + gained,
            recurrent=is_recurrent,
        )
        for n, each in enumerate(facts)
    ]


def _state(scope: Scope, value: Any, facts: Facts, followed: Any) -> Facts:
    """A state after the last step of a loop over time: a place, with the loop's memory."""
    number = scope.add(Site("state", facts.names, "", gradient=False))
    scope.visit(number, value, facts)
    key = scope.key(number)
    if followed is not None:
        growths, is_diagonal = followed
        scope.results[key] |= {"memory": jnp.mean(growths), "diagonal": jnp.all(is_diagonal)}
    return facts.at(key)


def _typed(value: Any, aval: Any) -> Any:
    """A number written into the program as the array that a loop carries."""
    return jnp.asarray(value, aval.dtype) if jnp.ndim(value) == 0 else value


def _widened(before: Facts, after: Facts, operands: Sequence[Facts]) -> Facts:
    """Facts of a loop's state that hold at the start of its first iteration and of the next."""
    through = before.through & after.through if before.data else after.through
    # What a state does not carry when it begins, as zeros, has the paths of the operands.
    inside = joined_paths([each for each in operands if each.data])
    paths = {n: before.paths.get(n, inside.get(n, frozenset())) for n in after.paths}
    return dataclasses.replace(
        before,
        params=before.params | after.params,
        differentiable=before.differentiable | after.differentiable,
        data=before.data or after.data,
        features=tuple(a or b for a, b in zip(before.features, after.features, strict=True)),
        names=before.names or after.names,
        paths={**paths, **before.paths},
        mixed=joined_mixed([before, after]),
        live=before.live | after.live,
        is_gate=before.is_gate or after.is_gate,
        entries=before.entries | after.entries,
        through=through,
        discrete=before.discrete and after.discrete,
        raw=before.raw if before.raw == after.raw else None,
        uniform=None,
        scales=before.scales and after.scales,
        factors=before.factors & after.factors,
    )


def _compared(facts: Facts) -> tuple[Any, ...]:
    """What `_widened` may change, as a value: facts themselves compare by identity."""
    origin = facts.params, facts.differentiable, facts.data, facts.scales, facts.factors
    paths = (
        facts.paths,
        facts.live,
        facts.mixed,
        facts.entries,
        facts.through,
        facts.discrete,
        facts.raw,
    )
    return *origin, *paths, facts.features, facts.names, facts.is_gate


def branch(evaluate: Evaluate, cond: Cond, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A cond whose branches also give what is measured; NaN in those that are not taken.

    The branches of a cond must give the same shapes. So each gives the measurements of all, and
    those of the others are NaN: not measured, where a zero would be a number.

    Args:
      evaluate: runs a branch.
      cond: the branches.
      operands: its operands, the index first.
      scope: gains the branches.

    Returns:
      Its results.
    """
    (index, _), *rest = operands
    values, facts = [value for value, _ in rest], [_entering(each) for _, each in rest]
    number = len(scope.entries)
    numbers = range(len(cond.branches))
    plans: Sequence[Scope | None] = [None] * len(cond.branches)
    if scope.plan is not None:
        planned = scope.plan.entries[number]
        assert isinstance(planned, Branches)
        plans = planned.scopes
    cell: dict[int, Any] = {}

    def alone(n: int, values: Any, slots: Any) -> Any:
        inner = scope.inner(number, n, plans[n], slots)
        pairs = list(zip(values, facts, strict=True))
        results, leaving = _evaluated(evaluate, cond.branches[n], pairs, inner)
        cell[n] = inner, leaving
        return results, inner.results

    slots = scope.slots_within(number)
    # Traced once for their shapes alone: each branch must give the statistics of all of them.
    shapes = [jax.eval_shape(functools.partial(alone, n), values, slots)[1] for n in numbers]
    unmeasured = functools.reduce(operator.or_, shapes)

    def taken(n: int) -> Callable:
        def run(values: Any, slots: Any) -> Any:
            results, measured = alone(n, values, slots)
            return results, blank(unmeasured) | measured

        return run

    results, measured = jax.lax.switch(index, [taken(n) for n in numbers], values, slots)
    scope.add(Branches([cell[n][0] for n in numbers]))
    scope.results |= measured
    return [
        (value, dataclasses.replace(join(each, value.shape), features=_common(each)))
        for value, *each in zip(results, *(cell[n][1] for n in numbers), strict=True)
    ]


def _common(facts: Sequence[Facts]) -> tuple[bool, ...]:
    return tuple(any(column) for column in zip(*(each.features for each in facts), strict=True))


def repeat(equation: Any, loop: While, operands: list[Pair], scope: Scope) -> list[Pair]:
    """A while loop, which has no reverse mode: nothing inside it is measured.

    Args:
      equation: the while.
      loop: what it holds.
      operands: its operands.
      scope: its notes gain the loop.

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
    *_, state = loop.split(facts)
    pairs = []
    for value, each in zip(run_equation(equation, values), state, strict=True):
        after = join(facts, value.shape)
        after = dataclasses.replace(
            after, differentiable=0, live=frozenset(), features=each.features
        )
        if after.data and after.params and jnp.issubdtype(value.dtype, jnp.floating):
            after = _state(scope, value, after, None)
        pairs.append((value, after))
    return pairs


def _entering(facts: Facts) -> Facts:
    """Without its site, which has a number in another scope, and with a chain of its own."""
    gone = {"chain": None, "site": None, "trail": None, "strided": None, "product_of": None}
    return dataclasses.replace(facts, recurrent=False, **gone)


def _leaving(facts: Facts) -> Facts:
    """The same; a number that the body has computed stays there, a softmax's sum may run on."""
    uniform = facts.uniform if checks.is_concrete(facts.uniform) else None
    trail = blockwise.leaving_trail(facts.trail)
    return dataclasses.replace(_entering(facts), uniform=uniform, trail=trail)


def _slice(facts: Facts) -> Facts:
    return dataclasses.replace(
        facts, features=facts.features[1:], sliced=facts.is_weight, uniform=None
    )
