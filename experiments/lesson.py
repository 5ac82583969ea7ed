"""A net with one hidden layer in training, with everything that is said to break its symmetry."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab.initializers import by_path, choice, constant, normal, zeros
from initlab.keys import path_key
from initlab.networks.dense import LANES, dense
from initlab.types import Network, Params, Task

__all__ = [
    "PIECES",
    "Data",
    "Lesson",
    "Noise",
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

    start_w1: Any
    start_b1: Any
    start_w2: Any


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

    def update(gradient: Params, memory: Any, params: Params | None = None) -> tuple[Params, Any]:
        plain, sums = momentum.update(gradient, memory[0])
        scaled, moments = adam.update(gradient, memory[1])
        is_adam = treatment.adam > 0
        chosen = jax.tree.map(lambda one, other: jnp.where(is_adam, one, other), scaled, plain)
        return chosen, (sums, moments)

    return optax.chain(
        optax.add_decayed_weights(treatment.weight_decay),
        optax.GradientTransformation(init, update),
        optax.scale_by_learning_rate(treatment.learning_rate),
    )


class Lesson(NamedTuple):
    """What all runs of one program share.

    Attributes:
      network: an mlp with one hidden layer and one logit.
      task: a binary task.
      optimizer: `treatment -> optax.GradientTransformation`.
    """

    network: Network
    task: Task
    optimizer: Callable[[Treatment], optax.GradientTransformation] = descent


def start_params(specs: Params, seed: Any, start: Start, constant_to: float, std: float) -> Params:
    """Params whose pieces are as a start says.

    Args:
      specs: of an mlp with one hidden layer.
      seed: under whose key random pieces are drawn: alike in every start that has them.
      start: the pieces.
      constant_to: value of a constant piece.
      std: of a random piece.

    Returns:
      The params.
    """
    pieces = (zeros(), constant(constant_to), normal(std))
    init = by_path(
        {
            "layer_1/weight": choice(start.start_w1, pieces),
            "layer_1/bias": choice(start.start_b1, pieces),
            "layer_2/weight": choice(start.start_w2, pieces),
            "layer_2/bias": zeros(),
        }
    )
    return initlab.initialize(jax.random.key(seed), specs, init)


class Data:
    """A task's data as the layers take them: [inputs, examples], examples in whole lanes."""

    def __init__(self, lesson: Lesson) -> None:
        self.activation = lesson.network.activations["layer_1"]
        self.loss, self.optimizer = lesson.task.loss, lesson.optimizer
        self.units = lesson.network.specs["layer_1"]["bias"].shape[0]
        self.examples = len(lesson.task.x)
        fill = (0, -self.examples % LANES)
        dtype = lesson.network.specs["layer_1"]["weight"].dtype
        self.x = jnp.asarray(np.pad(lesson.task.x.T, ((0, 0), fill), mode="edge"), dtype)
        self.y = jnp.asarray(np.pad(lesson.task.y, fill, mode="edge"))

    def step(self, state: State, treatment: Treatment, noise: Noise) -> State:
        """One step of the optimizer, under the treatment's noise."""
        gradient = jax.grad(self.noisy_loss)(state.params, treatment, noise)
        descent = self.optimizer(treatment)
        updates, memory = descent.update(gradient, state.memory, state.params)
        return State(optax.apply_updates(state.params, updates), memory)

    def draw(self, key: jax.Array, number: jax.Array) -> Noise:
        """The randomness of a step, by the seed's key and the step's number."""

        def key_of(name: str) -> jax.Array:
            return jax.random.fold_in(path_key(key, name), number)

        dtype, total = self.x.dtype, self.y.shape[0]
        inputs = jax.random.normal(key_of("input_noise"), self.x.shape, dtype)
        rest = jax.random.uniform(key_of("other_noise"), (self.units + 2, total), dtype)
        # What fills the lanes comes after all examples, and so into no batch.
        places = jnp.argsort(jnp.where(jnp.arange(total) < self.examples, rest[1], 1))
        return Noise(inputs, rest[0], jnp.argsort(places).astype(dtype), rest[2:])

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
        share = jnp.where(noise.order < count, 1 / count, 0)
        x = self.x + treatment.input_noise * noise.inputs
        y = jnp.where(noise.labels < treatment.label_noise, 1 - self.y, self.y)
        mask = jnp.where(noise.units < treatment.dropout, 0, 1 / (1 - treatment.dropout))
        logits = dense(self.activation(dense(x, **params["layer_1"])) * mask, **params["layer_2"])
        each = jax.vmap(lambda z, label: self.loss(z[None], label[None]))(logits.T, y)
        return jnp.sum(share * each)
