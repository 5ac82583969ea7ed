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
    ORDERED,
    PASSING,
    REDUCTIONS,
    SCATTERS,
    UNCHANGED,
)
from initlab.taps.facts import Facts, Key, Pair
from initlab.taps.scope import Scope, Site
from initlab.taps.softmax_statistics import choice_statistics, softmax_statistics

__all__ = ["Softmax", "Trail", "follow", "role_of"]

KEEPING = {
    "exponentials": {"mul", "div", "select_n", "add", "max", *CASTS},
    "sum": {"mul", "div", "select_n", "add", "max", "abs", "integer_pow", *CASTS},
    "log_sum": {"add", "sub", "select_n", "max", *CASTS},
    "log_weights": {"add", "sub", "mul", "select_n", "max", *CASTS},
    "weights": {"mul", "div", "select_n", "add", "sub", "max", *CASTS},
    "mixture": {"add", *CASTS},
    "chosen": {"mul", "div", "add", "sub", "max", "logistic", *CASTS},
    "index": {"add", "sub", *CASTS},
}
"""Elementwise operations after which a value is the same part still: scales, masks, dropout."""

SCATTERED = SCATTERS | ORDERED | {"scatter"}
"""What sends tokens to the experts that were chosen for them."""


@dataclasses.dataclass(eq=False)
class Softmax:
    """One softmax, or one choice of the largest, while the program is read.

    Attributes:
      logits: what exp is taken of, or what is chosen among.
      before: the logits' trail.
      axes: those along which it is taken, once the sum is known.
      uses: "normalized" (divided by its sum), "contracted" (with data), "over_units" (taken along
        units of a product, as experts or classes are), "chosen" (its largest are taken),
        "of_chosen" (it is taken among the largest), "used" (what was chosen bears on more than an
        output).
    """

    logits: Any
    before: "Trail"
    axes: tuple[int, ...] = ()
    uses: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(frozen=True, eq=False)
class Trail:
    """What a value has to do with a softmax.

    Attributes:
      units: for each axis, whether units of the last product lie on it.
      names: bit set of the parameters of that product, or of the two that were contracted.
      part: "exponentials", "sum", "log_sum", "log_weights", "weights", "mixture" (of data by
        exponentials), "chosen", "index"; "" of another value.
      softmax: whose part it is.
      along: for each axis, whether the softmax is taken along it.
      stretched: whether it was broadcast since, as a gate is to what it multiplies.
    """

    units: tuple[bool, ...]
    names: int
    part: str = ""
    softmax: Softmax | None = None
    along: tuple[bool, ...] = ()
    stretched: bool = False


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
    _note_use(equation, facts)
    if name in ("top_k", "argmax"):
        return _choose(equation, operands, results, scope)
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
        return _contract(equation, facts)
    if name in PASSING:
        return _move(equation, facts[place if name in UNCHANGED else 0])
    if name in ELEMENTWISE:
        return _combine(equation, operands, np.shape(value), scope)
    if name in REDUCTIONS:
        return _reduce(equation, operands, scope)
    if name == "concatenate" and all(np.shape(each) for each, _ in operands):
        columns = zip(*map(trail_units, facts), strict=True)
        first = next((each.trail for each in facts if each.trail is not None), None)
        return first and dataclasses.replace(
            first, units=tuple(map(any, columns)), part="", softmax=None
        )
    return None


def role_of(site: Site) -> str | None:
    """What a softmax or a choice is for: "attention", "router", "gates"; None where it is neither.

    Any other site is of its own kind. An attention's weights contract with data along an axis of the data. A router's are along units
    of a product, and either contract with what the experts give, or their largest are chosen.
    """
    uses = set(site.uses)
    if site.kind not in ("softmax", "router"):
        return site.kind
    if site.kind == "router":
        return "router" if "used" in uses else None
    if "normalized" not in uses or "of_chosen" in uses:
        return None
    if "over_units" not in uses:
        return "attention" if "contracted" in uses else None
    if "chosen" in uses:
        return "gates"
    return "router" if "contracted" in uses else None


def trail_units(facts: Facts) -> tuple[bool, ...]:
    """The axes of the last product's units, or of any units where no product is known."""
    return facts.features if facts.trail is None else facts.trail.units


def _names(facts: Facts) -> int:
    return facts.names if facts.trail is None else facts.trail.names


def _contract(equation: Any, facts: Sequence[Facts]) -> Trail | None:
    """A product: of data and a weight it starts anew; of two data its axes are theirs."""
    rank = len(equation.outvars[0].aval.shape)
    weights = [n for n, each in enumerate(facts) if each.is_weight]
    if weights:
        own = {axis for axis, _ in unit_axes(equation, weights[0])}
        return Trail(tuple(n in own for n in range(rank)), facts[weights[0]].names)
    if equation.primitive.name == "conv_general_dilated" or not all(each.data for each in facts):
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


