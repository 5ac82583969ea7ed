"""What theory predicts of a network's signals, from the variances that its weights have."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

from initlab import theory
from initlab.types import Activation

__all__ = ["GAUSSIAN", "RECURSIONS", "Prediction", "Start", "predict", "sample"]

GAUSSIAN = frozenset(
    {
        *("gaussian", "normal", "variance_scaling", "critical"),
        *("lecun_normal", "glorot_normal", "he_normal"),
        *("gpt2", "small_readout", "ntk", "mup", "mean_field"),
    }
)
"""Initializers of independent Gaussian weights in hidden layers: what the finite-width term is of.

The weights of another law have another term of the same order, and dependent weights other maps.
"""


TOGETHER = 64
"""Networks drawn at a time: some megabytes."""


class Start(NamedTuple):
    """Inputs, weights and sizes.

    Attributes:
      length: mean squared entry of the inputs.
      correlation: cosine of the two.
      variances: `{"sigma_w2_input": ..., "sigma_b2_input": ..., ...}` by role of the weights.
      width: units of a hidden layer.
      depth: hidden layers, or blocks.
    """

    length: float
    correlation: float
    variances: Mapping[str, float]
    width: int
    depth: int


class Prediction(NamedTuple):
    """Means over networks, one entry a hidden layer.

    Attributes:
      length: mean squared pre-activation, or entry of the stream.
      decorrelation: `1 - c` of two inputs.
      gradient: mean squared gradient over that of the last layer.
    """

    length: np.ndarray
    decorrelation: np.ndarray
    gradient: np.ndarray


def predict(
    network: str, initializer: str, activation: Activation, start: Start
) -> tuple[Prediction | None, Prediction | None]:
    """The signals of wide networks, and those of networks of this width.

    Args:
      network: its name.
      initializer: its name.
      activation: of its hidden layers.
      start: all numbers.

    Returns:
      The recursion of wide networks, None where there is no closed one; and with the first
      correction for the width, None unless it is an mlp of Gaussian weights.
    """
    if network not in RECURSIONS:
        return None, None
    wide = RECURSIONS[network](activation, start)
    if not _has_finite_width(network, initializer, start):
        return wide, None
    q0, c0 = _enter(start)
    of = activation, *_pair(start, "weight"), q0
    width, depth = start.width, start.depth - 1
    return wide, Prediction(
        np.asarray(theory.finite_width_variance(*of, width, depth).mean),
        np.asarray(theory.finite_width_correlation(*of, c0, width, depth)),
        np.asarray(theory.finite_width_gradient(*of, width, depth)),
    )


def sample(
    network: str, initializer: str, activation: Activation, start: Start, draws: int
) -> dict[str, np.ndarray] | None:
    """The exact law of networks of this width, as it was drawn.

    Args:
      network: its name.
      initializer: its name.
      activation: of its hidden layers.
      start: all numbers.
      draws: how many networks.

    Returns:
      length and decorrelation [draws, depth]; None where `predict` has no correction either. A
      gradient has no such law: its weights are those that the signals have met.
    """
    if not _has_finite_width(network, initializer, start):
        return None

    def one(key: jax.Array) -> theory.FiniteSample:
        of = *_pair(start, "weight"), *_enter(start), start.width, start.depth - 1
        return theory.sample_finite_width(key, activation, *of)

    keys = jax.random.split(jax.random.key(0), draws)
    drawn = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=TOGETHER))(keys)
    return {name: np.asarray(each, float) for name, each in drawn._asdict().items()}


def _has_finite_width(network: str, initializer: str, start: Start) -> bool:
    usable = start.variances.get("sigma_w2_weight", 0) > 0 and start.correlation < 1
    return network == "mlp" and initializer in GAUSSIAN and usable


def _mlp(activation: Activation, start: Start) -> Prediction:
    layers = theory.propagate(
        activation, *_pair(start, "weight"), *_enter(start), depth=start.depth - 1
    )
    return Prediction(np.asarray(layers.q), 1 - np.asarray(layers.c), np.asarray(layers.gradient))


def _residual(normalized: bool) -> Callable[[Activation, Start], Prediction]:
    """`h + W_2 phi(W_1 norm(h) + b_1) + b_2`: a map without an activation, then one with."""

    def recursion(activation: Activation, start: Start) -> Prediction:
        inner, outer = _pair(start, "weight"), _pair(start, "residual")
        q, c = map(float, _enter(start))
        streams, factors = [(q, c)], []
        for _ in range(start.depth):
            inside = theory.first_layer(*inner, 1.0 if normalized else q, c)
            branch = float(theory.q_map(activation, *outer, inside[0]))
            covariance = branch * float(theory.c_map(activation, *outer, *inside))
            slope = inner[0] * float(theory.chi(activation, outer[0], inside[0]))
            factors.append(1 + slope / (q if normalized else 1.0))
            c = min((q * c + covariance) / (q + branch), 1.0)
            q += branch
            streams.append((q, c))
        lengths, correlations = np.asarray(streams).T
        gradient = np.append(np.cumprod(factors[::-1])[::-1], 1.0)
        return Prediction(lengths, 1 - correlations, gradient)

    return recursion


RECURSIONS: dict[str, Callable[[Activation, Start], Prediction]] = {
    "mlp": _mlp,
    "residual_mlp": _residual(normalized=False),
    "residual_mlp_norm": _residual(normalized=True),
}
"""By name of the network. A convnet's positions mix, and attention's weights depend on the inputs:
there is no closed recursion of their lengths and correlations."""


def _enter(start: Start) -> tuple[float, float]:
    first = theory.first_layer(*_pair(start, "input"), start.length, start.correlation)
    return float(first[0]), float(first[1])


def _pair(start: Start, role: str) -> tuple[float, float]:
    return start.variances[f"sigma_w2_{role}"], start.variances[f"sigma_b2_{role}"]
