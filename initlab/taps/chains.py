"""Chains of places: those that a signal must pass, one after the other, on its way to an output."""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Iterator, Sequence

from initlab import checks
from initlab.taps.facts import Key
from initlab.taps.model import Model
from initlab.taps.rows import Row
from initlab.taps.scope import Loop

__all__ = ["Chain", "chains_of"]

LEAST = 3
"""With fewer places than this a value that is joined with another is a factor, and no tower."""


@dataclasses.dataclass(frozen=True)
class Chain:
    """Rows that lie on every path from the data to one value, each after the one before.

    Of a graph these are the dominators of that value: every path to it passes all of them in one
    order, whatever the order in which the program computes them.

    Attributes:
      rows: numbers of rows, products and sums, in the order of the signal.
      starts: numbers of rows from which the signal comes to the first of them: the row before a
        fork, or the data where they first meet a parameter.
      norms: how many normalizations lie before its end.
      through: bit set of the parameters that multiply the signal on every path to the output.
      is_output: whether it ends in an output; else it is joined with another value.
      is_part: whether another chain goes on where it ends, as behind a statistic of a hidden layer
        that is an output too.
    """

    rows: tuple[int, ...]
    starts: tuple[int, ...]
    norms: int
    through: int
    is_output: bool
    is_part: bool = False


@checks.checked
def chains_of(model: Model, rows: Sequence[Row]) -> list[Chain]:
    """A chain for each output, and for each of several towers that are joined.

    Args:
      model: the model.
      rows: as `rows_of` gives them.

    Returns:
      The chains, those of the outputs first.
    """
    numbers: dict[Key, list[int]] = {}
    for number, row in enumerate(rows):
        if row.key is not None and row.kind in ("product", "sum", "state"):
            numbers.setdefault(row.key, []).append(number)
    found: list[Chain] = []
    for facts in model.outputs:
        for number, keys in facts.paths.items() if facts.data else ():
            for places in _runs(rows, _members(numbers, keys), number):
                last = rows[places[-1]]
                is_output = last.mixed.get(number, 0) == facts.mixed.get(number, 0)
                norms = facts.norms if is_output else last.norms
                chain = Chain(places, _starts(rows, places[0]), norms, facts.through, is_output)
                if (is_output or len(places) >= LEAST) and chain not in found:
                    found.append(chain)
    through = functools.reduce(operator.or_, (facts.through for facts in model.outputs), 0)
    for side, within in model.plan.joins():
        loops = sum(isinstance(each, Loop) for each in within)
        sets: dict[tuple[int | None, ...], list[int]] = {}
        for number in _members(numbers, side.keys):
            # Of a join inside a loop every iteration has chains of its own.
            sets.setdefault(rows[number].turns[:loops], []).append(number)
        for places in sets.values():
            fork = [number for number in _members(numbers, side.common) if number < places[0]]
            for run in _runs(rows, places, side.source):
                if len(run) >= LEAST:
                    starts = tuple(fork[-1:]) if run[0] == places[0] else ()
                    starts = starts or _starts(rows, run[0])
                    found.append(Chain(run, starts, rows[run[-1]].norms, through, False))
    return _parts_marked(found)


def _members(numbers: dict[Key, list[int]], keys: frozenset[Key]) -> list[int]:
    return sorted(number for key in keys for number in numbers.get(key, []))


def _runs(rows: Sequence[Row], places: Sequence[int], number: int) -> Iterator[tuple[int, ...]]:
    """The places of an input's path, cut where it meets another input other than as a factor."""
    runs = itertools.groupby(places, lambda place: rows[place].mixed.get(number, 0))
    yield from (tuple(run) for _, run in runs)


def _starts(rows: Sequence[Row], first: int) -> tuple[int, ...]:
    """The rows where the data that reach a place have met their first parameter."""
    keys = rows[first].entries
    inputs = [number for number, row in enumerate(rows) if row.kind == "input"]
    found = [number for number in inputs if rows[number].key in keys]
    # The model's first input, as it is, has a row without a key.
    if len({rows[number].key for number in found}) < len(keys):
        found += [number for number in inputs if rows[number].key is None]
    return tuple(found)


def _parts_marked(chains: list[Chain]) -> list[Chain]:
    # The last place is left out: of two heads on one trunk the second has nothing else of its own.
    kept: list[Chain] = []
    for chain in sorted(chains, key=lambda chain: -len(chain.rows)):
        is_part = any(set(chain.rows[:-1]) <= set(other.rows) for other in kept)
        kept.append(dataclasses.replace(chain, is_part=is_part))
    return sorted(kept, key=lambda chain: (not chain.is_output, chain.rows))
