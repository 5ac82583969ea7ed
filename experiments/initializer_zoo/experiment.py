"""Every initializer on the same networks: what theory, one batch and training say of it.

    python -m experiments.initializer_zoo

Each scheme starts the same networks under the same seeds. Of each start: the variances of its
hidden weights and biases and what theory makes of them; what the training examples show before the
first step; and what minibatch gradient descent does from it over a grid of learning rates, of which
each scheme has its best. A scheme that has no meaning for a network's shapes (a matrix where it
requires a convolution) is listed with its reason. The residual network has gates, for the schemes
that set them; the others start them at 1.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.initializer_zoo import starts as zoo_starts
from experiments.initializer_zoo.figure import draw_zoo
from experiments.initializer_zoo.tables import show, summarize
from initlab import probes
from initlab.types import Network, Task

__all__ = ["EXPERIMENT"]

INITIALIZERS = flags.define_names(
    "initializer", tuple(names.INITIALIZERS), names.INITIALIZERS, "Initializers"
)
NETWORKS = flags.define_names(
    "network", ("mlp", "residual_mlp_gate", "convnet"), names.NETWORKS, "Networks"
)
TASK = flags.define_name("task", "digits", names.TASKS, "Task")
ACTIVATION = flags.define_name("activation", "tanh", names.ACTIVATIONS, "Hidden activation")
WIDTH = flags.define_count("width", 32, "Units of a hidden layer.")
CHANNELS = flags.define_count("channels", 4, "Channels of a convolutional network.")
DEPTH = flags.define_count("depth", 6, "Hidden layers, or blocks.", most=flags.MOST_LAYERS)
SEEDS = flags.define_count("seeds", 8, "Seeds for each scheme.")
EXAMPLES = flags.define_count("examples", 256, "Training examples of the task.", least=2)
BATCH_SIZE = flags.define_count("batch_size", 32, "Examples in a minibatch.")
STEPS = flags.define_count(
    "steps", 200, "Gradient descent steps; a multiple of --every.", most=flags.MOST_STEPS
)
EVERY = flags.define_count(
    "every", 10, "Steps between snapshots: the unit of steps to train.", most=flags.MOST_STEPS
)
LEARNING_RATES = flags.define_numbers(
    "learning_rate", (0.03, 0.1, 0.3, 1), "Learning rates; the best is taken for each scheme."
)
flags.define_trained_fraction()  # read by the table, from the settings
PER_START = ("network", "initializer", "seed")
SMOKE = {
    "initializer": ["zeros", "he_normal", "delta_orthogonal"],
    "network": ["mlp"],
    "width": 16,
    "depth": 2,
    "seeds": 4,
    "examples": 32,
    "batch_size": 16,
    "steps": 60,
    "every": 20,
    "learning_rate": ["0.1", "0.5"],
}


def measure() -> xarray.Dataset:
    """Draws every start of every network, looks at it, and trains it: one program a network."""
    task = names.chosen_task(TASK.value, EXAMPLES.value)
    activation = names.ACTIVATIONS[ACTIVATION.value]
    models = {name: _network(name, task) for name in NETWORKS.value}

    @functools.cache
    def starts_of(network: str) -> zoo_starts.Starts:
        branches = names.count_branches(models[network], DEPTH.value)
        schemes = {
            name: names.INITIALIZERS[name](activation, branches) for name in INITIALIZERS.value
        }
        return zoo_starts.draw_starts(models[network], schemes, SEEDS.value)

    def describe(network):
        def start(point):
            place = point["initializer"], point["seed"]
            return jax.tree.map(lambda leaf: jnp.asarray(leaf)[place], starts_of(network).params)

        return initlab.make_run(
            models[network],
            start,
            task,
            optimizer=lambda p: optax.sgd(p["learning_rate"]),
            steps=STEPS.value,
            every=EVERY.value,
            probes=(probes.loss,),
            batch_size=BATCH_SIZE.value,
        )

    axes = {
        "initializer": range(len(INITIALIZERS.value)),
        "seed": range(SEEDS.value),
        "learning_rate": [float(rate) for rate in LEARNING_RATES.value],
    }
    results = harness.sweep(describe, axes, structure={"network": list(models)})
    starts = [starts_of(name) for name in models]
    shown = [
        zoo_starts.look(model, task, drawn.params)
        for model, drawn in harness.track(
            list(zip(models.values(), starts, strict=True)), "networks looked at"
        )
    ]
    sigma_w2, sigma_b2 = (
        np.stack([getattr(each, sigma) for each in starts]) for sigma in ("sigma_w2", "sigma_b2")
    )
    chi1, q = zoo_starts.in_theory(activation, sigma_w2, sigma_b2)
    reasons = [[each.refused.get(name, "") for name in INITIALIZERS.value] for each in starts]
    of_scheme = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "chi1": chi1, "q": q}
    each_start = {name: np.stack([seen[name] for seen in shown]) for name in shown[0]}
    return (
        results.assign_coords(initializer=np.asarray(INITIALIZERS.value, dtype=object))
        .assign({name: (("network", "initializer"), each) for name, each in of_scheme.items()})
        .assign({name: (PER_START, each) for name, each in each_start.items()})
        .assign_coords(refused=(("network", "initializer"), np.asarray(reasons, dtype=object)))
    )


def draw(results: xarray.Dataset, settings: Settings):
    """A line for each scheme, a column of panels for each thing that was found."""
    summary = summarize(results, settings)
    return draw_zoo(
        summary["networks"],
        trained_under=summary["trained_under"],
        title="Initializers on {task}: {activation}, {depth} hidden layers or ".format_map(settings)
        + f"blocks, {summary['seeds']} seeds, {summary['steps']} steps at the best learning rate",
    )


def _network(name: str, task: Task) -> Network:
    width = CHANNELS.value if "convnet" in name else WIDTH.value
    activation = names.ACTIVATIONS[ACTIVATION.value]
    outputs = task.objective.outputs(task.y)
    return names.NETWORKS[name](task.x.shape[1], width, DEPTH.value, outputs, activation)


EXPERIMENT = harness.Experiment(
    "initializer_zoo",
    measure,
    summarize,
    show,
    draw,
    SMOKE,
    judging=frozenset({"trained_fraction"}),
)
