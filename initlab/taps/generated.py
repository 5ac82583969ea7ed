"""Weights that a model computes from its data, as a hypernetwork does, and their products."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from initlab.programs.axes import contracts_nothing, dot_axes
from initlab.programs.primitives import CONTRACTIONS
from initlab.taps.facts import Facts, Pair
from initlab.taps.scope import Scope, Site

__all__ = ["generated_weight", "multiply_generated", "summed_product"]

CONVOLUTION = "conv_general_dilated"


def generated_weight(equation: Any, operands: Sequence[Facts]) -> int | None:
    """Which operand of a product of two data is a weight: it maps units to units.

    A weight sums over units and leaves other units. Keys and values of an attention do not: they
    are summed over units and leave positions, or the other way round.

    Args:
      equation: any operation.
      operands: the facts of its operands.

    Returns:
      The operand, or None where neither, or each of the two, is one.
    """
    if equation.primitive.name not in CONTRACTIONS or contracts_nothing(equation):
        return None
    if not all(facts.data for facts in operands):
        return None
    if equation.primitive.name == CONVOLUTION:
        return 1 if operands[1].params else None
    axes = dot_axes(equation)
    found = [
        side
        for side, facts in enumerate(operands)
        if facts.params
        and any(facts.features[axis] for axis in axes.contract[side])
        and any(facts.features[axis] for axis in axes.free(side, len(facts.features)))
    ]
    return found[0] if len(found) == 1 else None


def summed_product(equation: Any, operands: Sequence[Facts]) -> tuple[Pair, Pair] | None:
    """A weight and a signal, with their facts, whose product is a multiplication and a sum.

    Args:
      equation: any operation.
      operands: the facts of its operands.

    Returns:
      The two; None where it is no such sum, as of a scale of each feature, which leaves no units of
      the weight's own.
    """
    if equation.primitive.name != "reduce_sum" or operands[0].product_of is None:
        return None
    pair, gone = operands[0].product_of, equation.params["axes"]
    found = [
        (each, other)
        for each, other in (pair, pair[::-1])
        for weight, signal in [(each[1], other[1])]
        if weight.params
        and signal.data
        and any(weight.features[axis] for axis in gone)
        and any(
            own and not other and axis not in gone
            for axis, (own, other) in enumerate(zip(weight.features, signal.features, strict=True))
        )
    ]
    return found[0] if len(found) == 1 else None


def multiply_generated(
    pair: Pair, operands: Sequence[Pair], side: int, scope: Scope, where: str
) -> Pair:
    """The product of a signal and a generated weight: a place on the signal's own path.

    As of any weight: the way from the data to the weight is no way around the layers before.

    Args:
      pair: the product and its facts.
      operands: its two factors.
      side: which of them is the weight.
      scope: gains the site.
      where: the model's own name for it.

    Returns:
      The product and its facts.
    """
    value, result = pair
    weight = operands[side][1]
    signal = scope.enter(*operands[1 - side], weight.names, where)
    number = scope.add(Site("product", weight.names, where, gradient=scope.gradient))
    key = scope.key(number)
    result = dataclasses.replace(
        result.at(key),
        site=number,
        paths={**result.at(key).paths, **signal.at(key).paths},
        entries=signal.entries,
        norms=signal.norms,
        names=weight.names,
    )
    return scope.visit(number, value, result), result
