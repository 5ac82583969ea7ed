"""Goes through a traced program with what is known of its arrays, and keeps what is predicted."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab.programs.control import Call, Cond, Scan, control
from initlab.programs.primitives import CONTRACTIONS, MOVES
from initlab.programs.walk import walk
from initlab.signals.population import SIZE, Drawn, Kind, Known, Normals, Sampled, Unfollowed
from initlab.signals.population_kinds import as_sampled, reason_of
from initlab.signals.population_rules import apply_rule
from initlab.taps.statistics import EXAMPLES

__all__ = ["Entry", "PlacePrediction", "Reader"]

MOST_ITERATIONS = 200
"""Iterations of a loop that are followed one by one."""

Entry = tuple[str, tuple[int, ...]]
"""A weight by its path, and by the iterations of the loops that slice it."""


@dataclasses.dataclass(frozen=True)
class PlacePrediction:
    """What is predicted of one signal.

    Attributes:
      rms: root mean square, over examples, positions and units.
      cosine_distance: 1 - cosine of two examples; NaN where they lie on no axis of their own.
    """

    rms: float
    cosine_distance: float


class Reader:
    """Goes through a program, and keeps what is predicted of its products.

    Attributes:
      places: what is predicted of each place.
      unfollowed: why nothing is, of the others.
      failed: of each weight that meets data in a way that has no rule, why; it may have a place
        where it met them before.
      factors: what each weight was multiplied by, so that its product has the mean square wanted.
    """

    def __init__(self, examples: int, wanted: Mapping[str, float] | None = None) -> None:
        """Begins a pass.

        Args:
          examples: of the batch.
          wanted: the mean square that each product is given, by place: 1 where none is named, and
            none changes what is zero. Nothing is changed when absent.
        """
        self.places: dict[str, PlacePrediction] = {}
        self.unfollowed: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.factors: dict[Entry, float] = {}
        self._examples = examples
        self._wanted = wanted
        self._normals = Normals()
        self._met: set[str] = set()

    def input(self, leaf: Any) -> Known | Sampled:
        """Inputs as they are; of a shape alone, standard normals whose last axis is one of units.

        Raises:
          TypeError: for the shape of what is not floating.
        """
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return Known(jnp.asarray(leaf), True)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"batch must hold arrays, or shapes of floating ones, got a shape of {leaf.dtype}"
            )
        units = int(len(leaf.shape) > 1)
        sites = (*leaf.shape[: len(leaf.shape) - units], *(1,) * units)
        values = self._normals.draw(math.prod(sites)).reshape(SIZE, *sites)
        kinds = (Kind.SITE,) * (len(sites) - units) + (Kind.UNIT,) * units
        return Sampled(jnp.asarray(values, leaf.dtype), tuple(leaf.shape), kinds)

    def read(self, program: Any, operands: Sequence[Any]) -> list[Any]:
        """What is known of a program's outputs."""
        return walk(
            program,
            operands,
            self._step,
            constant=lambda value: Known(jnp.asarray(value)),
            unused=_unused,
        )

    def record(self, name: str, each: Any) -> None:
        """Keeps the statistics of a place; a bias that follows a product takes its place."""
        if isinstance(each, Unfollowed):
            self.unfollowed[name] = each.reason
        elif not isinstance(each, Drawn):
            self.places[name] = self._statistics(as_sampled(each))

    def _statistics(self, x: Sampled) -> PlacePrediction:
        values = np.asarray(x.values, np.float64)
        axis = next(
            (
                axis
                for axis, (kind, size) in enumerate(zip(x.kinds, x.shape, strict=True))
                if size >= self._examples and kind == Kind.SITE
            ),
            None,
        )
        distance = float("nan")
        if axis is not None and x.shape[axis] > 1:
            rows = np.moveaxis(values, axis + 1, 0)[:EXAMPLES].reshape(
                min(EXAMPLES, x.shape[axis]), -1
            )
            with np.errstate(invalid="ignore"):
                rows = rows / np.sqrt(np.sum(rows**2, axis=1, keepdims=True))
            distance = float(np.sum((rows - rows.mean(axis=0)) ** 2) / (len(rows) - 1))
        return PlacePrediction(float(np.sqrt(np.mean(values**2))), distance)

    def _step(self, equation: Any, operands: list[Any]) -> list[Any]:
        inner = control(equation)
        if isinstance(inner, Call):
            return self.read(inner.body, operands)
        if isinstance(inner, Scan):
            return self._scan(inner, operands)
        if isinstance(inner, Cond) and isinstance(operands[0], Known) and not operands[0].is_data:
            return self.read(inner.branches[int(operands[0].value)], operands[1:])
        if inner is not None:
            return [Unfollowed("a loop or a branch that data decide")] * len(equation.outvars)
        is_product = equation.primitive.name in CONTRACTIONS
        results = self._apply(equation, operands)
        if is_product and self._wanted is not None:
            results = [self._resized(each, operands, self._wanted) for each in results]
        failed = next((each for each in results if isinstance(each, Unfollowed)), None)
        # Behind what cannot be followed a product has a place all the same, a bias has none.
        if failed is not None and (is_product or reason_of(operands) is None):
            for each in operands:
                if isinstance(each, Drawn):
                    self.failed[each.name] = failed.reason
                    if each.name not in self.places:
                        self.unfollowed[each.name] = failed.reason
        for each in [] if equation.primitive.name in MOVES else results:
            if isinstance(each, Sampled) and each.place is not None:
                self.record(each.place, each)
        return results

    def _resized(self, result: Any, operands: Sequence[Any], wanted: Mapping[str, float]) -> Any:
        """A weight's product as large as it is to be; what that takes is kept."""
        weight = next((each for each in operands if isinstance(each, Drawn)), None)
        if weight is None or not isinstance(result, Sampled):
            return result
        square = float(np.mean(np.square(np.asarray(result.values, np.float64))))
        if square == 0:
            return result
        factor = np.sqrt(wanted.get(weight.name, 1.0) / square)
        self.factors[weight.path, weight.index] = float(factor)
        values = result.values * jnp.asarray(factor, result.values.dtype)
        return dataclasses.replace(result, values=values)

    def _apply(self, equation: Any, operands: list[Any]) -> list[Any]:
        """The rule's results; nothing of a parameter that has met the data before."""
        if reason_of(operands) is None and any(map(_is_signal, operands)):
            met = [each.name for each in operands if isinstance(each, Drawn)]
            again = next((name for name in met if name in self._met), None)
            self._met.update(met)
            if again is not None:
                return [Unfollowed(f"{again} is used again")] * len(equation.outvars)
        return apply_rule(self._normals, equation, operands)

    def _scan(self, scan: Scan, operands: list[Any]) -> list[Any]:
        shared, carry, sliced = scan.split(operands)
        if scan.length > MOST_ITERATIONS:
            unknown = Unfollowed(f"a loop of {scan.length} iterations")
            return [unknown] * len(scan.body.jaxpr.outvars)
        rows: list[list[Any]] = [[] for _ in scan.body.jaxpr.outvars[scan.carried :]]
        turns = range(scan.length)
        for turn in reversed(turns) if scan.reverse else turns:
            found = self.read(
                scan.body, [*shared, *carry, *(_slice(each, turn) for each in sliced)]
            )
            carry = found[: scan.carried]
            for kept, each in zip(rows, found[scan.carried :], strict=True):
                kept.append(each)
        if scan.reverse:
            rows = [kept[::-1] for kept in rows]
        return [*carry, *map(_stacked, rows)]


