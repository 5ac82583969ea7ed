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


def _residual(pre_norm: bool) -> Callable[[Activation, Start], Prediction]:
    """`h + W_2 phi(W_1 norm(h) + b_1) + b_2`."""

    def recursion(activation: Activation, start: Start) -> Prediction:
        layers = theory.propagate_residual(
            activation,
            *_pair(start, "residual"),
            *_enter(start),
            start.depth,
            pre_norm=pre_norm,
            inner=_pair(start, "weight"),
        )
        return Prediction(layers.q, 1 - layers.c, layers.gradient)

    return recursion


RECURSIONS: dict[str, Callable[[Activation, Start], Prediction]] = {
    "mlp": _mlp,
    "residual_mlp": _residual(pre_norm=False),
    "residual_mlp_norm": _residual(pre_norm=True),
}
"""By name of the network. A convnet's positions mix, and attention's weights depend on the inputs:
there is no closed recursion of their lengths and correlations."""


def _enter(start: Start) -> tuple[float, float]:
    first = theory.first_layer(*_pair(start, "input"), start.length, start.correlation)
    return float(first[0]), float(first[1])


def _pair(start: Start, role: str) -> tuple[float, float]:
    return start.variances[f"sigma_w2_{role}"], start.variances[f"sigma_b2_{role}"]
