"""Which inputs of zeros keep an array of a program at zero: by which of them alone it opens."""

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.equations import run_equation
from initlab.programs.primitives import (
    CONTRACTIONS,
    CUMULATIVE,
    ELEMENTWISE,
    INDEXING,
    ORDERED,
    PASSING,
    REDUCTIONS,
    SCATTERS,
    SLICES,
    UNCHANGED,
    ZERO_AT_ZERO,
)
from initlab.programs.walk import walk

__all__ = ["NONZERO", "Number", "Ways", "find_ways"]

Ways = frozenset[int]
"""Bit sets of inputs, none of which holds another: an array is not zero as soon as all inputs of
one of them are not. Empty for what is always zero."""

NONZERO: Ways = frozenset({0})
"""What waits for no input."""

Number = tuple[float | tuple[float, ...], Ways | Sequence[Ways]]
"""What all entries of an input are, and its bit as a way of its own; or what each row is."""

ALWAYS_ZERO: Ways = frozenset()

MOST = 64
"""Ways that are kept of one array, those with the fewest inputs: a network of that many branches
is known, and products of unions stay small."""

LARGEST = 10**6
"""Entries of a constant that are looked at; a larger one is taken for not zero."""


class _Known(NamedTuple):
    """What is carried with an array.

    Attributes:
      ways: its ways, or its rows'.
      value: the one number that all its entries are, where that is known, or its rows'.
      sources: the inputs that the number is made of, one in each way; or its rows'.
    """

    ways: Ways | tuple[Ways, ...]
    value: float | tuple[float, ...] | None = None
    sources: Ways | tuple[Ways, ...] = frozenset()

    @property
    def single(self) -> float | None:
        return None if isinstance(self.value, tuple) else self.value

    @property
    def whole(self) -> Ways:
        return _whole(self.ways)

    def row(self, number: int) -> Ways:
        return _row(self.ways, number)

    def slice(self, number: int) -> "_Known":
        value = self.value[number] if isinstance(self.value, tuple) else self.value
        return _Known(self.row(number), value, _row(self.sources, number))


def _whole(ways: Ways | tuple[Ways, ...]) -> Ways:
    return _either(ways) if isinstance(ways, tuple) else ways


def _row(ways: Ways | tuple[Ways, ...], number: int) -> Ways:
    return ways[number] if isinstance(ways, tuple) else ways


def find_ways(
    program: Any,
    inputs: Sequence[Ways | Sequence[Ways]],
    numbers: Mapping[int, Number] = MappingProxyType({}),
) -> list[list[Ways]]:
    """The ways in which each output of a program stops being zero, read off its equations.

    A product needs both factors, a sum one term, a function that is zero at zero its operand; what
    an unknown operation gives is not zero. So it is exact for what is zero because factors are. Of
    terms that cancel it knows those that are made of given numbers alone, as a gate `g - 1` at 1:
    it opens as soon as one of these moves.

    Args:
      program: a closed jaxpr.
      inputs: of each of its inputs the ways, or those of each of its rows.
      numbers: of inputs that hold one number, `{input: (the number, ways of one bit each)}`; the
        bit of an input, or those of its rows.

    Returns:
      Of each output the ways of its rows, or of the one whole that it is.

    >>> import jax
    >>> program = jax.make_jaxpr(lambda a, b, x: jnp.tanh(a) * (b * x) + a)(0.0, 0.0, 1.0)
    >>> find_ways(program, [frozenset({1}), frozenset({2}), NONZERO])
    [[frozenset({1})]]
    >>> program = jax.make_jaxpr(lambda g, x: (g - 1) * x)(1.0, 1.0)
    >>> find_ways(program, [NONZERO, NONZERO], {0: (1.0, frozenset({1}))})
    [[frozenset({1})]]
    """
    given = [_Known(_of_rows(each)) for each in inputs]
    for place, (value, sources) in numbers.items():
        given[place] = _Known(given[place].ways, value, _of_rows(sources))
    results = _read(program, given)
    return [list(k.ways) if isinstance(k.ways, tuple) else [k.ways] for k in results]


