"""What a throughput is measured on: sizes and data, initial weights, operations, the peak."""

import dataclasses
import itertools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import initlab
from initlab.initializers import by_role, normal
from initlab.types import Network, Params, Task

__all__ = ["SIZES", "Workload", "count_flops", "draw_starts", "make_workload", "measure_peak"]

SIZES = {
    "2-2-1": (2, 2, 1),
    "2-4-1": (2, 4, 1),
    "2-10-5-1": (2, 10, 5, 1),
    "2-16-16-1": (2, 16, 16, 1),
    "2-64-64-1": (2, 64, 64, 1),
    "64-128-10": (64, 128, 10),
}
"""The networks by their names: flower data for 2 inputs, digits for 64."""

PEAK_WIDTH = {"cpu": 2048, "accelerator": 8192}
"""Rows and columns of the product that the peak is measured on: a tenth of a second of work."""

PEAK_REPEATS = 5


class Workload(NamedTuple):
    """Full-batch gradient descent on one task with one network, in float32.

    Attributes:
      network: an mlp of tanh units.
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


def make_workload(sizes: tuple[int, ...], scale: float, learning_rate: float) -> Workload:
    """The work for one network.

    Args:
      sizes: of its layers; 2 inputs learn the flower, 64 the digits.
      scale: standard deviation of the initial weights.
      learning_rate: of every step.

    Returns:
      The workload.

    >>> make_workload((2, 4, 1), 0.1, 1.2).x.shape
    (400, 2)
    """
    whole = {2: initlab.tasks.flower, 64: initlab.tasks.digits}[sizes[0]]()
    task = dataclasses.replace(whole, x_test=None, y_test=None)
    network = initlab.networks.mlp(sizes, jnp.tanh)
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


def count_flops(sizes: tuple[int, ...], examples: int) -> int:
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
    products = [fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes)]
    return examples * (2 * (3 * sum(products) - products[0]) + sum(sizes[1:]))


def measure_peak() -> float:
    """Float32 operations per second of a large matrix product, on all cores: the best of several.

    Returns:
      Operations per second, of the default device.
    """
    kind = "cpu" if jax.devices()[0].platform == "cpu" else "accelerator"
    width = PEAK_WIDTH[kind]
    square = jnp.full((width, width), 1 / width)
    product: Any = jax.jit(lambda a: jnp.dot(a, a, precision=jax.lax.Precision.HIGHEST))
    # Compiles: the first call is not timed.
    product(square).block_until_ready()
    seconds = []
    for _ in range(PEAK_REPEATS):
        began = time.perf_counter()
        product(square).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return 2 * width**3 / min(seconds)
