"""The course's training runs, as the lab makes them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

import initlab
from experiments.course_tables.conventions import (
    course_cost,
    course_layout,
    course_params,
    he_scale,
)
from experiments.course_tables.vectors import three_points
from experiments.number_tables.rows import Measured, Row
from initlab import probes
from initlab.training import Point, Run
from initlab.types import Activation, Array, History, Params, Task

__all__ = [
    "MEMBERS",
    "Training",
    "measure_ensemble",
    "measure_first_cost",
    "measure_rows",
    "measure_training",
    "perturb",
    "trainings",
]

EVERY = 1000
"""Steps between two costs that the course prints."""

# A draw from the members' own distribution is outside the range of n of them with probability
# 2 / (n + 1): 3 % of 64, for each of two chaotic rows. 16 members would refuse a correct row in one
# call of five; 256 would take four times as long, and a range that grows with the members refuses
# fewer wrong costs.
MEMBERS = 64
"""Runs of an ensemble."""

# About four times float64's rounding error of 2^-52: smaller, and many weights would not change at
# all; larger, and the starts would differ by more than the order of a sum makes them differ.
ROUNDING = 1e-15
"""Standard deviation of the relative difference of a weight between members."""


class Training(NamedTuple):
    """One run of full-batch gradient descent, and what is read off it.

    Attributes:
      sizes: of the mlp.
      activation: of its hidden layers.
      params: the start.
      task: the data.
      learning_rate: of gradient descent.
      steps: how many.
      costs: the name under which the cost at every EVERY steps is published, or None.
      end: `history -> Measured`: what is read off the finished run.
    """

    sizes: Sequence[int]
    activation: Activation
    params: Params
    task: Task
    learning_rate: float
    steps: int
    costs: str | None
    end: Callable[[History], Measured]


def trainings(section: int) -> list[Training]:
    """The runs of a section; of section 1 there are none."""
    return {1: list, 2: _flower, 3: _three_points, 4: _circles}[section]()


def measure_rows(training: Training, rows: Sequence[Row], max_steps: int) -> Measured:
    """What one training measures: its own costs and end, and ensembles for its chaotic rows.

    Args:
      training: the run.
      rows: published numbers, of this training and of others.
      max_steps: rows that need more steps are not measured.

    Returns:
      What was measured; for a chaotic row the costs of all members [MEMBERS].
    """
    measured = measure_training(training, max_steps)
    chaotic = [
        row.steps
        for row in rows
        if row.kind == "chaotic" and row.name == training.costs and row.steps <= max_steps
    ]
    if chaotic:
        measured |= measure_ensemble(training, chaotic)
    return measured


def measure_training(training: Training, max_steps: int) -> Measured:
    """Trains, for at most max_steps, and reads.

    The loss at step k is that of the params after k updates. The course prints its "cost after
    iteration k" from the forward pass that comes before update k + 1: the same number.

    Args:
      training: the run.
      max_steps: a longer run is cut to as many whole EVERY as fit in, and its end is not read.

    Returns:
      What was measured.
    """
    finished = training.steps <= max_steps
    if not finished and training.costs is None:
        return {}
    # Whole EVERY only: the end of a run that is cut is not the published one, and is not read.
    # A run takes at least one step; the cost at step 0 comes before it.
    steps = training.steps if finished else max(1, max_steps // EVERY * EVERY)
    run = _run(training, lambda p: training.params, steps)
    history = jax.device_get(run({"seed": 0, "learning_rate": training.learning_rate}))
    measured: Measured = {}
    if training.costs is not None:
        for step, loss in zip(history.step, history.values["loss"], strict=True):
            measured[training.costs, str(step)] = loss
    if finished:
        measured |= training.end(history)
    return measured


def measure_ensemble(training: Training, steps: Sequence[int]) -> Measured:
    """The costs of MEMBERS runs, all under one `vmap`, from starts that differ by rounding.

    Args:
      training: the run; it has `costs`.
      steps: where the costs are read, multiples of EVERY; the runs end at the last.

    Returns:
      The costs [MEMBERS] at each of the steps; those of the course's own start come first.
    """
    run = _run(training, lambda p: perturb(training.params, p["member"]), max(steps))

    def train(member: jax.Array, learning_rate: jax.Array) -> jax.Array:
        point = {"seed": 0, "learning_rate": learning_rate, "member": member}
        return run(point).values["loss"]

    # The rate is an argument: a test that changes it compiles nothing anew.
    ensemble = jax.jit(jax.vmap(train, (0, None)))
    losses = jax.device_get(ensemble(jnp.arange(MEMBERS), training.learning_rate))
    return {(training.costs or "", str(step)): losses[:, step // EVERY] for step in steps}


def perturb(params: Params, member: Array | int) -> Params:
    """The start of an ensemble's member: `w (1 + ROUNDING g)`, g normal; of member 0 w itself.

    Args:
      params: the start of member 0, in float64.
      member: which; it is the seed of g.

    Returns:
      Params like those given.
    """
    # One draw for all arrays: a program that draws six of float64 takes 7 seconds to compile.
    numbers, to_params = ravel_pytree(params)
    normal = jax.random.normal(jax.random.key(member), numbers.shape, numbers.dtype)
    return to_params(jnp.where(member == 0, numbers, numbers * (1 + ROUNDING * normal)))


def measure_first_cost() -> Measured:
    """The cost of the times-10 start by the course's own loss, on the lab's outputs."""
    training = _circles_start("times 10", 10)
    network = initlab.networks.mlp(training.sizes, training.activation, dtype=jnp.float64)
    outputs = training.task.objective.link(network.apply(training.params, training.task.x))
    name = "circles, times 10: cost at step 0, unstable"
    return {(name, ""): course_cost(outputs[:, 0], training.task.y)}


def _run(training: Training, init: Callable[[Point], Params], steps: int) -> Run:
    return initlab.make_run(
        initlab.networks.mlp(training.sizes, training.activation, dtype=jnp.float64),
        init,
        training.task,
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=steps,
        every=min(EVERY, steps),
        probes=(probes.loss, probes.accuracy),
    )


def _flower() -> list[Training]:
    task = initlab.tasks.flower()

    def hidden(units: int, steps: int, costs: str | None, end: Callable[[History], Measured]):
        sizes = (2, units, 1)
        return Training(sizes, jnp.tanh, course_params(2, sizes), task, 1.2, steps, costs, end)

    def percent(name: str, label: str = "") -> Callable[[History], Measured]:
        return lambda history: {(name, label): 100 * history.values["accuracy"][-1]}

    name = "flower, n_h=4: "
    return [
        hidden(4, 10_000, name + "cost", percent(name + "accuracy (%)")),
        *(
            hidden(units, 5000, None, percent("flower, 5000 steps: accuracy (%)", str(units)))
            for units in (1, 2, 3, 4, 5, 20, 50)
        ),
        _logistic(task),
    ]


def _logistic(task: Task) -> Training:
    """Logistic regression to its optimum, which is the only one, as the loss is convex.

    The curvature is at most the largest eigenvalue of mean (x, 1)(x, 1)^T / 4, 1.01 of this data:
    with a learning rate of 1.2, under 2 / 1.01, descent converges. The smallest eigenvalue is 0.25
    and the outputs stay near 1/2, so that each step leaves about 0.7 of the distance: after 1000
    the gradient is rounding alone.
    """
    sizes = (2, 1)
    network = initlab.networks.mlp(sizes, jnp.tanh, dtype=jnp.float64)
    gradient = jax.jit(jax.grad(initlab.make_loss(network, task)))

    def end(history: History) -> Measured:
        name = "flower, logistic regression: "
        return {
            (name + "accuracy (%)", ""): 100 * history.values["accuracy"][-1],
            (name + "gradient norm", ""): optax.tree.norm(gradient(history.params)),
        }

    return Training(sizes, jnp.tanh, course_params(0, sizes, 0), task, 1.2, 1000, None, end)


def _three_points() -> list[Training]:
    name, sizes = "three points, 10,000 steps: ", (2, 4, 1)

    def end(history: History) -> Measured:
        arrays = course_layout(history.params)
        return {(name + each, ""): array for each, array in arrays.items()}

    start = course_params(2, sizes)
    return [
        Training(sizes, jnp.tanh, start, three_points(), 1.2, 10_000, name + "cost", end),
    ]


def _circles() -> list[Training]:
    scales = {"zeros": 0, "times 10": 10, "He": he_scale}
    return [_circles_start(start, scale) for start, scale in scales.items()]


def _circles_start(start: str, scale: float | Callable[[int], float]) -> Training:
    name, sizes = f"circles, {start}: ", (2, 10, 5, 1)

    def end(history: History) -> Measured:
        values = history.values
        return {
            (name + "accuracy", "train"): values["accuracy"][-1],
            (name + "accuracy", "test"): values["test_accuracy"][-1],
        }

    params, task = course_params(3, sizes, scale), initlab.tasks.circles()
    return Training(sizes, jax.nn.relu, params, task, 0.01, 15_000, name + "cost", end)
