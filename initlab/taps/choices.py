"""Choices of the largest scores, as a router's of its experts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs.primitives import ORDERED, SCATTERS
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope
from initlab.taps.softmax_statistics import choice_statistics
from initlab.taps.trails import Softmax, Trail, add_site

__all__ = ["choose", "count_places", "follow_choice", "note_dropped", "note_use"]

KEEPS_FIRST = {"lt": True, "lt_to": True, "le": True, "le_to": True, "gt": False, "ge": False}
"""Whether a comparison of a place with a capacity holds for the first places, which are kept."""

SCATTERED = SCATTERS | ORDERED | {"scatter"}
"""What sends tokens to the experts that were chosen for them."""


def choose(
    equation: Any, operands: Sequence[Pair], results: list[Pair], scope: Scope
) -> list[Pair]:
    """The largest of the scores of units, as of experts: how often each is chosen."""
    value, facts = operands[0]
    is_top = equation.primitive.name == "top_k"
    axes = (len(np.shape(value)) - 1,) if is_top else tuple(equation.params["axes"])
    trail = facts.trail
    if trail is None:
        return results
    if trail.part == "weights" and trail.softmax is not None:
        # Also where each expert takes its tokens (Zhou et al. 2022, arXiv:2202.09368).
        trail.softmax.uses.add("chosen")
    if not all(trail.units[n] for n in axes):
        return results
    before = Trail(trail.units, trail.names)
    choice = Softmax(value, before)
    key = add_site("router", choice, axes, scope)
    if scope.measures:
        index = results[-1][0] if is_top else results[0][0][..., None]
        number = value.shape[axes[0]]
        scope.results[key] = choice_statistics(index, number)
    parts = ("chosen", "index") if is_top else ("index",)
    flags = [each for n, each in enumerate(trail.units) if is_top or n not in axes]
    return [
        (each, dataclasses.replace(known, trail=Trail(tuple(flags), trail.names, part, choice)))
        for (each, known), part in zip(results, parts, strict=True)
    ]


def count_places(operand: Pair) -> Trail | None:
    """The running sum of a one-hot code: how many tokens have chosen an expert so far."""
    value, facts = operand
    trail = facts.trail
    if trail is None or trail.part != "code" or trail.softmax is None:
        return None
    trail.softmax.code = value
    return dataclasses.replace(trail, part="place")


def follow_choice(
    equation: Any, operands: Sequence[Pair], value: Any, parts: Mapping[str, Trail], scope: Scope
) -> Trail | None:
    """An index compared with all experts is a code, and a place with a capacity drops tokens.

    Args:
      equation: an elementwise one.
      operands: its operands.
      value: its result.
      parts: the operands' trails by their part.
      scope: its results gain the share of choices that the capacity drops.

    Returns:
      The trail of the code; None for anything else.
    """
    name, facts = equation.primitive.name, [facts for _, facts in operands]
    given = next((part for part in ("place", "index") if part in parts), None)
    if given is None or sum(each.data for each in facts) != 1:
        return None
    trail = parts[given]
    choice = trail.softmax
    assert choice is not None
    if given == "index":
        is_code = name in ("eq", "eq_to")
        return Trail((), trail.names, "code", choice) if is_code else None
    if choice.code is None or not scope.measures or choice.key is None:
        return None
    code = choice.code != 0
    side = 0 if facts[0].data else 1
    if name in KEEPS_FIRST and _is_capacity(facts[1 - side]):
        kept = value if KEEPS_FIRST[name] == (side == 0) else ~value
    elif name in ("eq", "eq_to") and np.ndim(value) == code.ndim + 1:
        # A one-hot code of the places, as wide as the capacity.
        kept = jnp.any(value, -1)
    else:
        return None
    if kept.shape == code.shape:
        dropped = 1 - jnp.sum(kept & code) / jnp.maximum(1, jnp.sum(code))
    elif kept.ndim < code.ndim:
        dropped = 1 - jnp.mean(kept.astype(jnp.float32))
    else:
        return None
    known = scope.results[choice.key].get("dropped", jnp.zeros(()))
    scope.results[choice.key]["dropped"] = jnp.maximum(known, dropped.astype(jnp.float32))
    return None


def _is_capacity(facts: Facts) -> bool:
    """Whether it is a positive number: a place is compared with 0 to see that there is one."""
    return facts.uniform is not None and (
        not checks.is_concrete(facts.uniform) or float(facts.uniform) > 0
    )


def note_dropped(equation: Any, operands: Sequence[Pair], scope: Scope) -> None:
    """Notes the share of tokens that are scattered to no place, as beyond their expert's capacity.

    Args:
      equation: any; of interest is a scatter to places of which one number is an expert's.
      operands: its operands.
      scope: its results gain the share.
    """
    name, params = equation.primitive.name, equation.params
    if name not in SCATTERS | {"scatter"} or scope.plan is None:
        return
    index, facts = operands[1]
    trail = facts.trail
    if trail is None or trail.part != "index" or trail.softmax is None:
        return
    numbers, sizes = params["dimension_numbers"], np.shape(operands[0][0])
    axes = numbers.scatter_dims_to_operand_dims
    known = scope.results.get(trail.softmax.key or ())
    if known is None or not set(axes) <= set(numbers.inserted_window_dims):
        return
    limits = np.broadcast_to(np.asarray([sizes[axis] for axis in axes]), index.shape)
    is_kept = jnp.all((index >= 0) & (index < limits.astype(index.dtype)), axis=-1)
    dropped = 1 - jnp.mean(is_kept.astype(jnp.float32))
    known["dropped"] = jnp.maximum(known.get("dropped", jnp.zeros(())), dropped)


def note_use(equation: Any, facts: Sequence[Facts]) -> None:
    """Notes whether what is chosen bears on the model's data, not on an output alone."""
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
