"""How a model uses each of its parameters, read off its traced program."""

import dataclasses
import itertools
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from initlab.adoption.axes import axes_of_result, members_of_result
from initlab.adoption.facts import Known, Tracked, Use, Value, join
from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.primitives import ELEMENTWISE, UNCHANGED
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
      branch_gates: scalars and vectors that multiply a branch before it is added to its stream.
      readouts: those that are the only last weight of an output, and no inner one of another.
      stacked: how many slices a scan takes of each.
    """

    uses: dict[int, list[Use]]
    residual: frozenset[int]
    gates: set[int]
    branch_gates: set[int]
    readouts: frozenset[int]
    stacked: dict[int, int]


class Reader:
    """Follows arrays through a program, equation by equation, and notes the uses it meets.

    Attributes:
      members: axes `(parameter, axis)` of members that are known before.
      found_members: those found out: free axes of weights that a later weight has matrices for.
      partners: of a part of complex weights the other parts.
    """

    def __init__(
        self,
        rules: dict[str, Rule],
        otherwise: Callable[..., list[Known]],
        members: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self.rules, self.otherwise = rules, otherwise
        self.members = members
        self.found_members: set[tuple[int, int]] = set()
        self._origins: list[tuple[int, int]] = []
        self.uses: dict[int, dict[Path, Use]] = defaultdict(dict)
        self.residual: set[int] = set()
        self.gates: set[int] = set()
        self.branch_gates: set[int] = set()
        self.stacked: dict[int, int] = {}
        self.partners: dict[int, frozenset[int]] = {}
        self._numbers: dict[Path, int] = {}

    def number(self, path: Path) -> int:
        """The identity of what an equation gives; the same each time a loop is read again."""
        # By path, not by count: a fixed point is reached when nothing has changed, identities too.
        return self._numbers.setdefault(path, len(self._numbers) + 1)

    def origin(self, param: int, axis: int) -> int:
        """A bit for an axis of a weight, to follow it through what the weight's product becomes."""
        if (param, axis) not in self._origins:
            self._origins.append((param, axis))
        return 1 << self._origins.index((param, axis))

    def note_members(self, origins: int) -> None:
        """Notes that what began as these axes of weights is members of another weight."""
        self.found_members |= {each for bit, each in enumerate(self._origins) if origins >> bit & 1}

    def note(self, path: Path, tracked: Tracked, use: Use) -> None:
        """Notes a use; a loop that is read again replaces what it said before."""
        self.partners[tracked.param] = self.partners.get(tracked.param, frozenset()) | (
            tracked.partners
        )
        for param in tracked.params:
            self.uses[param][(*path, param)] = use
            if tracked.stacked:
                self.stacked[param] = tracked.stacked

    def mark_untracked(self, path: Path, known: Known, why: str) -> Value:
        """A parameter that goes where it cannot be followed: a value like any other from there."""
        if isinstance(known, Value):
            return known
        self.note(path, known, Use(Role.WEIGHT, 0, 0, why))
        # Equations count from 0, so that a negative entry is no other value's path.
        return Value(self.number((*path, -1, known.param)), weights=known.params)

    def read(self, program: Any, operands: Sequence[Known], path: Path = ()) -> list[Known]:
        """What is known of a program's results. Dead code notes no use."""
        places = itertools.count()

        def step(equation: Any, operands: list[Known]) -> list[Known]:
            return self._results(equation, (*path, next(places)), operands)

        return walk(
            program, operands, step, constant=lambda value: Value(), unused=lambda aval: Value()
        )

    def _results(self, equation: Any, path: Path, operands: list[Known]) -> list[Known]:
        if not equation.outvars:
            # An effect alone, as a print: what it is given is not used by it.
            return []
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
        if results is None:
            results = self.otherwise(self, equation, path, operands)
        return (
            results
            if equation.primitive.name in UNCHANGED
            else _with_members(equation, operands, results)
        )

    def _scan(self, loop: Scan, path: Path, operands: list[Known]) -> list[Known]:
        shared, given, sliced = loop.split(operands)
        slices = [self._slice(each, loop.length, path) for each in sliced]

        def step(carry: list[Known]) -> list[Known]:
            return self.read(loop.body, [*shared, *carry, *slices], path)

        results = self._loop(step, given, path)
        return [*results[: loop.carried], *map(_stacked, results[loop.carried :])]

    def _slice(self, known: Known, length: int, path: Path) -> Known:
        if isinstance(known, Value):
            # The slice lacks the first axis, and the flags in `linear` are one for each axis.
            return dataclasses.replace(
                known, linear=None, members=known.members[1:], origins=known.origins[1:]
            )
        # Stacked layers lie along the first axis. A slice of a slice is of a loop within a loop,
        # whose layers a ParamSpec has no names for.
        if not known.leads or known.stacked:
            why = "is scanned along an axis that is not its first"
            return self.mark_untracked(path, known, why)
        # It is whole, so that the others are numbered as a slice's are.
        axes = tuple(each and tuple(n - 1 for n in each) for each in known.axes[1:])
        return dataclasses.replace(
            known,
            own=known.own[1:],
            axes=axes,
            sizes=known.sizes[1:],
            leads=False,
            stacked=length,
        )

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


