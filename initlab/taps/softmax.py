"""Softmaxes in a traced program: exp over its own sum, whatever function wrote it.

A value carries a `Trail`: which part of a softmax it is, and on which of its axes lie the units of
the product that it comes from. So jax.nn.softmax, a hand-written one, one without max subtraction,
exp(log_softmax) and a mixture that is divided by its sum afterwards are one thing here.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from initlab.programs.axes import dot_axes, moved, unit_axes
from initlab.programs.control import control
from initlab.programs.primitives import (
    CASTS,
    CONTRACTIONS,
    ELEMENTWISE,
    PASSING,
    RAGGED,
    REDUCTIONS,
    UNCHANGED,
)
from initlab.taps.blockwise import block_statistics
from initlab.taps.choices import choose, count_places, follow_choice, note_dropped, note_use
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope, Site
from initlab.taps.softmax_statistics import softmax_statistics
from initlab.taps.trails import Softmax, Trail, add_site, trail_units

__all__ = ["follow"]

KEEPING = {
    "exponentials": {"mul", "div", "select_n", "add", "max", *CASTS},
    "sum": {"mul", "div", "select_n", "add", "max", "abs", "integer_pow", *CASTS},
    "log_sum": {"add", "sub", "select_n", "max", *CASTS},
    "log_weights": {"add", "sub", "mul", "select_n", "max", *CASTS},
    "weights": {"mul", "div", "select_n", "add", "sub", "max", *CASTS},
    # Of a softmax in blocks, what came before is scaled down to the new maximum.
    "mixture": {"add", "mul", "select_n", *CASTS},
    "chosen": {"mul", "div", "add", "sub", "max", "logistic", *CASTS},
    "index": {"add", "sub", "select_n", *CASTS},
    "code": {"mul", "select_n", *CASTS},
    "place": {"mul", "add", "sub", "max", "min", "select_n", *CASTS},
}

TOPS = {"max", "select_n", *CASTS}
"""Elementwise operations after which a maximum is one still."""
"""Elementwise operations after which a value is the same part still: scales, masks, dropout."""


def follow(
    equation: Any, operands: Sequence[Pair], results: list[Pair], scope: Scope
) -> list[Pair]:
    """The results of an equation, each with its trail.

    Args:
      equation: any; what holds a program of its own has been read already.
      operands: its operands.
      results: what the evaluator makes of it.
      scope: gains a site for each softmax, and for each choice of the largest logits.

    Returns:
      The results.
    """
    facts = [each for _, each in operands]
    if control(equation) is not None or not any(each.data for each in facts):
        return results
    name = equation.primitive.name
    note_use(equation, facts)
    note_dropped(equation, operands, scope)
    if name in ("top_k", "argmax"):
        return choose(equation, operands, results, scope)
    pairs = []
    for place, (value, result) in enumerate(results):
        trail = _trail(equation, operands, place, value, scope) if result.data else None
        pairs.append((value, dataclasses.replace(result, trail=trail)))
    return pairs


def _trail(
    equation: Any, operands: Sequence[Pair], place: int, value: Any, scope: Scope
) -> Trail | None:
    name, facts = equation.primitive.name, [each for _, each in operands]
    if name in CONTRACTIONS:
        # The sizes of a ragged product's runs are no factor.
        return _contract(equation, facts[:2])
    if name == "cumsum":
        return count_places(operands[0])
    if name in PASSING:
        return _move(equation, facts[place if name in UNCHANGED else 0])
    if name in ELEMENTWISE:
        return _combine(equation, operands, value, scope)
    if name in REDUCTIONS:
        return _reduce(equation, operands, scope)
    if name in ("gather", "sort") and (index := _index_of(facts[place % len(facts)])) is not None:
        is_whole = name == "sort" or place == 0
        return dataclasses.replace(index, units=(False,) * np.ndim(value)) if is_whole else None
    if name == "concatenate" and all(np.shape(each) for each, _ in operands):
        if (index := next((t for t in map(_index_of, facts) if t is not None), None)) is not None:
            # Beside a place: where a token goes among those of its expert.
            return index
        columns = zip(*map(trail_units, facts), strict=True)
        first = next((each.trail for each in facts if each.trail is not None), None)
        return first and dataclasses.replace(
            first, units=tuple(map(any, columns)), part="", softmax=None
        )
    return None


def _index_of(facts: Facts) -> Trail | None:
    """The trail of the experts' numbers, in whatever order."""
    return facts.trail if facts.trail is not None and facts.trail.part == "index" else None


def _names(facts: Facts) -> int:
    return facts.names if facts.trail is None else facts.trail.names


