"""A net with one hidden layer in training, with everything that is said to break its symmetry."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab.keys import path_key
from initlab.networks.dense import LANES, dense
from initlab.training.steps import apply_updates
from initlab.types import Initializer, Network, Params, Task

__all__ = [
    "PIECES",
    "Data",
    "Noise",
    "Problem",
    "Start",
    "State",
    "Treatment",
    "descent",
    "start_params",
]

PIECES = ("zero", "constant", "random")
"""What each piece of a start may be, in the order of its index."""


class Start(NamedTuple):
    """The start of a run, as indices of `PIECES`; the output's bias is always zero.

    Attributes:
      start_w1: of the hidden layer's weights.
      start_b1: of its biases.
      start_w2: of the outgoing weights.
    """

    start_w1: int
    start_b1: int
    start_w2: int


class Treatment(NamedTuple):
    """How a run is trained, in numbers that may be traced; 0 switches a term off.

    Attributes:
      learning_rate: of the optimizer.
      minibatch: share of the examples in a step's batch, drawn anew each step; 0 takes all.
      momentum: factor of the sum of earlier gradients.
      adam: over 0, the direction is Adam's.
      weight_decay: times each parameter, added to its gradient.
      input_noise: std of a Gaussian added to the inputs, drawn anew each step.
      label_noise: probability that a label is turned over, drawn anew each step.
      dropout: probability that a unit is left out of an example, under 1; the others are scaled up.
    """

    learning_rate: Any
    minibatch: Any = 0.0
    momentum: Any = 0.0
    adam: Any = 0.0
    weight_decay: Any = 0.0
    input_noise: Any = 0.0
    label_noise: Any = 0.0
    dropout: Any = 0.0


class State(NamedTuple):
    """What a step changes: the params and the optimizer's memory."""

    params: Params
    memory: Any


class Noise(NamedTuple):
    """All that is random in a step, common to every start and treatment of a seed.

    Attributes:
      inputs: N(0, 1) [n_0, B].
      labels: U[0, 1) [B].
      order: the examples' places in a random order [B].
      units: U[0, 1) [H, B].
    """

    inputs: jax.Array
    labels: jax.Array
    order: jax.Array
    units: jax.Array


def descent(treatment: Treatment) -> optax.GradientTransformation:
    """Gradient descent with weight decay and momentum, or Adam in momentum's place.

    Args:
      treatment: its numbers; which of the two is a number too, so that one program holds both.

    Returns:
      The optimizer.
    """
    momentum, adam = optax.trace(treatment.momentum), optax.scale_by_adam()

    def init(params: Params) -> Any:
        return momentum.init(params), adam.init(params)

    def update(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, Any]:
        plain, sums = momentum.update(updates, state[0])
        scaled, moments = adam.update(updates, state[1])
        # Both are computed and one is chosen: under vmap the choice is data, and a cond would
        # compute both too.
        is_adam = treatment.adam > 0
        chosen = jax.tree.map(lambda one, other: jnp.where(is_adam, one, other), scaled, plain)
        return chosen, (sums, moments)

    return optax.chain(
        optax.add_decayed_weights(treatment.weight_decay),
        optax.GradientTransformation(init, update),
        optax.scale_by_learning_rate(treatment.learning_rate),
    )


class Problem(NamedTuple):
    """What all runs of one program share.

    Attributes:
      network: an mlp with one hidden layer and one logit.
      task: a binary task.
      optimizer: `treatment -> optax.GradientTransformation`.
    """

    network: Network
    task: Task
    optimizer: Callable[[Treatment], optax.GradientTransformation] = descent


