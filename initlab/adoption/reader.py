"""How a model uses each of its parameters, read off its traced program."""

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from initlab.adoption.facts import Known, Tracked, Use, Value, join
from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.walk import walk
from initlab.types import Role

__all__ = ["Reader", "Rule", "Usage", "read_usage"]

Path = tuple[int, ...]
Rule = Callable[["Reader", Any, Path, list[Known]], list[Known] | None]
"""`(reader, equation, path, operands) -> results`, or None where the rule does not apply."""


class Usage(NamedTuple):
    """What a program says of its parameters, by number.

    Attributes:
      uses: of each, as often as it is used.
      residual: those that end a branch whose output is added to what the branch began with.
      gates: scalars that multiply what is added to something.
      last: the weights nearest to the output.
      stacked: how many slices a scan takes of each.
    """

    uses: dict[int, list[Use]]
    residual: set[int]
    gates: set[int]
    last: frozenset[int]
    stacked: dict[int, int]


class Reader:
    """Follows arrays through a program, equation by equation, and notes the uses it meets."""

    def __init__(self, rules: dict[str, Rule], otherwise: Callable[..., list[Known]]) -> None:
        self.rules, self.otherwise = rules, otherwise
        self.uses: dict[int, dict[Path, Use]] = defaultdict(dict)
        self.residual: set[int] = set()
        self.gates: set[int] = set()
        self.stacked: dict[int, int] = {}
        self._numbers: dict[Path, int] = {}

    def number(self, path: Path) -> int:
        """The identity of what an equation gives; the same each time a loop is read again."""
        # By path, not by count: a fixed point is reached when nothing has changed, identities too.
        return self._numbers.setdefault(path, len(self._numbers) + 1)

    def note(self, path: Path, tracked: Tracked, use: Use) -> None:
        """Notes a use; a loop that is read again replaces what it said before."""
        self.uses[tracked.param][(*path, tracked.param)] = use
        if tracked.stacked:
            self.stacked[tracked.param] = tracked.stacked

    def mark_untracked(self, path: Path, known: Known, why: str) -> Value:
        """A parameter that goes where it cannot be followed: a value like any other from there."""
        if isinstance(known, Value):
            return known
        self.note(path, known, Use(Role.WEIGHT, 0, 0, why))
        # Equations count from 0, so that a negative entry is no other value's path.
        return Value(self.number((*path, -1, known.param)), weights=frozenset({known.param}))

    def read(self, program: Any, operands: Sequence[Known], path: Path = ()) -> list[Known]:
        """What is known of a program's results. Dead code notes no use."""
        places = itertools.count()

        def step(equation: Any, operands: list[Known]) -> list[Known]:
            return self._results(equation, (*path, next(places)), operands)

        return walk(
            program, operands, step, constant=lambda value: Value(), unused=lambda aval: Value()
        )

    def _results(self, equation: Any, path: Path, operands: list[Known]) -> list[Known]:
        match control(equation):
            case Call(body=body):
                return self.read(body, operands, path)
            case Scan() as loop:
                return self._scan(loop, path, operands)
            case While() as loop:
                return self._while(loop, path, operands)
            case Cond(branches):
                each = [self.read(b, operands[1:], (*path, n)) for n, b in enumerate(branches)]
                columns = enumerate(zip(*each, strict=True))
                return [self._merge((*path, n), column) for n, column in columns]
        rule = self.rules.get(equation.primitive.name, self.otherwise)
        results = rule(self, equation, path, operands)
        return self.otherwise(self, equation, path, operands) if results is None else results

    def _scan(self, loop: Scan, path: Path, operands: list[Known]) -> list[Known]:
        shared, given, sliced = loop.split(operands)
        slices = [self._slice(each, loop.length, path) for each in sliced]

        def step(carry: list[Known]) -> list[Known]:
            return self.read(loop.body, [*shared, *carry, *slices], path)

        return self._loop(step, given, path)

    def _slice(self, known: Known, length: int, path: Path) -> Known:
        if isinstance(known, Value):
            # The slice lacks the first axis, and the flags in `linear` are one for each axis.
            return dataclasses.replace(known, linear=None)
        # Stacked layers lie along the first axis. A slice of a slice is of a loop within a loop,
        # whose layers a ParamSpec has no names for.
        if not known.leads or known.stacked:
            why = "is scanned along an axis that is not its first"
            return self.mark_untracked(path, known, why)
        return Tracked(known.param, known.own[1:], leads=False, stacked=length)

    def _while(self, loop: While, path: Path, operands: list[Known]) -> list[Known]:
        # The condition only decides how often: what it uses is not on the way to the output.
        _, shared, given = loop.split(operands)

        def step(carry: list[Known]) -> list[Known]:
            return self.read(loop.body, [*shared, *carry], path)

        return self._loop(step, given, path)

    def _loop(self, step: Callable, given: Sequence[Known], path: Path) -> list[Known]:
        """Reads a loop's body until what is known of the carry no longer grows.

        The least fixed point over a join semilattice: each pass joins what the body returns into
        what it was given. Whether data are in it goes from no to yes, its weights are a growing
        subset of finitely many, so that it ends.
        """
        start = [self.mark_untracked(path, each, "is where a loop starts") for each in given]
        carry = [
            Value(self.number((*path, -2, n)), data=each.data, weights=each.weights)
            for n, each in enumerate(start)
        ]
        # As if just before the loop: a branch inside begins with the carry, not with what gave it.
        carry = [
            dataclasses.replace(each, last=frozenset((param, 0) for param, _ in begun.last))
            for each, begun in zip(carry, start, strict=True)
        ]
        while True:
            results = step(carry)
            grown = [
                dataclasses.replace(
                    each,
                    data=each.data or back.data,
                    weights=each.weights | back.weights,
                    last=each.last | {(param, 0) for param, _ in back.last},
                )
                for each, out in zip(carry, results, strict=False)
                for back in [self.mark_untracked(path, out, "is carried by a loop")]
            ]
            if grown == carry:
                # Inside, what came before the loop was hidden; behind it, it is an ancestor again.
                ancestors = join(0, start).ancestors
                return [
                    dataclasses.replace(each, ancestors=each.ancestors | ancestors)
                    if isinstance(each, Value)
                    else self.mark_untracked(path, each, "leaves a loop")
                    for each in results
                ]
            carry = grown

    def _merge(self, path: Path, each: Sequence[Known]) -> Known:
        if all(one == each[0] for one in each):
            return each[0]
        why = "is one of a cond's results"
        return join(self.number(path), [self.mark_untracked(path, one, why) for one in each])


def read_usage(
    program: Any, params: int, reader: Reader, shapes: Sequence[tuple[int, ...]]
) -> Usage:
    """Reads a traced `apply(params, x)`.

    Args:
      program: its jaxpr, closed.
      params: how many of its inputs, the first ones, are parameters.
      reader: a new one.
      shapes: of the parameters.

    Returns:
      What it says of each.
    """
    tracked = [Tracked(n, (True,) * len(shapes[n]), leads=bool(shapes[n])) for n in range(params)]
    inputs = len(program.jaxpr.invars) - params
    data = [Value(reader.number((-3, n)), data=True) for n in range(inputs)]
    results = reader.read(program, [*tracked, *data])
    out = join(0, [reader.mark_untracked((-4,), each, "is an output itself") for each in results])
    uses = {param: list(by_path.values()) for param, by_path in reader.uses.items()}
    last = frozenset(param for param, _ in out.last)
    return Usage(uses, reader.residual, reader.gates, last, reader.stacked)