def _unused(aval: Any) -> Known | Unfollowed:
    """A result that bears on nothing; one without entries may be joined to others."""
    if 0 in getattr(aval, "shape", ()):
        return Known(jnp.zeros(aval.shape, aval.dtype))
    return Unfollowed("a result that bears on nothing")


def _is_signal(each: Any) -> bool:
    return isinstance(each, Sampled) or (isinstance(each, Known) and each.is_data)


def _slice(each: Any, turn: int) -> Any:
    if isinstance(each, Drawn):
        return Drawn(each.values[:, turn], each.path, (*each.index, turn))
    if isinstance(each, Known):
        return Known(each.value[turn], each.is_data)
    if isinstance(each, Sampled):
        if each.kinds[0] in (Kind.UNIT, Kind.FLAT):
            return Unfollowed("a loop over units")
        at = turn if each.kinds[0] == Kind.SITE else 0
        return Sampled(each.values[:, at], each.shape[1:], each.kinds[1:])
    return each


def _stacked(rows: list[Any]) -> Any:
    """What a loop gives of all its iterations."""
    if unknown := reason_of(rows):
        return unknown
    if all(isinstance(each, Known) for each in rows):
        return Known(jnp.stack([each.value for each in rows]), any(each.is_data for each in rows))
    if all(isinstance(each, Drawn) for each in rows):
        return Drawn(jnp.stack([each.values for each in rows], 1), rows[0].path)
    sampled = [as_sampled(each) for each in rows if not isinstance(each, Drawn)]
    if len(sampled) < len(rows) or len({each.kinds for each in sampled}) > 1:
        return Unfollowed("a loop that gives other kinds of arrays each time")
    size = max(len(each.values) for each in sampled)
    values = [jnp.broadcast_to(each.values, (size, *each.values.shape[1:])) for each in sampled]
    kinds = (Kind.SITE, *sampled[0].kinds)
    return Sampled(jnp.stack(values, 1), (len(rows), *sampled[0].shape), kinds)
