"""How a model uses each of its parameters, read off its traced program."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from initlab.adoption.facts import Known, Thread, Use, Value, join
from initlab.programs.equations import inner_program, is_literal, scan_counts
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
        return self._numbers.setdefault(path, len(self._numbers) + 1)

    def note(self, path: Path, thread: Thread, use: Use) -> None:
        """Notes a use; a loop that is read again replaces what it said before."""
        self.uses[thread.param][(*path, thread.param)] = use
        if thread.stacked:
            self.stacked[thread.param] = thread.stacked

    def spend(self, path: Path, known: Known, why: str) -> Value:
        """A parameter that goes where it cannot be followed, as a value from now on."""
        if isinstance(known, Value):
            return known
        self.note(path, known, Use(Role.WEIGHT, 0, 0, why))
        return Value(self.number((*path, -1, known.param)), weights=frozenset({known.param}))

    def read(self, program: Any, operands: Sequence[Known], path: Path = ()) -> list[Known]:
        """What is known of a program's results."""
        jaxpr = program.jaxpr
        known: dict[Any, Known] = dict(zip(jaxpr.invars, operands, strict=True))
        known |= dict.fromkeys(jaxpr.constvars, Value())

        def look_up(atom: Any) -> Known:
            return Value() if is_literal(atom) else known[atom]

        for place, equation in enumerate(jaxpr.eqns):
            here = (*path, place)
            results = self._results(equation, here, [look_up(each) for each in equation.invars])
            known |= dict(zip(equation.outvars, results, strict=True))
        return [look_up(each) for each in jaxpr.outvars]

    def _results(self, equation: Any, path: Path, operands: list[Known]) -> list[Known]:
        name = equation.primitive.name
        if name == "scan":
            return self._scan(equation, path, operands)
        if name == "while":
            return self._while(equation, path, operands)
        if name == "cond":
            _, *rest = operands
            branches = [
                self.read(branch, rest, (*path, n))
                for n, branch in enumerate(equation.params["branches"])
            ]
            return [
                self._merge((*path, n), each) for n, each in enumerate(zip(*branches, strict=True))
            ]
        body = inner_program(equation.params)
        if body is not None and len(body.jaxpr.invars) == len(operands):
            return self.read(body, operands, path)
        results = self.rules.get(name, self.otherwise)(self, equation, path, operands)
        return self.otherwise(self, equation, path, operands) if results is None else results

    def _scan(self, equation: Any, path: Path, operands: list[Known]) -> list[Known]:
        constants, carries = scan_counts(equation.params)
        length = equation.params["length"]
        fixed, given = operands[:constants], operands[constants : constants + carries]
        slices = [self._slice(each, length, path) for each in operands[constants + carries :]]

        def step(carry: list[Known]) -> list[Known]:
            return self.read(equation.params["jaxpr"], [*fixed, *carry, *slices], path)

        return self._loop(step, given, path)

    def _slice(self, known: Known, length: int, path: Path) -> Known:
        if isinstance(known, Value):
            return dataclasses.replace(known, linear=None)
        if not known.leads or known.stacked:
            return self.spend(path, known, "is scanned along an axis that is not its first")
        return Thread(known.param, known.own[1:], leads=False, stacked=length)

    def _while(self, equation: Any, path: Path, operands: list[Known]) -> list[Known]:
        skipped, constants = (equation.params[f"{part}_nconsts"] for part in ("cond", "body"))
        fixed = operands[skipped : skipped + constants]

        def step(carry: list[Known]) -> list[Known]:
            return self.read(equation.params["body_jaxpr"], [*fixed, *carry], path)

        return self._loop(step, operands[skipped + constants :], path)

    def _loop(self, step: Callable, given: Sequence[Known], path: Path) -> list[Known]:
        """Reads a loop's body until what is known of the carry no longer grows."""
        start = [self.spend(path, each, "is where a loop starts") for each in given]
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
                for back in [self.spend(path, out, "is carried by a loop")]
            ]
            if grown == carry:
                above = join(0, start).above
                return [
                    dataclasses.replace(each, above=each.above | above)
                    if isinstance(each, Value)
                    else self.spend(path, each, "leaves a loop")
                    for each in results
                ]
            carry = grown

    def _merge(self, path: Path, each: Sequence[Known]) -> Known:
        if all(one == each[0] for one in each):
            return each[0]
        why = "is one of a cond's results"
        return join(self.number(path), [self.spend(path, one, why) for one in each])


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
    threads = [Thread(n, (True,) * len(shapes[n]), leads=bool(shapes[n])) for n in range(params)]
    inputs = len(program.jaxpr.invars) - params
    data = [Value(reader.number((-3, n)), data=True) for n in range(inputs)]
    results = reader.read(program, [*threads, *data])
    out = join(0, [reader.spend((-4,), each, "is an output itself") for each in results])
    uses = {param: list(by_path.values()) for param, by_path in reader.uses.items()}
    last = frozenset(param for param, _ in out.last)
    return Usage(uses, reader.residual, reader.gates, last, reader.stacked)
