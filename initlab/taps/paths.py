"""The paths of each input: which places all of them pass, and where inputs are mixed."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from initlab import checks
from initlab.programs.control import Call, control
from initlab.programs.equations import all_equations
from initlab.programs.primitives import CONTRACTIONS, CUSTOM_DERIVATIVES, SCATTERS
from initlab.taps.facts import Facts, Key, Pair, joined_mixed

__all__ = [
    "Side",
    "carriers",
    "is_blend",
    "is_gate",
    "is_multiplied",
    "mixed_inputs",
    "multiplied",
    "sides_of",
]

OPEN = frozenset({"acos", "cos", "cosh", "erfc", "exp", "exp2", "logistic"})
"""Functions that are not zero at zero."""

SUMS = frozenset({"add", "add_any", "sub"})


class Side(NamedTuple):
    """One of several values that are joined with no way around it, as one of two towers.

    Attributes:
      keys: sites on every path from an input to it, but not to the values that it is joined with.
      common: those on every path to all of them.
      source: the number of the input.
    """

    keys: frozenset[Key]
    common: frozenset[Key]
    source: int


def carriers(equation: Any, operands: Sequence[Facts]) -> list[Facts]:
    """The operands whose signal a result carries: none that only says which entries are taken.

    Args:
      equation: any operation.
      operands: the facts of its operands.

    Returns:
      Those that are data, without indices, predicates and masks, unless there is nothing else.
    """
    name, numbers = equation.primitive.name, list(range(len(operands)))
    if name == "select_n":
        numbers = numbers[1:]
    elif name in ("gather", "dynamic_slice"):
        numbers = numbers[:1]
    elif name == "dynamic_update_slice":
        numbers = numbers[:2]
    elif name in SCATTERS or name == "scatter":
        numbers = [0, 2]
    found = [n for n in numbers if operands[n].data]
    signals = [n for n in found if not operands[n].discrete]
    if signals and (is_multiplied(equation) or name == "select_n"):
        found = signals
    elif signals and name in SUMS:
        # What is added to scores hides positions; what is added to units is a signal.
        found = [n for n in found if n in signals or _meets_units(equation, operands, n)]
    return [operands[n] for n in found] or [facts for facts in operands if facts.data]


def _meets_units(equation: Any, operands: Sequence[Facts], number: int) -> bool:
    shape = equation.invars[number].aval.shape
    return any(
        flag and size > 1
        for other, facts in enumerate(operands)
        if other != number and len(facts.features) == len(shape)
        for flag, size in zip(facts.features, shape, strict=True)
    )


def is_multiplied(equation: Any) -> bool:
    """Whether an operation's result is in proportion to each of its operands."""
    return equation.primitive.name in ("mul", "div") or equation.primitive.name in CONTRACTIONS


def mixed_inputs(equation: Any, carried: Sequence[Facts]) -> Mapping[int, int]:
    """Of each input a bit set of those that it has met without being multiplied by them.

    A sum of two inputs' signals is as large as the larger of them, and what a gate multiplies is
    as large with a small gate: the scale of one input's own path ends there. A product of both
    goes on in proportion to each, and so does a sum of two signals of one input.
    """
    mixed = dict(joined_mixed(carried))
    for number in {number for facts in carried for number in facts.paths}:
        if is_multiplied(equation):
            is_factor = any(number in facts.paths and not facts.is_gate for facts in carried)
            met = [] if is_factor else [facts for facts in carried if not facts.is_gate]
        else:
            met = [facts for facts in carried if number not in facts.paths]
        for other in itertools.chain(*(facts.paths for facts in met)):
            mixed[number] = mixed.get(number, 0) | 1 << other
    return mixed


def is_blend(equation: Any, data: Sequence[Facts]) -> bool:
    """Whether an operation multiplies values that parameters have made, and normalizes none."""
    return (
        is_multiplied(equation)
        and sum(bool(facts.params) for facts in data) > 1
        and not any(facts.is_root for facts in data)
    )


def multiplied(equation: Any, operands: Sequence[Pair]) -> tuple[Pair, Pair] | None:
    """The two arrays, with their facts, whose product a result is; None of any other."""
    shapes = [variable.aval.shape for variable in equation.invars]
    if equation.primitive.name != "mul" or len(shapes[0]) != len(shapes[1]):
        return None
    if not all(facts.params or facts.data for _, facts in operands):
        return None
    one, other = (
        # An axis of size 1 is stretched, and holds no units of the product's.
        (value, dataclasses.replace(facts, features=_unstretched(facts.features, sizes)))
        for (value, facts), sizes in zip(operands, shapes, strict=True)
    )
    return one, other


def _unstretched(features: Sequence[bool], sizes: Sequence[int]) -> tuple[bool, ...]:
    return tuple(flag and size > 1 for flag, size in zip(features, sizes, strict=True))


def sides_of(operands: Sequence[Facts]) -> list[Side]:
    """The sides of a join of data, input by input; none where one of them has no site of its own.

    Data that share no input are compared by the longest path of each.
    """
    if len(operands) < 2:
        return []
    shared = set.intersection(*(set(facts.paths) for facts in operands))
    joins = [[n] * len(operands) for n in sorted(shared)]
    found = []
    for inputs in joins or [[facts.longest for facts in operands]]:
        paths = [facts.paths[n] for facts, n in zip(operands, inputs, strict=True)]
        common = frozenset.intersection(*paths)
        sides = [Side(each - common, common, n) for each, n in zip(paths, inputs, strict=True)]
        found += sides if all(side.keys for side in sides) else []
    return found


def is_gate(equation: Any, operands: Sequence[Facts], result: Facts) -> bool:
    """Whether a value that parameters have made is not near zero where its signal is small.

    As a sigmoid, a softmax or `1 + f(x)` is; a product with a weight begins anew.
    """
    name = equation.primitive.name
    if not result.data or not result.params or result.is_root:
        return False
    data = [facts for facts in operands if facts.data]
    if name in CONTRACTIONS:
        return len(data) == len(operands) and all(facts.is_gate for facts in data)
    if name == "mul":
        return all(facts.is_gate for facts in data)
    if name in OPEN or (name in CUSTOM_DERIVATIVES and _is_open(equation)):
        return True
    added = [facts.uniform for facts in operands if not facts.data and name in SUMS]
    is_moved = any(checks.is_concrete(each) and bool(each) for each in added if each is not None)
    return is_moved or any(facts.is_gate for facts in data)


def _is_open(equation: Any) -> bool:
    held = control(equation)
    assert isinstance(held, Call)
    return any(each.primitive.name in OPEN for each in all_equations(held.body))
