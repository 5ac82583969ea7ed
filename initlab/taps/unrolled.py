"""Recurrences that Python has unrolled: parameters that are used step by step, each on other data.

A scan says that it is a loop. Without one, steps in time are uses of the same parameters in a row,
each of which depends on the one before and takes another slice of the same data. Layers that share
their parameters take no slices, and those that take slices depend on none before.
"""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.programs.control import Call, control
from initlab.programs.equations import run_equation
from initlab.programs.primitives import CALLBACKS, CONTRACTIONS, PASSING, SLICES
from initlab.programs.walk import walk
from initlab.taps.facts import Key
from initlab.taps.scope import Scope, Site, bits

__all__ = ["Unrolled", "add_unrolled", "find_unrolled", "memory_of"]

FEWEST = 4
"""Of fewer uses in a row nothing is said."""


@dataclasses.dataclass(frozen=True)
class Unrolled:
    """One recurrence.

    Attributes:
      names: bit set of the parameters that multiply its state.
      uses: of each equation that does, the numbers of its uses, step by step, as long as the
        shortest; equations are numbered as they are read, calls in their places.
      steps: how many steps in time lie between the first use and the last.
    """

    names: int
    uses: tuple[tuple[int, ...], ...]
    steps: int


@dataclasses.dataclass(frozen=True)
class _Value:
    """What is known of an array: its number, parameters, uses and slices before it (bit sets)."""

    number: int
    params: int = 0
    is_data: bool = False
    uses: int = 0
    slices: int = 0


@dataclasses.dataclass(frozen=True)
class _Use:
    """A product of parameters and data: what it is, and what its data depend on."""

    equation: int
    kind: tuple[str, int, tuple[int, ...]]
    names: int
    before: int
    slices: int


class _Reader:
    """Reads a program once; uses and slices are bits in the order in which they are met."""

    def __init__(self) -> None:
        self.uses: list[_Use] = []
        self.sources: list[int] = []
        self._equations = 0
        self._known: dict[Hashable, int] = {}
        self._slices: dict[int, int] = {}

    def number(self, key: Hashable) -> int:
        """The number of a value; of equal keys it is the same value."""
        return self._known.setdefault(key, len(self._known))

    def constant(self, value: Any) -> _Value:
        """A number or an array that is written into the program."""
        is_number = np.ndim(value) == 0 and isinstance(value, int | float | np.generic | np.ndarray)
        return _Value(self.number(("constant", str(value) if is_number else id(value))))

    def unused(self, _: Any) -> _Value:
        """A result of dead code."""
        return self.constant(0)

    def read(self, program: Any, operands: Sequence[_Value]) -> list[_Value]:
        """What is known of a program's outputs."""
        return walk(program, operands, self.step, constant=self.constant, unused=self.unused)

    def step(self, equation: Any, operands: list[_Value]) -> list[_Value]:
        """An equation's results."""
        held = control(equation)
        if isinstance(held, Call):
            return self.read(held.body, operands)
        place, self._equations = self._equations, self._equations + 1
        name = equation.primitive.name
        params = _joined(each.params for each in operands)
        found = _Value(
            0,
            params,
            any(each.is_data for each in operands),
            _joined(each.uses for each in operands),
            _joined(each.slices for each in operands),
        )
        if name == "stop_gradient":
            found = dataclasses.replace(found, uses=0)
        weights = _joined(each.params for each in operands if not each.is_data)
        if found.is_data and weights and (name in CONTRACTIONS or name == "mul"):
            kind = (name, weights, equation.outvars[0].aval.shape)
            bit = 1 << len(self.uses)
            self.uses.append(_Use(place, kind, weights, found.uses, found.slices))
            found = dataclasses.replace(found, uses=found.uses | bit)
        # What is moved or sliced twice alike is one value; others are each their own.
        is_same = name in PASSING | SLICES or not (params or found.is_data)
        about = (name, str(equation.params)) if is_same else ("equation", place)
        numbers = tuple(each.number for each in operands)
        results = []
        for n in range(len(equation.outvars)):
            each = dataclasses.replace(found, number=self.number((*about, numbers, n)))
            results.append(self._sliced(equation, operands[0], each) if found.is_data else each)
        return results

    def _sliced(self, equation: Any, source: _Value, result: _Value) -> _Value:
        """The result, with a bit of its own where it is a slice of data."""
        if equation.primitive.name not in SLICES | {"unstack"} or not source.is_data:
            return result
        if result.number not in self._slices:
            self._slices[result.number] = len(self.sources)
            self.sources.append(source.number)
        return dataclasses.replace(result, slices=result.slices | 1 << self._slices[result.number])