def start_params(
    specs: Params, seeds: Sequence[int], starts: Sequence[Start], pieces: Sequence[Initializer]
) -> Params:
    """Params whose pieces are those of each start.

    Args:
      specs: of an mlp with one hidden layer.
      seeds: under whose keys a random piece is drawn: the same in every start that has it.
      starts: S of them, indices of `pieces`.
      pieces: an initializer for each of `PIECES`; the first one is the output bias's too.

    Returns:
      The params [seeds, S, ...].
    """
    drawn = [
        [initlab.initialize(jax.random.key(seed), specs, piece) for piece in pieces]
        for seed in seeds
    ]
    over_pieces = [jax.tree.map(lambda *each: np.stack(each), *of_seed) for of_seed in drawn]
    every = jax.tree.map(lambda *each: np.stack(each), *over_pieces)
    w1, b1, w2 = np.asarray(starts).T
    b2 = np.zeros_like(w2)
    first, second = every["layer_1"], every["layer_2"]
    return {
        "layer_1": {"weight": first["weight"][:, w1], "bias": first["bias"][:, b1]},
        "layer_2": {
            "weight": second["weight"][:, w2],
            "bias": second["bias"][:, b2],
        },
    }


class Data:
    """A task's data as the layers take them: [inputs, examples], examples in whole lanes."""

    def __init__(self, problem: Problem) -> None:
        self.activation = problem.network.activations["layer_1"]
        self.loss, self.optimizer = problem.task.loss, problem.optimizer
        self.units = problem.network.specs["layer_1"]["bias"].shape[0]
        self.examples = len(problem.task.x)
        # Copies of an example and not zeros: functions_identical compares units on every column,
        # and must not see an input that the task does not have.
        fill = (0, -self.examples % LANES)
        dtype = problem.network.specs["layer_1"]["weight"].dtype
        self.x = jnp.asarray(np.pad(problem.task.x.T, ((0, 0), fill), mode="edge"), dtype)
        self.y = jnp.asarray(np.pad(problem.task.y, fill, mode="edge"))

    def step(self, state: State, treatment: Treatment, noise: Noise) -> State:
        """One step of the optimizer, under the treatment's noise."""
        gradient = jax.grad(self.noisy_loss)(state.params, treatment, noise)
        descent = self.optimizer(treatment)
        updates, memory = descent.update(gradient, state.memory, state.params)
        return State(apply_updates(state.params, updates), memory)

    def draw(self, key: jax.Array, steps: int) -> Noise:
        """The randomness of the first steps, [steps, ...] in each field."""
        dtype, total = self.x.dtype, self.y.shape[0]
        inputs = jax.random.normal(path_key(key, "inputs"), (steps, *self.x.shape), dtype)
        shape = (steps, self.units + 2, total)
        labels, order, *units = jnp.moveaxis(
            jax.random.uniform(path_key(key, "labels, order, units"), shape, dtype), 1, 0
        )
        # What fills the lanes comes after all examples, and so into no batch.
        places = jnp.argsort(jnp.where(jnp.arange(total) < self.examples, order, 1), axis=1)
        ranks = jnp.argsort(places, axis=1).astype(dtype)
        return Noise(inputs, labels, ranks, jnp.stack(units, axis=1))

    def hidden(self, params: Params) -> jax.Array:
        """What the units compute of the task's inputs [H, B]."""
        return self.activation(dense(self.x, **params["layer_1"]))

    def functions_identical(self, params: Params) -> jax.Array:
        """Whether all units compute the same of every input, to the last bit."""
        a = self.hidden(params)
        first = a[:1]
        return jnp.all((a == first) | (jnp.isnan(a) & jnp.isnan(first)))

    def noisy_loss(self, params: Params, treatment: Treatment, noise: Noise) -> jax.Array:
        """The mean loss over a step's batch, under the treatment's noise."""
        count = jnp.round(treatment.minibatch * self.examples)
        count = jnp.where(treatment.minibatch > 0, jnp.maximum(count, 1), self.examples)
        # The examples that fill the last lanes have an order beyond every count: a share of 0.
        share = jnp.where(noise.order < count, 1 / count, 0)
        x = self.x + treatment.input_noise * noise.inputs
        y = jnp.where(noise.labels < treatment.label_noise, 1 - self.y, self.y)
        mask = jnp.where(noise.units < treatment.dropout, 0, 1 / (1 - treatment.dropout))
        logits = dense(self.activation(dense(x, **params["layer_1"])) * mask, **params["layer_2"])
        each = jax.vmap(lambda z, label: self.loss(z[None], label[None]))(logits.T, y)
        return jnp.sum(share * each)