def _read(program: Any, operands: Sequence[_Known]) -> list[_Known]:
    return walk(
        program, operands, _step, constant=_of_constant, unused=lambda aval: _Known(ALWAYS_ZERO)
    )


def _of_constant(value: Any) -> _Known:
    dtype = getattr(value, "dtype", None) or np.result_type(value)
    # A key is no number.
    is_number = jnp.issubdtype(dtype, jnp.number) or dtype == jnp.bool_
    if isinstance(value, Tracer) or np.size(value) > LARGEST or not is_number:
        return _Known(NONZERO)
    array = np.asarray(value)
    single = array.flat[0].item() if array.size == 1 and not np.iscomplexobj(array) else None
    return _Known(NONZERO if array.any() else ALWAYS_ZERO, single)


@functools.cache
def _minimal(ways: Ways) -> Ways:
    kept: list[int] = []
    for way in sorted(ways, key=lambda way: (way.bit_count(), way)):
        if not any(way & each == each for each in kept):
            kept.append(way)
        if len(kept) == MOST:
            break
    return frozenset(kept)


def _either(each: Iterable[Ways]) -> Ways:
    """Of a sum: one term is enough."""
    return _minimal(frozenset[int]().union(*each))


def _both(one: Ways, other: Ways) -> Ways:
    """Of a product: each factor is needed."""
    if one == NONZERO or not other:
        return other
    if other == NONZERO or not one:
        return one
    return _minimal(frozenset(a | b for a, b in itertools.product(one, other)))


def _of_rows(ways: Ways | Sequence[Ways]) -> Ways | tuple[Ways, ...]:
    return ways if isinstance(ways, frozenset) else _merged(tuple(ways))


def _merged(rows: tuple[Ways, ...]) -> Ways | tuple[Ways, ...]:
    return rows[0] if len(set(rows)) == 1 else rows


def _step(equation: Any, operands: list[_Known]) -> list[_Known]:
    match control(equation):
        case Call(body=body):
            return _read(body, operands)
        case Cond(branches):
            each = [_read(branch, operands[1:]) for branch in branches]
            return [_Known(_either(k.whole for k in column)) for column in zip(*each, strict=True)]
        case Scan() as loop:
            return _scan(loop, operands)
        case While() as loop:
            return _while(loop, operands)
    name = equation.primitive.name
    # What a zero is compared with counts, but not that it is zero: it may open.
    values = [k.single if not k.sources or k.whole == NONZERO else None for k in operands]
    count = len(equation.outvars)
    if name in UNCHANGED and len(operands) == count:
        return operands
    if name in ELEMENTWISE | UNCHANGED and any(isinstance(k.ways, tuple) for k in operands):
        lengths = {len(k.ways) for k in operands if isinstance(k.ways, tuple)}
        if lengths == {equation.outvars[0].aval.shape[0]}:
            rows = (
                _result(equation, [k.row(n) for k in operands], values) for n in range(*lengths)
            )
            return [_Known(_merged(tuple(rows)))] * count
    ways = _result(equation, [k.whole for k in operands], values)
    if name in PASSING and name != "neg" and len(operands) == 1:
        return [_Known(ways, operands[0].value, operands[0].sources)] * count
    return [_number(equation, operands, ways)] * count


def _number(equation: Any, operands: Sequence[_Known], ways: Ways) -> _Known:
    """The result of an operation on numbers, computed; one that is zero opens with any of them."""
    sources = frozenset[int]().union(*(_whole(k.sources) for k in operands))
    values = [k.single for k in operands]
    if equation.primitive.name not in ELEMENTWISE or not sources or None in values:
        return _Known(ways)
    given = [np.asarray(v, e.aval.dtype) for v, e in zip(values, equation.invars, strict=True)]
    value = float(np.real(np.asarray(run_equation(equation, given)[0])))
    return _Known(sources if value == 0 and ways == NONZERO else ways, value, sources)


