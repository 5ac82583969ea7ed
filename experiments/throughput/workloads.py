"""What a throughput is measured on: sizes and data, initial weights, operations, the peak."""

import dataclasses
import functools
import itertools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import initlab
from initlab.initializers import by_role, normal
from initlab.types import Network, Params, Task

__all__ = [
    "SIZES",
    "Convolutions",
    "Workload",
    "count_flops",
    "count_functions",
    "draw_starts",
    "make_workload",
    "measure_peak",
    "measure_tanh",
]


@dataclasses.dataclass(frozen=True)
class Convolutions:
    """Two convolutions of square pictures that keep their size, and a readout of the means.

    Attributes:
      side: positions along each axis.
      window: what a convolution sees along each.
      channels: of both layers.
      outputs: classes.
      examples: how many pictures.
    """

    side: int = 8
    window: int = 3
    channels: int = 8
    outputs: int = 10
    examples: int = 128


SIZES = {
    "2-2-1": (2, 2, 1),
    "2-4-1": (2, 4, 1),
    "2-10-5-1": (2, 10, 5, 1),
    "2-16-16-1": (2, 16, 16, 1),
    "2-64-64-1": (2, 64, 64, 1),
    "64-128-10": (64, 128, 10),
    "conv": Convolutions(),
}
"""The networks by their names: flower data for 2 inputs, digits for 64 and for convolutions."""

PEAK_WIDTH = {"cpu": 2048, "accelerator": 8192}
"""Rows and columns of the product that the peak is measured on: a tenth of a second of work."""

PEAK_REPEATS = 5

TANH_VALUES, TANH_TIMES = 2**22, 16
"""Values whose tanh is taken, and how often, to measure how many a device takes a second."""


class Workload(NamedTuple):
    """Full-batch gradient descent on one task with one network, in float32.

    Attributes:
      network: of tanh units.
      task: data and loss, without a test part.
      x: the task's inputs [B, n_0], float32.
      y: the task's labels [B], int32.
      scale: standard deviation of the initial weights; biases start at zero.
      learning_rate: of every step.
    """

    network: Network
    task: Task
    x: np.ndarray
    y: np.ndarray
    scale: float
    learning_rate: float


def make_workload(
    sizes: tuple[int, ...] | Convolutions, scale: float, learning_rate: float
) -> Workload:
    """The work for one network.

    Args:
      sizes: of its layers; 2 inputs learn the flower, 64 and convolutions the digits.
      scale: standard deviation of the initial weights.
      learning_rate: of every step.

    Returns:
      The workload.

    >>> make_workload((2, 4, 1), 0.1, 1.2).x.shape
    (400, 2)
    """
    if isinstance(sizes, Convolutions):
        whole = initlab.tasks.take(initlab.tasks.digits(), sizes.examples)
        shape = (sizes.side, sizes.side, 1)
        network = initlab.networks.convnet(
            shape, sizes.channels, sizes.outputs, 1, jnp.tanh, window=sizes.window
        )
    else:
        whole = {2: initlab.tasks.flower, 64: initlab.tasks.digits}[sizes[0]]()
        network = initlab.networks.mlp(sizes, jnp.tanh)
    task = dataclasses.replace(whole, x_test=None, y_test=None)
    x, y = task.x.astype(np.float32), task.y.astype(np.int32)
    return Workload(network, task, x, y, scale, learning_rate)


def draw_starts(work: Workload, runs: int) -> Params:
    """The lab's own initial weights for the seeds 0, 1, ..., for the baselines.

    Args:
      work: what is to be learnt.
      runs: how many seeds.

    Returns:
      Params whose leaves have a first axis of length `runs`, on the default device.
    """
    initializer = by_role(weight=normal(work.scale))

    def draw(seed: jax.Array) -> Params:
        return initlab.initialize(jax.random.key(seed), work.network.specs, initializer)

    return jax.jit(jax.vmap(draw))(np.arange(runs, dtype=np.int32))


def count_flops(sizes: tuple[int, ...] | Convolutions, examples: int) -> int:
    """Floating-point operations of one step of one run, counted from the formulas.

    A layer's product takes 2 B n_(l-1) n_l, its weights' gradient the same, and the gradient of its
    inputs the same again, which the first layer does without. Each unit takes one more for each
    example, its tanh, sigmoid or softmax, counted as one however long it takes. Left out are bias
    sums, slopes, the loss and the update, none of which grows with a product of two widths.

    Args:
      sizes: of the layers.
      examples: B.

    Returns:
      The count.

    >>> count_flops((2, 4, 1), 400)
    24400
    """
    if isinstance(sizes, Convolutions):
        places = sizes.side**2
        first = places * sizes.window**2 * sizes.channels
        products = [first, first * sizes.channels, sizes.channels * sizes.outputs]
    else:
        products = [fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes)]
    return examples * 2 * (3 * sum(products) - products[0]) + count_functions(sizes, examples)


def count_functions(sizes: tuple[int, ...] | Convolutions, examples: int) -> int:
    """Values of tanh, sigmoid or softmax that one step of one run takes.

    Args:
      sizes: of the layers.
      examples: B.

    Returns:
      The count: one for each unit, at each position, and example.

    >>> count_functions((2, 4, 1), 400), count_functions(Convolutions(), 1)
    (2000, 1034)
    """
    if isinstance(sizes, Convolutions):
        return examples * (2 * sizes.channels * sizes.side**2 + sizes.outputs)
    return examples * sum(sizes[1:])


def measure_peak() -> float:
    """Float32 operations per second of a large matrix product, on all cores: the best of several.

    Returns:
      Operations per second, of the default device.
    """
    kind = "cpu" if jax.devices()[0].platform == "cpu" else "accelerator"
    width = PEAK_WIDTH[kind]
    square = jnp.full((width, width), 1 / width)
    product: Any = jax.jit(lambda a: jnp.dot(a, a, precision=jax.lax.Precision.HIGHEST))
    return 2 * width**3 / _least_seconds(product, square)


def measure_tanh() -> float:
    """Values of tanh in float32 per second, on all cores: the limit of what narrow nets reach.

    Returns:
      Values per second, of the default device.
    """
    values = jnp.linspace(-3.0, 3.0, TANH_VALUES)
    # One after the other, in registers: what is measured is no memory.
    many: Any = jax.jit(lambda z: functools.reduce(lambda z, _: jnp.tanh(z), range(TANH_TIMES), z))
    return TANH_VALUES * TANH_TIMES / _least_seconds(many, values)


def _least_seconds(compiled: Any, array: jax.Array) -> float:
    """The fastest of several calls; the first compiles and is not timed."""
    compiled(array).block_until_ready()
    seconds = []
    for _ in range(PEAK_REPEATS):
        began = time.perf_counter()
        compiled(array).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
