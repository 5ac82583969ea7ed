"""What theory predicts of any traced model's signals at its start, place by place."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import checks
from initlab.programs.trace import trace
from initlab.signals.population import Drawn, Known
from initlab.signals.reader import PlacePrediction, Reader
from initlab.types import Apply, Params

__all__ = [
    "PlacePrediction",
    "WholePrediction",
    "drawn_starts",
    "predict",
    "predict_starts",
    "read_starts",
]

DRAWS = 32
"""Starts that `init` draws: their mean squares are known to 2.5 % where a leaf has 100 entries."""

KEPT = 4
"""Starts whose entries functions of parameters alone are computed of."""


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
    starts, squares = drawn_starts(init)
    return predict_starts(apply, starts, batch, squares)


def drawn_starts(init: Callable[[jax.Array], Params]) -> tuple[Params, Params]:
    """Several draws of a start, and of each leaf the mean square of its entries over more draws.

    Args:
      init: `key -> params`.

    Returns:
      Params with a first axis of draws, and numbers.
    """
    with checks.calling("init", "(key)"):
        draw = jax.jit(lambda key: (start := init(key), jax.tree.map(_mean_square, start)))
        draws = [draw(key) for key in jax.random.split(jax.random.key(0), DRAWS)]
    starts = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(start for start, _ in draws[:KEPT]))
    squares = jax.tree.map(lambda *each: float(np.mean(each)), *(square for _, square in draws))
    return starts, squares


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
    reader = read_starts(apply, starts, batch, squares)
    return WholePrediction(reader.places, reader.unfollowed)


def read_starts(
    apply: Apply,
    starts: Params,
    batch: Any,
    squares: Params = None,
    wanted: Mapping[str, float] | None = None,
) -> Reader:
    """Goes through the program that `predict_starts` is about.

    Args:
      apply: as `predict` takes it.
      starts: params with a first axis of draws.
      batch: as `predict` takes it; or shapes, of inputs that are independent standard normals.
      squares: as `predict_starts` takes it.
      wanted: the mean square that each product is given; as `Reader` takes it.

    Returns:
      The reader, with all that it found.
    """
    if squares is None:
        squares = jax.tree.map(lambda leaf: float(_mean_square(leaf)), starts)
    one = jax.tree.map(lambda leaf: leaf[0], starts)
    leaves = checks.check_model(apply, one, batch)
    given = jax.tree.leaves(batch)
    with checks.naming_exchanged(apply, one, batch):
        if not given or not np.shape(given[0])[:1] or not np.shape(given[0])[0]:
            raise ValueError("batch must hold at least one example, got none")
        program, _ = trace(apply, one, batch)
    laws = [
        _law(path, values, square)
        for (path, _), values, square in zip(
            leaves, jax.tree.leaves(starts), jax.tree.leaves(squares), strict=True
        )
    ]
    reader = Reader(np.shape(given[0])[0], wanted)
    operands = [*laws, *map(reader.input, given)]
    for number, each in enumerate(reader.read(program, operands)):
        reader.record(f"output {number + 1}" if number else "output", each)
    return reader


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