def _contract(equation: Any, facts: Sequence[Facts]) -> Trail | None:
    """A product: of data and a weight it starts anew; of two data its axes are theirs."""
    rank = len(equation.outvars[0].aval.shape)
    weights = [n for n, each in enumerate(facts) if each.is_weight]
    if weights:
        own = {axis for axis, _ in unit_axes(equation, weights[0])}
        return Trail(tuple(n in own for n in range(rank)), facts[weights[0]].names)
    has_axes = equation.primitive.name not in RAGGED | {"conv_general_dilated"}
    if not has_axes or not all(each.data for each in facts):
        return None
    axes = dot_axes(equation)
    flags = [trail_units(each) for each in facts]
    units = [flags[0][a] or flags[1][b] for a, b in zip(*axes.batch, strict=True)]
    part, softmax = "", None
    for side, each in enumerate(facts):
        units += [flags[side][n] for n in axes.free(side, len(flags[side]))]
        trail = each.trail
        if trail is None or trail.softmax is None:
            continue
        if trail.part == "place":
            # Summed with the code: each token's place with the expert that it chose.
            part, softmax = "place", trail.softmax
        # Where a reshape has merged the axis with another, any contraction counts.
        is_along = not any(trail.along) or any(trail.along[n] for n in axes.contract[side])
        if trail.part in ("weights", "exponentials") and is_along:
            trail.softmax.uses.add("contracted")
            if trail.part == "exponentials":
                part, softmax = "mixture", trail.softmax
    return Trail(tuple(units), _names(facts[0]) | _names(facts[1]), part, softmax)


def _move(equation: Any, facts: Facts) -> Trail | None:
    trail = facts.trail
    if trail is None:
        return None
    sizes = [each.aval.size for each in (equation.invars[0], equation.outvars[0])]
    is_broadcast = equation.primitive.name in ("broadcast_in_dim", "tile") and sizes[0] < sizes[1]
    return dataclasses.replace(
        trail,
        units=tuple(moved(equation, trail.units)),
        along=tuple(moved(equation, trail.along)) if trail.along else (),
        stretched=trail.stretched or is_broadcast,
    )


def _combine(equation: Any, operands: Sequence[Pair], value: Any, scope: Scope) -> Trail | None:
    """An elementwise operation: exp starts a softmax, and dividing by its sum completes it."""
    name, facts = equation.primitive.name, [each for _, each in operands]
    shape = np.shape(value)
    trails = [each.trail for each in facts if each.data and each.trail is not None]
    units = [False] * len(shape)
    for variable, each in zip(equation.invars, facts, strict=True):
        sizes = variable.aval.shape
        if each.data and len(sizes) == len(shape):
            flags = zip(trail_units(each), sizes, strict=True)
            units = [u or (flag and n > 1) for u, (flag, n) in zip(units, flags, strict=True)]
    parts = {each.part: each for each in trails if each.softmax is not None}
    # What is broadcast to the result's shape, as a maximum or a sum is, is called by the other.
    full = [
        each.trail
        for variable, each in zip(equation.invars, facts, strict=True)
        if each.data and each.trail is not None and variable.aval.shape == shape
    ]
    whole = [each for each in full if not each.stretched] or full or trails
    names = whole[0].names if whole else next(each.names for each in facts if each.data)
    # What is scaled to a new maximum, exp(before - now), is none of the weights.
    is_factor = bool(trails) and (
        (name == "sub" and all(each.is_top for each in trails))
        or (name in ("exp", "exp2", "mul") and all(each.is_factor for each in trails))
    )
    is_top = name in TOPS and any(each.is_top for each in trails)
    scores = _scores(name, operands, shape)
    plain = Trail(tuple(units), names, is_top=is_top, is_factor=is_factor, scores=scores)
    if name in ("exp", "exp2") and not is_factor:
        return _exponential(name, plain, parts, *operands[0], scope)
    if name == "log" and "sum" in parts:
        return dataclasses.replace(parts["sum"], part="log_sum")
    for left, right, together in (
        ("exponentials", "sum", "weights"),
        ("mixture", "sum", ""),
        ("", "log_sum", "log_weights"),
    ):
        divided = parts.get(left) if left else next((t for t in whole if t.part == ""), None)
        if divided is None or right not in parts or name not in ("mul", "div", "sub"):
            continue
        softmax = parts[right].softmax
        assert softmax is not None
        # Parts of one softmax, as blocks are, share what is known of its uses.
        if left and (divided.softmax is None or divided.softmax.uses is not softmax.uses):
            continue
        if left:
            softmax.uses.add("normalized")
        is_same = np.shape(softmax.logits) == shape
        along = tuple(is_same and n in softmax.axes for n in range(len(shape)))
        return dataclasses.replace(plain, part=together, softmax=softmax, along=along)
    sums = [each for each in trails if each.part == "sum"]
    if name == "add" and len(sums) == 2:
        _join_blocks(sums[0], sums[1])
    # What is scaled by an exponential of maxima, as a running sum is, is itself.
    for part in ("weights", "mixture", "log_weights", "sum", "exponentials", "log_sum"):
        kept = parts.get(part)
        if kept is not None and name in KEEPING[part]:
            _gate(equation, kept, facts)
            return dataclasses.replace(kept, units=tuple(units))
    if (found := follow_choice(equation, operands, value, parts, scope)) is not None:
        return dataclasses.replace(found, units=tuple(units))
    for part in ("chosen", "index", "place", "code"):
        if part in parts and name in KEEPING[part]:
            return dataclasses.replace(parts[part], units=tuple(units))
    return plain