def _joined(sets: Any) -> int:
    return functools.reduce(operator.or_, sets, 0)


def find_unrolled(program: Any, params: int) -> list[Unrolled]:
    """The recurrences of a program that no loop says.

    Args:
      program: a closed jaxpr of parameters, then inputs.
      params: how many of its inputs are parameters.

    Returns:
      Each recurrence once, whatever number of gates it has.

    >>> def net(p, x):
    ...     h = x[:, 0]
    ...     for t in range(1, 5):
    ...         h = jnp.tanh(h @ p + x[:, t])
    ...     return h
    >>> program = jax.make_jaxpr(net)(jnp.ones((3, 3)), jnp.ones((2, 5, 3)))
    >>> [(each.names, each.steps) for each in find_unrolled(program, 1)]
    [(1, 3)]
    """
    reader = _Reader()
    inputs = [
        _Value(reader.number(("input", n)), 1 << n if n < params else 0, n >= params)
        for n in range(len(program.in_avals))
    ]
    reader.read(program, inputs)
    chains: list[list[int]] = []
    by_kind: dict[Hashable, list[list[int]]] = {}
    for number, use in enumerate(reader.uses):
        of_kind = by_kind.setdefault(use.kind, [])
        chain = next((each for each in of_kind if use.before >> each[-1] & 1), None)
        if chain is None:
            chain = []
            of_kind.append(chain)
            chains.append(chain)
        chain.append(number)
    steps = [_steps(reader, chain) for chain in chains]
    found = [(c, n) for c, n in zip(chains, steps, strict=True) if n >= FEWEST - 1]
    return _together(reader, found)


def _steps(reader: _Reader, chain: Sequence[int]) -> int:
    """How many uses in a row take a slice of the same data that none before has taken."""
    if len(chain) < FEWEST:
        return 0
    uses = [reader.uses[number] for number in chain]
    new = [after.slices & ~before.slices for before, after in itertools.pairwise(uses)]
    sources = [{reader.sources[bit] for bit in bits(each)} for each in new if each]
    return len(sources) if sources and set.intersection(*sources) else 0


def _together(reader: _Reader, chains: Sequence[tuple[list[int], int]]) -> list[Unrolled]:
    """Chains that depend on one another, as the gates of a cell do, are one recurrence."""
    groups: list[list[tuple[list[int], int]]] = []
    for chain, steps in chains:
        for group in groups:
            other = group[0][0]
            # Gates meet the state at different times in a step, so two steps lie between.
            mutual = [(chain[2], other[0]), (other[2], chain[0])]
            if all(reader.uses[later].before >> first & 1 for later, first in mutual):
                group.append((chain, steps))
                break
        else:
            groups.append([(chain, steps)])
    found = []
    for group in groups:
        # What a product sums says more of a state than a scale of it.
        summing = [each for each in group if reader.uses[each[0][0]].kind[0] in CONTRACTIONS]
        group = summing or group
        length = min(len(chain) for chain, _ in group)
        names = _joined(reader.uses[chain[0]].names for chain, _ in group)
        uses = [tuple(reader.uses[n].equation for n in chain[:length]) for chain, _ in group]
        found.append(Unrolled(names, tuple(uses), min(steps for _, steps in group)))
    return found


def add_unrolled(program: Any, params: int, plan: Scope) -> dict[Key, Unrolled]:
    """The recurrences of `find_unrolled`, each with a place among the sites of a program.

    Args:
      program: a closed jaxpr.
      params: how many of its inputs are parameters.
      plan: gains the places; its notes gain what has no derivative.

    Returns:
      The recurrences by the keys of their places.
    """
    found = {}
    for each in find_unrolled(program, params):
        # Outside of the trial, where a fault that is no derivative's is told.
        jax.eval_shape(lambda given, of=each: _products(program, given, of)(None), program.in_avals)
        run = functools.partial(_pushed, program, unrolled=each)
        try:
            jax.eval_shape(run, program.in_avals)
        # JAX raises any of these of a kernel without a derivative; nothing else is tried here.
        except (NotImplementedError, TypeError, ValueError):
            plan.notes.not_followed.add(each.names)
            continue
        found[plan.key(plan.add(Site("state", each.names, "", gradient=False)))] = each
    return found