def _result(equation: Any, ways: list[Ways], values: Sequence[float | None]) -> Ways:
    """The ways of an operation's results, by those of its operands."""
    name = equation.primitive.name
    if name in CONTRACTIONS or name in ("mul", "and"):
        return functools.reduce(_both, ways)
    if name in ("div", "rem") or name in SLICES | REDUCTIONS | CUMULATIVE | ORDERED | {"fft"}:
        return ways[0]
    if name == "select_n":
        chosen, first, *others = ways
        return _either([first, *(_both(chosen, each) for each in others)])
    if name in COMPARISONS:
        return _compared(name, ways, values)
    if name in ("max", "min"):
        return _larger(name, ways, values)
    if name in ("integer_pow", "pow"):
        power = equation.params.get("y", values[-1])
        return ways[0] if power is not None and power > 0 else NONZERO
    if name == "clamp":
        low, high = values[0], values[2]
        is_around = low is not None and high is not None and low <= 0 <= high
        return ways[1] if is_around else NONZERO
    if name in SCATTERS or name == "scatter":
        return _either((ways[0], ways[2]))
    if name == "dynamic_update_slice":
        return _either(ways[:2])
    if name in SUMS or name in INDEXING:
        return _either(ways)
    if name in PASSING or name in ZERO_AT_ZERO:
        return ways[0]
    return NONZERO


SUMS = frozenset({"add", "add_any", "or", "sub", "xor"})

COMPARISONS = frozenset({"eq", "ge", "gt", "le", "lt", "ne"})


def _compared(name: str, ways: list[Ways], values: Sequence[float | None]) -> Ways:
    """False is zero: what is false at zero, and opens with what is compared."""
    numbers = [0.0 if w != NONZERO else value for w, value in zip(ways, values, strict=True)]
    one, other = numbers
    if one is None or other is None:
        return NONZERO
    is_true = {
        "eq": one == other,
        "ne": one != other,
        "ge": one >= other,
        "gt": one > other,
        "le": one <= other,
        "lt": one < other,
    }[name]
    # Beyond a threshold in time, but not before it opens.
    return NONZERO if is_true else _either(w for w in ways if w != NONZERO)


def _larger(name: str, ways: list[Ways], values: Sequence[float | None]) -> Ways:
    """A zero beside a number is the larger of them, or the smaller; or it is that number."""
    for number, value in enumerate(values):
        if value is not None and ways[1 - number] != NONZERO:
            is_other = value <= 0 if name == "max" else value >= 0
            return ways[1 - number] if is_other else NONZERO
    return _either(ways)


def _scan(loop: Scan, operands: Sequence[_Known]) -> list[_Known]:
    shared, carry, sliced = loop.split(operands)
    known: dict[Any, list[_Known]] = {}
    rows: list[list[_Known]] = []
    order = range(loop.length)
    for number in reversed(order) if loop.reverse else order:
        slices = [each.slice(number) for each in sliced]
        given = (*shared, *carry, *slices)
        if given not in known:
            known[given] = _read(loop.body, given)
        results = known[given]
        carry = results[: loop.carried]
        rows.append(results[loop.carried :])
    if loop.reverse:
        rows.reverse()
    stacked = [
        _Known(_merged(tuple(each.whole for each in column))) for column in zip(*rows, strict=True)
    ]
    if not rows:
        stacked = [_Known(ALWAYS_ZERO)] * (len(loop.body.jaxpr.outvars) - loop.carried)
    return [*carry, *stacked]


def _while(loop: While, operands: Sequence[_Known]) -> list[_Known]:
    _, shared, carry = loop.split(operands)
    while True:
        results = _read(loop.body, [*shared, *carry])
        pairs = zip(carry, results, strict=True)
        grown = [_Known(_either((one.whole, other.whole))) for one, other in pairs]
        if grown == carry:
            return grown
        carry = grown
