"""What the lab computes of the course's data and unit vectors, without training."""

import jax
import jax.numpy as jnp
import numpy as np

import initlab
from experiments.course_tables.conventions import course_layout, course_params, he_scale
from experiments.number_tables.rows import Measured
from initlab.types import Task

__all__ = ["measure_data", "measure_vectors", "three_points"]

GIVEN_OUTPUTS = (0.5002307, 0.49985831, 0.50023963)
"""The outputs whose cost the course's exercise computes: given, not computed from params."""


def measure_data() -> Measured:
    """The flower data: first row and sums."""
    x = initlab.tasks.flower().x
    return {
        ("flower: first row", ""): x[0],
        ("flower: sum of X", ""): x.sum(),
        ("flower: sum of X**2", ""): np.square(x).sum(),
    }


def measure_vectors() -> Measured:
    """Draws, a forward pass, a cost and a backward pass."""
    return {**_draws(), **_forward(), **_cost(), **_backward()}


def three_points() -> Task:
    """The course's toy task: X = randn(2, 3), then Y = (randn(1, 3) > 0), under seed 1."""
    stream = np.random.RandomState(1)
    x = stream.randn(2, 3).T
    return initlab.tasks.from_arrays(x, stream.randn(3) > 0)


def _draws() -> Measured:
    drawn = {
        "init(2,4,1), seed 2": course_params(2, (2, 4, 1)),
        "init(3,5,2), seed 2": course_params(2, (3, 5, 2)),
        "times 10, (3,2,1), seed 3": course_params(3, (3, 2, 1), 10),
        "He, (2,4,1), seed 3": course_params(3, (2, 4, 1), he_scale),
    }
    return {
        (f"{start}: {name}", ""): array
        for start, params in drawn.items()
        for name, array in course_layout(params).items()
    }


def _network():
    return initlab.networks.mlp((2, 4, 1), jnp.tanh, dtype=jnp.float64)


def _forward() -> Measured:
    stream = np.random.RandomState(1)
    x = stream.randn(2, 3).T
    params = course_params(2, (2, 4, 1))
    params["layer_1"]["bias"] = stream.randn(4, 1)[:, 0]
    params["layer_2"]["bias"] = np.array([-1.3])
    states = _network().layers(params, x)
    outputs = initlab.objectives.binary.link(states["layer_2"].z)
    arrays = {
        "Z1": states["layer_1"].z,
        "A1": states["layer_1"].a,
        "Z2": states["layer_2"].z,
        "A2": outputs,
    }
    means: Measured = {("forward: mean", name): jnp.mean(each) for name, each in arrays.items()}
    return {**means, ("forward: A2", ""): outputs[:, 0]}


def _cost() -> Measured:
    y = (np.random.RandomState(1).randn(3) > 0).astype(np.int64)
    outputs = np.array(GIVEN_OUTPUTS)
    # The lab's loss takes logits: those whose sigmoid the given outputs are.
    logits = np.log(outputs / (1 - outputs))[:, None]
    return {("cost of given outputs", ""): initlab.objectives.binary.loss(jnp.asarray(logits), y)}


def _backward() -> Measured:
    gradient = jax.jit(jax.grad(initlab.make_loss(_network(), three_points())))
    arrays = course_layout(gradient(course_params(2, (2, 4, 1))))
    return {(f"backward: d{name}", ""): array for name, array in arrays.items()}