def memory_of(program: Any, operands: Sequence[Any], unrolled: Unrolled) -> dict[str, jax.Array]:
    """What a step of an unrolled recurrence keeps of a change of its state.

    A random change of the first products is pushed through all later ones.

    Args:
      program: a closed jaxpr.
      operands: its inputs.
      unrolled: one of its recurrences.

    Returns:
      memory, the mean logarithm of |J v| / |v| over a step, as that of a loop (`taps.memory`); rms
      of the last products.
    """
    values, moved = _pushed(program, operands, unrolled)
    norms = jnp.stack(
        [
            jnp.sqrt(sum(jnp.sum(jnp.square(moved[n].astype(jnp.float32))) for n in numbers))
            for numbers in zip(*unrolled.uses, strict=True)
        ]
    )
    last = values[unrolled.uses[0][-1]]
    per_step = (len(norms) - 1) / unrolled.steps
    return {
        "rms": jnp.sqrt(jnp.mean(jnp.square(last.astype(jnp.float32)))),
        "memory": _mean_log(norms, last.dtype) * per_step,
        "fastest": jnp.full((), jnp.nan),
    }


def _products(program: Any, operands: Sequence[Any], unrolled: Unrolled) -> Callable:
    """A function of changes of a recurrence's first products, or of None: all its products."""
    held = jax.lax.stop_gradient(list(operands))
    firsts = {chain[0]: n for n, chain in enumerate(unrolled.uses)}
    wanted = {number for chain in unrolled.uses for number in chain}

    def run(changes: Sequence[Any] | None) -> dict[int, jax.Array]:
        found: dict[int, jax.Array] = {}
        count = [0]

        def step(equation: Any, operands: list[Any]) -> list[Any]:
            inner = control(equation)
            if isinstance(inner, Call):
                return _run(inner.body, operands, step)
            place, count[0] = count[0], count[0] + 1
            if equation.primitive.name in CALLBACKS:
                operands = [jax.lax.stop_gradient(jnp.asarray(each)) for each in operands]
            results = list(run_equation(equation, operands))
            if changes is not None and place in firsts:
                results[0] = results[0] + changes[firsts[place]]
            if place in wanted:
                found[place] = results[0]
            return results

        _run(program, held, step)
        return found

    return run


def _pushed(program: Any, operands: Sequence[Any], unrolled: Unrolled) -> Any:
    """The products of a recurrence by their numbers, and how they change with the first."""
    run = _products(program, operands, unrolled)
    shapes = jax.eval_shape(run, None)
    at_first = [shapes[chain[0]] for chain in unrolled.uses]
    keys = jax.random.split(jax.random.key(0), len(at_first))
    pairs = list(zip(keys, at_first, strict=True))
    drawn = [jax.random.normal(key, each.shape, each.dtype) for key, each in pairs]
    zeros = [jnp.zeros(each.shape, each.dtype) for each in at_first]
    return jax.jvp(run, (zeros,), (drawn,))


def _mean_log(norms: jax.Array, dtype: Any) -> jax.Array:
    """The mean growth of a logarithm from the second entry on, to the last that is no underflow."""
    least = max(float(jnp.finfo(dtype).tiny), float(jnp.finfo(jnp.float32).tiny)) * 1e4
    is_seen = jnp.cumprod(norms > least)
    last = jnp.maximum(jnp.sum(is_seen) - 1, 0)
    # The first step may only be the way from a gate to the state.
    first = jnp.minimum(1, jnp.maximum(last - 1, 0))
    logs = jnp.log(jnp.maximum(norms, least))
    grown = (logs[last] - logs[first]) / jnp.maximum(last - first, 1).astype(logs.dtype)
    return jnp.where(last > first, grown, jnp.log(least))


def _run(program: Any, operands: Sequence[Any], step: Callable) -> list[Any]:
    def unused(aval: Any) -> Any:
        return (
            jnp.zeros(aval.shape, aval.dtype)
            if hasattr(aval, "shape") and 0 in aval.shape
            else None
        )

    return walk(program, operands, step, constant=lambda value: value, unused=unused)