def _stacked(known: Known) -> Known:
    """What a scan hands out: of every iteration one, along a new first axis."""
    if not isinstance(known, Value):
        return known
    linear = known.linear
    if linear is not None:
        linear = linear._replace(features=(False, *linear.features))
    members = known.members and (1, *known.members)
    origins = known.origins and (0, *known.origins)
    return dataclasses.replace(known, linear=linear, members=members, origins=origins)


def _with_members(equation: Any, operands: Sequence[Known], results: list[Known]) -> list[Known]:
    """Results with the members on their axes; a product's rule knows those of its weight."""
    if (
        any(isinstance(each, Tracked) for each in operands)
        and equation.primitive.name not in ELEMENTWISE
    ):
        return results
    counts = [each.members if isinstance(each, Value) else () for each in operands]
    began = [each.origins if isinstance(each, Value) else () for each in operands]
    members = members_of_result(equation, counts) if equation.outvars else ()
    origins = axes_of_result(equation, began, 0, operator.or_) if equation.outvars else ()
    return [
        dataclasses.replace(each, members=members, origins=origins)
        if isinstance(each, Value)
        else each
        for each in results
    ]


def read_usage(
    program: Any,
    shapes: Sequence[tuple[int, ...]],
    rules: dict[str, Rule],
    otherwise: Callable[..., list[Known]],
) -> Usage:
    """Reads a traced `apply(params, x)`.

    Args:
      program: its jaxpr, closed.
      shapes: of the parameters, which are its first inputs.
      rules: by primitive.
      otherwise: the rule of every other primitive.

    Returns:
      What it says of each.
    """
    members: frozenset[tuple[int, int]] = frozenset()
    while True:
        reader = Reader(rules, otherwise, members)
        usage = _read_once(program, shapes, reader)
        # That an axis of the first layer is one of members is seen at the second: once more, so
        # that what is between them is read with that in mind.
        if reader.found_members <= members:
            return usage
        members |= reader.found_members


def _read_once(program: Any, shapes: Sequence[tuple[int, ...]], reader: Reader) -> Usage:
    tracked = [
        Tracked(
            n,
            (True,) * len(shape),
            tuple((axis,) for axis in range(len(shape))),
            tuple(shape),
            bool(shape),
        )
        for n, shape in enumerate(shapes)
    ]
    inputs = len(program.jaxpr.invars) - len(shapes)
    data = [Value(reader.number((-3, n)), data=True) for n in range(inputs)]
    results = reader.read(program, [*tracked, *data])
    outputs = [
        reader.mark_untracked((-4, n), each, "is an output itself")
        for n, each in enumerate(results)
    ]
    uses = {param: list(by_path.values()) for param, by_path in reader.uses.items()}
    readouts = _with_partners(reader, _readouts(outputs))
    residual = _with_partners(reader, reader.residual)
    return Usage(uses, residual, reader.gates, reader.branch_gates, readouts, reader.stacked)


def _with_partners(reader: Reader, params: Iterable[int]) -> frozenset[int]:
    """What is said of a complex weight is said of all its parts."""
    return frozenset(params).union(*(reader.partners.get(each, ()) for each in params))


def _readouts(outputs: Sequence[Value]) -> frozenset[int]:
    last = [frozenset(param for param, _ in each.last) for each in outputs]
    # An output may be what another is computed from, as a code is.
    inner = frozenset[int]().union(
        *(each.weights - ends for each, ends in zip(outputs, last, strict=True))
    )
    return frozenset[int]().union(*(ends for ends in last if len(ends) == 1)) - inner
