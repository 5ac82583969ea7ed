"""What theory predicts of any traced model's signals at its start, place by place."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs.control import Call, Cond, Scan, control
from initlab.programs.primitives import MOVES
from initlab.programs.trace import trace
from initlab.programs.walk import walk
from initlab.signals.population import Drawn, Known, Normals, Sampled, Unfollowed
from initlab.signals.population_kinds import as_sampled, reason_of
from initlab.signals.population_rules import apply_rule
from initlab.taps.statistics import EXAMPLES
from initlab.types import Apply, Params

__all__ = ["PlacePrediction", "WholePrediction", "predict", "predict_starts"]

DRAWS = 32
"""Starts that `init` draws: their mean squares are known to 2.5 % where a leaf has 100 entries."""

KEPT = 4
"""Starts whose entries functions of parameters alone are computed of."""

MOST_ITERATIONS = 200
"""Iterations of a loop that are followed one by one."""


@dataclasses.dataclass(frozen=True)
class PlacePrediction:
    """What is predicted of one signal.

    Attributes:
      rms: root mean square, over examples, positions and units.
      cosine_distance: 1 - cosine of two examples; NaN where they lie on no axis of their own.
    """

    rms: float
    cosine_distance: float


@dataclasses.dataclass(frozen=True)
class WholePrediction:
    """What is predicted of a model.

    Attributes:
      places: by the weight's path, as "layer_1/weight" or "layers/weight[2]", each product with its
        bias; "output", "output 2", ... Those that could be followed, in the program's order.
      unfollowed: of the others, why not.
    """

    places: Mapping[str, PlacePrediction]
    unfollowed: Mapping[str, str]


@checks.checked
def predict(
    apply: Apply,
    params: Params = None,
    batch: Any = None,
    *,
    init: Callable[[jax.Array], Params] | None = None,
) -> WholePrediction:
    """`E z^2` and cosines of examples at every product of a wide model, from weights' variances.

    `z = W x` is Gaussian over a wide layer's units, with covariance `E w^2 sum_i E x_i(s) x_i(s')`
    at the sites (examples and positions) s, s'. Activations, norms, residual sums, convolutions,
    pooling and attention are then means over one unit's samples at all sites together: 4,096 of
    them, with exact second moments, so that a prediction is good to about 1 %. Nothing is trained,
    no weight's own entries are used but for their variance.

    What has no rule is not guessed: its places are in `unfollowed`, with the reason, as those
    behind while loops, weights whose entries have a mean, units that are sorted or chosen, and
    parameters that meet the data twice (recurrent ones, a tied readout).

    Args:
      apply: a pure function `(params, batch) -> outputs`.
      params: a pytree of floating arrays, whose variances are taken; left out where `init` draws.
      batch: a pytree of inputs, examples first; of a convnet or a transformer a few examples.
      init: `key -> params`, in the place of params: variances of 32 draws.

    Returns:
      The prediction.

    Raises:
      TypeError: if apply or init is not a function, or a leaf of params is not a floating array.
      ValueError: if there are no params or no examples.

    Source: Poole et al. 2016, arXiv:1606.05340; with any architecture, Yang 2019, arXiv:1910.12478.

    >>> x = jax.random.normal(jax.random.key(0), (4, 50))
    >>> params = {"in": jax.random.normal(jax.random.key(1), (50, 300)), "out": jnp.zeros((300, 1))}
    >>> found = predict(lambda w, x: jax.nn.relu(x @ w["in"]) @ w["out"], params, x)
    >>> abs(found.places["in"].rms / float(jnp.sqrt(jnp.mean(jnp.sum(x**2, 1)))) - 1) < 0.03
    True
    >>> found.places["output"].rms, dict(found.unfollowed)
    (0.0, {})
    """
    if (params is None) == (init is None):
        raise ValueError("predict requires either params or init, got neither or both")
    if init is None:
        checks.check_model(apply, params, batch)
        starts = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
        return predict_starts(apply, starts, batch)
    with checks.calling("init", "(key)"):
        draw = jax.jit(lambda key: (start := init(key), jax.tree.map(_mean_square, start)))
        draws = [draw(key) for key in jax.random.split(jax.random.key(0), DRAWS)]
    starts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(start for start, _ in draws[:KEPT]))
    squares = jax.tree.map(lambda *each: float(np.mean(each)), *(square for _, square in draws))
    return predict_starts(apply, starts, batch, squares)


def predict_starts(
    apply: Apply, starts: Params, batch: Any, squares: Params = None
) -> WholePrediction:
    """As `predict`, from several draws of the params.

    Args:
      apply: as `predict` takes it.
      starts: params with a first axis of draws.
      batch: as `predict` takes it.
      squares: of each leaf the mean square of its entries, over more draws; those of starts when
        absent.

    Returns:
      The prediction.
    """
    if squares is None:
        squares = jax.tree.map(lambda leaf: float(_mean_square(leaf)), starts)
    one = jax.tree.map(lambda leaf: leaf[0], starts)
    leaves = checks.check_model(apply, one, batch)
    with checks.naming_exchanged(apply, one, batch):
        inputs = [Known(jnp.asarray(leaf), True) for leaf in jax.tree.leaves(batch)]
        if not inputs or not np.shape(inputs[0].value)[:1] or not len(inputs[0].value):
            raise ValueError("batch must hold at least one example, got none")
        program, _ = trace(apply, one, batch)
    laws = [
        _law(path, values, square)
        for (path, _), values, square in zip(
            leaves, jax.tree.leaves(starts), jax.tree.leaves(squares), strict=True
        )
    ]
    reader = _Reader(len(inputs[0].value))
    for number, each in enumerate(reader.read(program, [*laws, *inputs])):
        reader.record(f"output {number + 1}" if number else "output", each)
    return WholePrediction(reader.places, reader.unfollowed)


def _mean_square(leaf: jax.Array) -> jax.Array:
    return jnp.mean(jnp.square(leaf.astype(jnp.float32)))


def _law(path: str, values: jax.Array, square: float) -> Drawn | Known:
    """A parameter as a law; one that every draw makes alike as the constant that it is."""
    is_constant = bool((values == values.reshape(-1)[0]).all())
    if is_constant or (len(values) > 1 and bool((values == values[:1]).all())):
        return Known(values[0])
    kept = values[:KEPT]
    factor = np.sqrt(square / float(_mean_square(kept)))
    return Drawn(kept * jnp.asarray(factor, kept.dtype), path)


class _Reader:
    """Goes through a program, and keeps what is predicted of its products."""

    def __init__(self, examples: int) -> None:
        self.places: dict[str, PlacePrediction] = {}
        self.unfollowed: dict[str, str] = {}
        self._examples = examples
        self._normals = Normals()
        self._met: set[str] = set()

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
                if size >= self._examples and kind == "site"
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
        results = self._apply(equation, operands)
        failed = next((each for each in results if isinstance(each, Unfollowed)), None)
        if failed is not None and reason_of(operands) is None:
            for each in operands:
                if isinstance(each, Drawn) and each.name not in self.places:
                    self.unfollowed[each.name] = failed.reason
        for each in [] if equation.primitive.name in MOVES else results:
            if isinstance(each, Sampled) and each.place is not None:
                self.record(each.place, each)
        return results

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
        if each.kinds[0] in ("unit", "flat"):
            return Unfollowed("a loop over units")
        at = turn if each.kinds[0] == "site" else 0
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
    kinds = ("site", *sampled[0].kinds)
    return Sampled(jnp.stack(values, 1), (len(rows), *sampled[0].shape), kinds)