def _scores(name: str, operands: Sequence[Pair], shape: tuple[int, ...]) -> Any:
    """What a maximum is subtracted from, or the same after a cast; None of another operation."""
    value, facts = operands[0]
    if name in CASTS and facts.trail is not None:
        return facts.trail.scores
    if name != "sub" or np.shape(value) != shape or not facts.data:
        return None
    trail = operands[1][1].trail
    return value if trail is not None and trail.is_top else None


def _join_blocks(one: Trail, other: Trail) -> None:
    """Two sums that are added are of one softmax, which was taken block by block."""
    first, second = one.softmax, other.softmax
    assert first is not None
    assert second is not None
    # Of one that has left a loop or a branch the axes are not known.
    if first.axes and second.axes and first.axes != second.axes:
        return
    first.unite(second)
    first.uses.add("in_blocks")


def _gate(equation: Any, trail: Trail, facts: Sequence[Facts]) -> None:
    """Weights that are broadcast to data and multiply them: a mixture that is summed next."""
    if equation.primitive.name != "mul" or trail.part != "weights":
        return
    assert trail.softmax is not None
    shape = equation.outvars[0].aval.shape
    stretched, mixed = trail.stretched, False
    for variable, each in zip(equation.invars, facts, strict=True):
        if each.trail is trail:
            stretched = stretched or variable.aval.shape != shape
        elif each.data:
            mixed = each.trail is None or each.trail.softmax is None
    if stretched and mixed:
        trail.softmax.uses.add("contracted")


def _exponential(
    name: str, plain: Trail, parts: dict[str, Trail], value: Any, facts: Facts, scope: Scope
) -> Trail:
    if "log_weights" in parts:
        softmax = parts["log_weights"].softmax
        assert softmax is not None
        softmax.uses.add("normalized")
        return dataclasses.replace(parts["log_weights"], part="weights", units=plain.units)
    if not facts.data or not jnp.issubdtype(value.dtype, jnp.floating):
        return plain
    # A program may take exp twice, for the weights and for their sum.
    found = next((each for each in scope.softmaxes if each.logits is value), None)
    before = None if facts.trail is None else facts.trail.scores
    scores = value if before is None else before
    softmax = found or Softmax(value, plain)
    softmax.scores = scores if name == "exp" else scores * np.asarray(np.log(2), scores.dtype)
    if found is None:
        scope.softmaxes.append(softmax)
    if "chosen" in parts:
        chosen = parts["chosen"].softmax
        assert chosen is not None
        chosen.uses.add("used")
        softmax.uses.add("of_chosen")
    along = (False,) * len(plain.units)
    return dataclasses.replace(plain, part="exponentials", softmax=softmax, along=along)


def _reduce(equation: Any, operands: Sequence[Pair], scope: Scope) -> Trail | None:
    value, facts = operands[0]
    trail, axes = facts.trail, tuple(equation.params["axes"])
    name = equation.primitive.name
    kept = tuple(flag for n, flag in enumerate(trail_units(facts)) if n not in axes)
    if trail is None:
        return Trail(kept, facts.names, is_top=True) if name == "reduce_max" else None
    is_sum = name == "reduce_sum"
    is_place = trail.part == "place" and name in ("reduce_sum", "reduce_max")
    # Sums and mixtures of blocks, stacked by a loop and summed after it.
    if is_place or (is_sum and trail.part in ("sum", "mixture")):
        return Trail(kept, trail.names, trail.part, trail.softmax)
    if not is_sum or trail.part != "exponentials" or not axes:
        return Trail(kept, trail.names, is_top=name == "reduce_max")
    softmax = trail.softmax
    assert softmax is not None
    if softmax.logits is not None and np.shape(softmax.logits) == np.shape(value):
        softmax.axes = axes
        key = add_site("softmax", softmax, axes, scope)
        if scope.measures:
            units = softmax.before.units
            scope.results[key] = softmax_statistics(value, softmax.logits, axes, units)
            assert scope.plan is not None
            planned = scope.plan.entries[key[-1]]
            if isinstance(planned, Site) and "in_blocks" in planned.uses:
                scope.results[key] |= {"blocks": block_statistics(softmax.scores, axes)}
    return Trail(kept, trail.names, "sum", softmax)
