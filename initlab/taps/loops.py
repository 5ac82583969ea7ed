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
from initlab.programs.control import Cond, Scan
from initlab.taps import blockwise, memory
from initlab.taps.facts import Facts, Pair, join, joined_mixed, joined_paths
from initlab.taps.scope import Branches, Loop, Scope
from initlab.taps.statistics import blank

__all__ = ["branch", "entering", "scan"]

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
    shared_facts, carried, sliced_facts = loop.split([entering(each) for _, each in operands])
    for each in sliced_facts:
        scope.notes.stacked |= each.params if each.is_weight else 0
    if not any(each.is_weight for each in sliced_facts):
        # What is handed on as it is, as inputs are, is no state.
        starts, ends = loop.body.jaxpr.invars[loop.shared :], loop.body.jaxpr.outvars
        carried = [
            dataclasses.replace(each, recurrent=starts[n] is not ends[n], span=1)
            for n, each in enumerate(carried)
        ]
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
        parts = memory.parts_of_state(loop, carried, sliced_facts)
        planned = Loop(cell["scope"], loop.length, gained, carried, loop.reverse)
        # Its softmaxes are the plan's, as those of the trace below are not.
        out = cell["out"]
        running = blockwise.mark_blocks([each.trail for each in out], planned.body)
        followed: Sequence[Sequence[int]] = ()
        # What a running softmax scales down is no memory that is lost.
        if memory.takes_inputs(loop, shared_facts, carried, sliced_facts) and not running:
            given = (shared, state, xs)
            followed = memory.followed(loop.body, given, parts, out, scope)
        planned = dataclasses.replace(planned, followed=followed, running=running)
    else:
        planned = scope.plan.entries[number]
        assert isinstance(planned, Loop)
        out = None
    parts = memory.parts_of_state(loop, planned.carried, sliced_facts)
    followed_parts = planned.followed if scope.follow and scope.plan is not None else []
    run = functools.partial(body, planned.carried, planned.body if scope.plan else None)

    def step(state: Any, given: Any) -> Any:
        state, changes = state
        moved = [memory.advance(loop.body, shared, state, given[0], each) for each in changes]
        state, measured = run(state, given)
        return (state, [each for each, _ in moved]), (*measured, [each for _, each in moved])

    changes = [memory.first_changes(state, each) for each in followed_parts]
    (state, _), (stacked, results, growths) = jax.lax.scan(
        step,
        (state, changes),
        (sliced, scope.slots_within(number)),
        loop.length,
        reverse=loop.reverse,
        unroll=loop.unroll,
    )
    scope.add(planned)
    scope.results |= blockwise.merge_turns(planned, results)
    is_recurrent = any(each.recurrent for _, each in operands)
    last = out or cell["out"]
    facts = _after_last(loop, planned, last, parts, is_recurrent)
    firsts = {each[0]: found for each, found in zip(followed_parts, growths, strict=True)}
    for part in parts:
        times = _times(last[part])
        facts[part] = memory.place(scope, state[part], facts[part], firsts.get(part), times)
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
    loop: Scan, planned: Loop, facts: Sequence[Facts], parts: Sequence[int], is_recurrent: bool
) -> list[Facts]:
    """Facts of a scan's results, from those after one iteration."""
    # Each of the others adds as many norms.
    gained = planned.norms_gained * (loop.length - 1)
    return [
        dataclasses.replace(
            each,
            features=each.features if n < loop.carried else (False, *each.features),
            trail=blockwise.trail_behind(each.trail, is_stacked=n >= loop.carried),
            norms=each.norms + gained,
            recurrent=is_recurrent,
            summed=1,
            span=1,
            # To a loop around it, all of its steps are one.
            covers=_times(each) * loop.length if n in parts else 1,
        )
        for n, each in enumerate(facts)
    ]


def _times(facts: Facts) -> int:
    """How many steps in time one step of a loop is, to whose state these facts belong."""
    return max(facts.span, facts.covers)


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
        kept=before.kept | after.kept,
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
    return *origin, *paths, facts.features, facts.names, facts.is_gate, facts.kept


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
    values = [value for value, _ in rest]
    # A branch is part of the step in time that it lies in, and of the softmax.
    facts = [
        dataclasses.replace(
            entering(each),
            recurrent=each.recurrent,
            kept=each.kept,
            trail=blockwise.crossing_trail(each.trail),
        )
        for _, each in rest
    ]
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
    is_recurrent = any(each.recurrent for each in facts)
    scope.results |= measured
    return [
        (
            value,
            dataclasses.replace(
                join(each, value.shape),
                features=_common(each),
                recurrent=is_recurrent,
                kept=functools.reduce(operator.or_, (facts.kept for facts in each)),
                trail=blockwise.joined_trail([facts.trail for facts in each]),
            ),
        )
        for value, *each in zip(results, *(cell[n][1] for n in numbers), strict=True)
    ]


def _common(facts: Sequence[Facts]) -> tuple[bool, ...]:
    return tuple(any(column) for column in zip(*(each.features for each in facts), strict=True))


def entering(facts: Facts) -> Facts:
    """What is known of an array in another scope: no site, which has a number here, nor a chain."""
    gone = {"chain": None, "site": None, "trail": None, "strided": None, "product_of": None}
    gone["running"] = None
    return dataclasses.replace(facts, recurrent=False, kept=0, covers=1, **gone)


def _leaving(facts: Facts) -> Facts:
    """The same; a number that the body has computed stays there, a softmax may run on."""
    uniform = facts.uniform if checks.is_concrete(facts.uniform) else None
    trail = blockwise.crossing_trail(facts.trail)
    known = {"uniform": uniform, "trail": trail, "kept": facts.kept, "covers": facts.covers}
    return dataclasses.replace(entering(facts), **known)


def _slice(facts: Facts) -> Facts:
    return dataclasses.replace(
        facts, features=facts.features[1:], sliced=facts.is_weight, uniform=None
    )
