"""The section of published numbers about finite width, with networks that are really drawn."""

import jax
import numpy as np

from experiments.number_tables.rows import Measured
from initlab import theory

__all__ = ["descend", "draw_dead_layers", "draw_lengths", "measure_finite_width"]

BLOCK = 10_000
"""Networks drawn together."""


def measure_finite_width(length_draws: int, dying_draws: int) -> Measured:
    """Section 6: the spread of lengths, dead layers, and the time that a linear mode takes.

    Args:
      length_draws: networks drawn for the spread of lengths, whose square has a wide tail: of a
        million the ratio is off by 0.7 % (one standard error).
      dying_draws: networks drawn for dead layers.

    Returns:
      The numbers by `(name, label)`.
    """
    spread, dead = "relu, n=50, L=10: E M^2 / (E M)^2", "relu, a dead layer"
    width, depth = 50, 10
    band = theory.finite_width_variance(jax.nn.relu, 2.0, 0.0, 1.0, width, depth)
    lengths = draw_lengths(length_draws, width, depth)
    measured: Measured = {
        (spread, "predicted"): 1 + band.kernel_variance[depth] / band.mean[depth] ** 2,
        (spread, "drawn"): float(np.mean(lengths**2) / np.mean(lengths) ** 2),
    }
    for width, depth in ((2, 10), (3, 10), (4, 10), (5, 50)):
        label = f"{width}, {depth}"
        measured[f"{dead}, predicted", label] = theory.dying_relu_probability(width, depth)
        measured[f"{dead}, drawn", label] = draw_dead_layers(dying_draws, width, depth)
    strength, start, end, rate = 2.0, 0.01, 1.98, 1e-3
    measured["two linear layers: time of a mode", ""] = theory.linear_learning_time(
        strength, start, end
    )
    steps = descend(strength, start, end, rate)
    measured["two linear layers: steps of gradient descent", ""] = float(steps)
    return measured


def draw_lengths(draws: int, width: int, depth: int) -> np.ndarray:
    """`|a_L|^2 / n` of relu networks with He's weights, from inputs of length 1.

    A Gaussian matrix times a vector has independent Gaussian entries whose variance is the vector's
    squared length: each layer's sums are drawn, and its matrix need not be.

    Args:
      draws: how many networks.
      width: n, units of each layer.
      depth: L, how many layers.

    Returns:
      The mean squares of the last layer [draws].
    """
    # Blocks bound the memory, not the statistics: one stream draws them all.
    stream = np.random.default_rng(0)
    lengths = []
    for count in _blocks(draws):
        length = np.ones(count)
        for _ in range(depth):
            sums = stream.standard_normal((count, width), np.float32)
            length *= 2 * np.mean(np.maximum(sums, 0) ** 2, axis=1, dtype=np.float64)
        lengths.append(length)
    return np.concatenate(lengths)


def draw_dead_layers(draws: int, width: int, depth: int) -> float:
    """The share of relu networks without biases that are 0 on an input, weights all drawn.

    Args:
      draws: how many networks.
      width: units of each layer.
      depth: how many layers.

    Returns:
      The share.
    """
    stream = np.random.default_rng(0)
    dead = 0
    for count in _blocks(draws):
        h = np.ones((count, width), np.float32)
        for _ in range(depth):
            weights = stream.standard_normal((count, width, width), np.float32)
            h = np.maximum(np.einsum("nij,nj->ni", weights, h), 0)
            # Only signs matter; lengths of hundreds of layers would underflow.
            h /= np.maximum(h.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        dead += int(np.sum(~h.any(axis=1)))
    return dead / draws


def descend(strength: float, start: float, end: float, rate: float) -> int:
    """Steps of gradient descent on `(s - a b)^2 / 2` from `a = b = sqrt(u_0)` to `a b >= u_f`."""
    first = second = start**0.5
    steps = 0
    while first * second < end:
        # Both factors move by the gradient at the old point: one step of descent, not two.
        error = strength - first * second
        first, second = first + rate * error * second, second + rate * error * first
        steps += 1
    return steps


def _blocks(draws: int) -> list[int]:
    whole, rest = divmod(draws, BLOCK)
    return [BLOCK] * whole + [rest] * (rest > 0)
