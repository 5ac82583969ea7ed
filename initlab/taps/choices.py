"""Choices of the largest scores, as a router's of its experts."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from initlab.programs.primitives import ORDERED, SCATTERS
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope
from initlab.taps.softmax_statistics import choice_statistics
from initlab.taps.trails import Softmax, Trail, add_site

__all__ = ["choose", "note_use"]

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
    if trail is None or not all(trail.units[n] for n in axes):
        return results
    if trail.part == "weights" and trail.softmax is not None:
        trail.softmax.uses.add("chosen")
    before = Trail(trail.units, trail.names)
    choice = Softmax(value, before)
    key = add_site("router", choice, axes, scope)
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