def _combine(
    equation: Any, operands: Sequence[Pair], shape: tuple[int, ...], scope: Scope
) -> Trail | None:
    """An elementwise operation: exp starts a softmax, and dividing by its sum completes it."""
    name, facts = equation.primitive.name, [each for _, each in operands]
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
    plain = Trail(tuple(units), names)
    if name in ("exp", "exp2"):
        return _exponential(plain, parts, *operands[0], scope)
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
        if left and divided.softmax is not softmax:
            continue
        assert softmax is not None
        if left:
            softmax.uses.add("normalized")
        is_same = np.shape(softmax.logits) == shape
        along = tuple(is_same and n in softmax.axes for n in range(len(shape)))
        return dataclasses.replace(plain, part=together, softmax=softmax, along=along)
    for part in ("weights", "exponentials", "log_weights", "sum", "log_sum", "mixture"):
        kept = parts.get(part)
        if kept is not None and name in KEEPING[part]:
            _gate(equation, kept, facts)
            return dataclasses.replace(kept, units=tuple(units))
    for part in ("chosen", "index"):
        if part in parts and name in KEEPING[part]:
            return dataclasses.replace(parts[part], units=tuple(units))
    return plain


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
    plain: Trail, parts: dict[str, Trail], value: Any, facts: Facts, scope: Scope
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
    softmax = found or Softmax(value, plain)
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
    if trail is None:
        return None
    kept = tuple(flag for n, flag in enumerate(trail.units) if n not in axes)
    is_sum = equation.primitive.name == "reduce_sum"
    if not is_sum or trail.part != "exponentials" or not axes:
        return Trail(kept, trail.names)
    softmax = trail.softmax
    assert softmax is not None
    if softmax.logits is not None and np.shape(softmax.logits) == np.shape(value):
        softmax.axes = axes
        key = _add_site("softmax", softmax, axes, scope)
        if scope.plan is not None:
            units = softmax.before.units
            scope.results[key] = softmax_statistics(value, softmax.logits, axes, units)
    return Trail(kept, trail.names, "sum", softmax)


def _add_site(kind: str, softmax: Softmax, axes: Sequence[int], scope: Scope) -> Key:
    before, shape = softmax.before, np.shape(softmax.logits)
    rest = [n for n in range(len(shape)) if n not in axes]
    if all(before.units[n] for n in axes):
        softmax.uses.add("over_units")
    site = Site(
        kind,
        before.names,
        "",
        features=tuple(before.units[n] for n in rest),
        shape=tuple(shape[n] for n in rest),
        gradient=False,
        uses=softmax.uses,
    )
    return scope.key(scope.add(site))


def _choose(
    equation: Any, operands: Sequence[Pair], results: list[Pair], scope: Scope
) -> list[Pair]:
    """The largest of the scores of units, as of experts: how often each is chosen."""
    value, facts = operands[0]
    is_top = equation.primitive.name == "top_k"
    axes = (len(np.shape(value)) - 1,) if is_top else tuple(equation.params["axes"])
    trail = facts.trail
    if trail is None or not all(trail.units[n] for n in axes):
        return results
    if trail.part == "weights" and trail.softmax is not None:
        trail.softmax.uses.add("chosen")
    before = Trail(trail.units, trail.names)
    choice = Softmax(value, before)
    key = _add_site("router", choice, axes, scope)
    if scope.plan is not None:
        index = results[-1][0] if is_top else results[0][0][..., None]
        number = value.shape[axes[0]]
        scope.results[key] = choice_statistics(index, number)
    parts = ("chosen", "index") if is_top else ("index",)
    flags = [each for n, each in enumerate(trail.units) if is_top or n not in axes]
    return [
        (each, dataclasses.replace(known, trail=Trail(tuple(flags), trail.names, part, choice)))
        for (each, known), part in zip(results, parts, strict=True)
    ]


def _note_use(equation: Any, facts: Sequence[Facts]) -> None:
    """Whether what is chosen bears on the model's data, not on an output alone."""
    name = equation.primitive.name
    for place, each in enumerate(facts):
        trail = each.trail
        if trail is None or trail.part not in ("chosen", "index"):
            continue
        assert trail.softmax is not None
        others = [other for n, other in enumerate(facts) if n != place]
        if trail.part == "index":
            # Compared with a constant, a one-hot code; compared with data, an accuracy.
            is_used = name in ("eq", "eq_to") and not any(other.data for other in others)
            # A row of a table is a token that a decoder feeds back; a matrix is an expert's.
            is_row = bool(facts[0].params) and len(equation.invars[0].aval.shape) <= 2
            is_used = is_used or (name == "gather" and not is_row) or name in SCATTERED
        else:
            is_used = name in ("mul", "dot_general") and any(other.data for other in others)
        if is_used:
            trail.softmax.uses.add("used")
