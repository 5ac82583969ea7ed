"""The course's own conventions: its stream, its order of draws, its layout, its loss."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from initlab.types import Array, Params

__all__ = ["course_cost", "course_layout", "course_params", "he_scale"]


def course_params(
    seed: int, sizes: Sequence[int], scale: float | Callable[[int], float] = 0.01
) -> Params:
    """`W_l = scale * randn(n_l, n_(l-1))`, first layer first, and zero biases.

    Args:
      seed: seed of NumPy's legacy stream; one stream draws all layers.
      sizes: `(n_0, ..., n_L)`.
      scale: factor of the unit normals, or `fan_in -> factor`.

    Returns:
      Params of `mlp(sizes, ...)` in float64: the course keeps [units, inputs], the lab [inputs,
      units], so each weight is the transpose of its draw.

    >>> course_params(2, (2, 4, 1))["layer_1"]["weight"][:, 0].round(8).tolist()
    [-0.00416758, -0.00056267]
    """
    # The legacy generator, seeded once: every published number is of its stream, which NumPy keeps
    # to the bit. A generator for each layer would draw other weights from the second layer on.
    stream = np.random.RandomState(seed)
    params = {}
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes), start=1):
        factor = scale(fan_in) if callable(scale) else scale
        weight = factor * stream.randn(fan_out, fan_in)
        params[f"layer_{number}"] = {"weight": weight.T, "bias": np.zeros(fan_out)}
    return params


def he_scale(fan_in: int) -> float:
    """`sqrt(2 / fan_in)`."""
    return float(np.sqrt(2 / fan_in))


def course_layout(params: Params) -> dict[str, np.ndarray]:
    """Params, or their gradient, by the course's names: `W1` [n_1, n_0], `b1` [n_1], `W2`, ...

    >>> list(course_layout(course_params(2, (2, 4, 1))))
    ['W1', 'b1', 'W2', 'b2']
    """
    arrays = {}
    for name, layer in params.items():
        number = name.removeprefix("layer_")
        arrays[f"W{number}"] = np.asarray(layer["weight"]).T
        arrays[f"b{number}"] = np.asarray(layer["bias"])
    return arrays


def course_cost(outputs: Array, y: Array) -> float:
    """The course's cross-entropy of outputs a: `mean -(y log a + (1 - y) log(1 - a))`.

    It is infinite where an output rounds to the wrong label; of an output that rounds to the right
    one it makes `0 * inf`, which the course leaves out of its sum, and so does this.

    Args:
      outputs: a [B], in [0, 1].
      y: labels [B], 0 or 1.

    Returns:
      The cost in nats, perhaps infinite.

    >>> course_cost(np.array([1.0, 1.0]), np.array([1, 0]))
    inf
    """
    # Not the lab's loss of logits, which is finite here: the formula's failure is published.
    a = np.asarray(outputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = -np.log(a) * y - np.log(1 - a) * (1 - y)
    return float(np.nansum(terms) / len(a))
