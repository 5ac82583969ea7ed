"""What theory predicts of a network's signals, from the variances that its weights have.

One function a kind of network, since each has a recursion of its own. A convnet's positions mix,
and attention's weights depend on the inputs: of those there is no closed recursion.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from initlab import checks, theory
from initlab.types import Activation, Role

__all__ = [
    "Prediction",
    "Start",
    "predict_finite_width",
    "predict_mlp",
    "predict_residual",
    "sample_signals",
]

BATCH = 64
"""Networks sampled at a time: some megabytes."""


class Start(NamedTuple):
    """Inputs, weights and sizes: all that the recursions take.

    Attributes:
      length: mean squared entry of the inputs, `|x|^2 / n_0`.
      correlation: cosine of the two inputs.
      variances: `{role: (sigma_w2, sigma_b2)}`, fan_in times the variance of the weights of a role
        (input, weight, residual) and the variance of the biases beside them: as drawn, from
        `mean_variances`, or as the initializer has them.
      width: units of a hidden layer.
      depth: hidden layers, or blocks.
    """

    length: float
    correlation: float
    variances: Mapping[Role, tuple[float, float]]
    width: int
    depth: int


class Prediction(NamedTuple):
    """Means over networks, one entry for each layer that `signal_run` measures, in its order.

    Attributes:
      q: mean squared pre-activation, or entry of the stream.
      cosine_distance: `1 - c` of two inputs.
      gradient: mean squared gradient over that of the last layer.
    """

    q: np.ndarray
    cosine_distance: np.ndarray
    gradient: np.ndarray


@checks.checked
def predict_mlp(activation: Activation, start: Start) -> Prediction:
    """`q_l = sigma_w2 E phi^2 + sigma_b2` and its companions, of an mlp of infinite width.

    Args:
      activation: elementwise function phi of the hidden layers.
      start: with variances of the roles input and weight; depth at least 2.

    Returns:
      The hidden layers [depth].

    Raises:
      TypeError: if activation is not a function of one array, or a number is not real.
      ValueError: if a number is out of its range, or a role has no variances.

    Source: `theory.propagate`; Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017,
    arXiv:1611.01232.

    >>> variances = {Role.INPUT: (1.0, 0.0), Role.WEIGHT: (2.0, 0.0)}
    >>> wide = predict_mlp(jax.nn.relu, Start(3.0, 0.0, variances, width=50, depth=3))
    >>> wide.q.round(6).tolist(), wide.cosine_distance.round(6).tolist()
    ([3.0, 3.0, 3.0], [1.0, 0.68169, 0.506269])
    """
    checks.check_count("depth", start.depth, 2)
    hidden, first = _variances(start, Role.WEIGHT), _first_layer(start)
    layers = theory.propagate(activation, *hidden, *first, depth=start.depth - 1)
    return Prediction(np.asarray(layers.q), 1 - np.asarray(layers.c), np.asarray(layers.gradient))


@checks.checked
def predict_residual(activation: Activation, start: Start, *, pre_norm: bool = False) -> Prediction:
    """The stream of `h + W_2 phi(W_1 norm(h) + b_1) + b_2`, of infinite width.

    Args:
      activation: elementwise function phi inside the branches.
      start: with variances of the roles input, weight (W_1) and residual (W_2).
      pre_norm: whether a branch sees the stream through a layer norm.

    Returns:
      The stream before the first block and after each [depth + 1].

    Raises:
      TypeError, ValueError: as `predict_mlp`; depth is at least 1.

    Source: `theory.propagate_residual`; Yang and Schoenholz 2017, arXiv:1712.08969.

    >>> variances = dict.fromkeys((Role.INPUT, Role.WEIGHT, Role.RESIDUAL), (2.0, 0.0))
    >>> start = Start(1.0, 0.5, variances, width=50, depth=3)
    >>> predict_residual(jax.nn.relu, start).q.round(6).tolist()
    [2.0, 6.0, 18.0, 54.0]
    """
    layers = theory.propagate_residual(
        activation,
        *_variances(start, Role.RESIDUAL),
        *_first_layer(start),
        start.depth,
        pre_norm=pre_norm,
        inner=_variances(start, Role.WEIGHT),
    )
    return Prediction(np.asarray(layers.q), 1 - np.asarray(layers.c), np.asarray(layers.gradient))


@checks.checked
def predict_finite_width(activation: Activation, start: Start) -> Prediction:
    """`predict_mlp` with the correction of first order in depth / width.

    It is that of independent Gaussian weights: weights of another law have another term of the same
    order, and dependent ones (orthogonal) other maps.

    Args:
      activation: elementwise function phi of the hidden layers.
      start: as `predict_mlp` takes it, sigma_w2 of hidden weights above 0, correlation under 1.

    Returns:
      The hidden layers [depth].

    Raises:
      TypeError, ValueError: as `predict_mlp`.

    Source: `theory.finite_width_variance`, `theory.finite_width_correlation`,
    `theory.finite_width_gradient`; Roberts, Yaida and Hanin 2021, arXiv:2106.10165, chapter 4.

    >>> variances = {Role.INPUT: (1.0, 0.0), Role.WEIGHT: (2.0, 0.0)}
    >>> start = Start(3.0, 0.0, variances, width=50, depth=3)
    >>> finite, wide = predict_finite_width(jax.nn.relu, start), predict_mlp(jax.nn.relu, start)
    >>> bool(finite.cosine_distance[-1] < wide.cosine_distance[-1])
    True
    """
    hidden, q0, c0 = _finite_start(start)
    width, depth = start.width, start.depth - 1
    return Prediction(
        np.asarray(theory.finite_width_variance(activation, *hidden, q0, width, depth).mean),
        np.asarray(theory.finite_width_correlation(activation, *hidden, q0, c0, width, depth)),
        np.asarray(theory.finite_width_gradient(activation, *hidden, q0, width, depth)),
    )


@checks.checked
def sample_signals(
    activation: Activation, start: Start, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """The exact law of an mlp of Gaussian weights of this width, sampled: all orders in 1 / width.

    Args:
      activation: elementwise function phi of the hidden layers.
      start: as `predict_finite_width` takes it.
      draws: how many networks, at least 2, so that their mean has an error.

    Returns:
      `(q, cosine_distance)`, NumPy float64 [draws, depth] each. A gradient has no such law: its
      weights are those that the signals have met.

    Raises:
      TypeError, ValueError: as `predict_mlp`, and for draws.

    Source: `theory.sample_finite_width`.

    >>> variances = {Role.INPUT: (1.0, 0.0), Role.WEIGHT: (2.0, 0.0)}
    >>> q, _ = sample_signals(jax.nn.relu, Start(3.0, 0.0, variances, width=50, depth=3), 200)
    >>> q.shape, bool(abs(q.mean(0) - 3).max() < 0.3)
    ((200, 3), True)
    """
    checks.check_count("draws", draws, 2)
    hidden, q0, c0 = _finite_start(start)

    def one(key: jax.Array) -> theory.FiniteSample:
        return theory.sample_finite_width(
            key, activation, *hidden, q0, c0, start.width, start.depth - 1
        )

    keys = jax.random.split(jax.random.key(0), draws)
    drawn = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=BATCH))(keys)
    q, cosine_distance = (np.asarray(each, float) for each in drawn)
    return q, cosine_distance


def _finite_start(start: Start) -> tuple[tuple[float, float], float, float]:
    """Variances of hidden weights, and q and c of the first layer, where the expansion exists."""
    checks.check_count("depth", start.depth, 2)
    hidden = _variances(start, Role.WEIGHT)
    # Without weights there is nothing to fluctuate, and equal inputs have no angle.
    if not hidden[0] > 0:
        raise ValueError(f"sigma_w2 of hidden weights must be above 0, got {hidden[0]}")
    if not start.correlation < 1:
        raise ValueError(f"correlation must be under 1, got {start.correlation}")
    return hidden, *_first_layer(start)


def _first_layer(start: Start) -> tuple[float, float]:
    variances = _variances(start, Role.INPUT)
    q, c = theory.first_layer(*variances, start.length, start.correlation)
    return float(q), float(c)


def _variances(start: Start, role: Role) -> tuple[float, float]:
    if role not in start.variances:
        known = ", ".join(each.value for each in start.variances) or "none"
        raise ValueError(f"start.variances must hold those of role {role.value}, got {known}")
    return start.variances[role]
