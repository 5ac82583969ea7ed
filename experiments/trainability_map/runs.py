"""One run of a map: a network from scaled draws, trained at its own rates; two numbers of it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from experiments import names
from initlab import checks, networks, optimizers, probes, tasks
from initlab.activations import identity
from initlab.initializers import ntk
from initlab.reductions import Reduction, first_above, first_below, minimum
from initlab.training import Point, Run
from initlab.types import Activation, History, Initializer, Network, ParamSpec, Role, Task

__all__ = [
    "ACTIVATIONS",
    "LAST",
    "PARAMETRIZATIONS",
    "REDUCTIONS",
    "TASKS",
    "Setting",
    "make_map_run",
]

ACTIVATIONS: dict[str, Activation] = names.ACTIVATIONS | {"identity": identity}

TASKS = {"gaussian": None} | names.TASKS
"""Those of the lab, and "gaussian": inputs and labels that are independent unit normals."""

GAINS = {"tanh": 2**0.5, "relu": 2**0.5}
"""Factors of a hidden layer's weights in Sohl-Dickstein's notebook; of others 1."""

PARAMETRIZATIONS = {"standard": "standard", "mean_field": "mean_field"}

REDUCTIONS: dict[str, Callable[[float], dict[str, Reduction]]] = {
    "none": lambda constant: {},
    "steps_to_half": lambda constant: {"reduced": first_below("loss", constant / 2)},
    "steps_to_ten": lambda constant: {"reduced": first_above("loss", 10 * constant)},
    "least_loss": lambda constant: {"reduced": minimum("loss")},
}
"""What a map holds besides, of the best constant's loss: the first step with half of it or with ten
times it, the least loss."""

LAST = 20
"""Steps at the end over which the loss is averaged."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all runs of a map share.

    Attributes:
      network: its name in `names.NETWORKS`.
      width: units of a hidden layer.
      task: its name.
      inputs: entries of a gaussian input.
      examples: training examples; 0: as many as a gaussian task's network has weights, and all of
        another task.
      data_seed: of a gaussian task.
      batch_size: examples in a minibatch; 0 is full batch.
      steps: optimizer steps.
      bias: whether biases are drawn and trained; else they stay 0.
      parametrization: "standard", or "mean_field": a weight is `m theta`, m = gain / sqrt(fan_in)
        in a hidden layer and 1 / fan_in in the readout; sigma_w is theta's std and learning rates
        are theta's.
      values: of what is no axis, by the axes' names.
      reduction: its name in REDUCTIONS.
    """

    network: str
    width: int
    task: str
    inputs: int
    examples: int
    data_seed: int
    batch_size: int
    steps: int
    bias: bool
    parametrization: str
    values: Mapping[str, Any]
    reduction: str = "none"


def make_map_run(
    setting: Setting, axes: tuple[str, ...], activation: str, dtype: str, depth: int
) -> Run:
    """A run whose point holds the axes and a seed, and of which two numbers are kept.

    Args:
      setting: what it shares with the others.
      axes: names of the numbers that its point holds beside the seed.
      activation: its name in ACTIVATIONS.
      dtype: that it computes in; starts are drawn in float32 in any case, so that those of two
        dtypes are the same.
      depth: hidden layers, or blocks.

    Returns:
      A run of one snapshot: `relative_loss`, the last loss over that of the best constant, and
      `loss_ratio`, the mean loss before each of the last 20 steps over that before the first; and
      what the setting's reduction comes to, `reduced`.
    """
    task = _make_task(setting, activation, depth)
    network = _make_network(setting, task, activation, dtype, depth)
    gain = GAINS.get(activation, 1.0)
    is_mean_field = setting.parametrization == "mean_field"

    def of_layer(point: Point, name: str, path: str) -> Any:
        own = f"{name}_{path.partition('/')[0].removeprefix('layer_')}"
        chosen = own if own in axes else name
        return point[chosen] if chosen in axes else setting.values[chosen]

    def initializer(point: Point) -> Initializer:
        offset = point["offset"] if "offset" in axes else setting.values["offset"]
        spread = point["sigma_b"] if "sigma_b" in axes else setting.values["sigma_b"]

        def draw(key: jax.Array, spec: ParamSpec) -> jax.Array:
            unit = ntk(1.0, 1.0)(key, dataclasses.replace(spec, dtype=np.float32))
            unit = unit.astype(spec.dtype)
            if spec.role is Role.BIAS:
                return unit * (spread if setting.bias else 0.0)
            if spec.role in (Role.NORM_SCALE, Role.NORM_BIAS, Role.GATE):
                return unit
            # The unit draw has 1 / sqrt(fan_in) already.
            factor = _multiplier(spec, gain) * spec.fan_in**0.5 if is_mean_field else 1.0
            weight = unit * (of_layer(point, "sigma_w", spec.path) * factor)
            return weight + offset * (spec.role is Role.INPUT)

        return draw

    def optimizer(point: Point) -> optax.GradientTransformation:
        def descent(path: str, spec: ParamSpec) -> optax.GradientTransformation:
            if spec.role is Role.BIAS and not setting.bias:
                return optimizers.frozen()
            own = of_layer(point, "learning_rate", path)
            # Descent on theta moves m theta by m^2 times as much as descent on m theta would.
            return optax.sgd(own * _multiplier(spec, gain) ** 2 if is_mean_field else own)

        specs = checks.leaves_by_path("network.specs", network.specs)
        return optimizers.by_path({path: descent(path, spec) for path, spec in specs.items()})

    constant = float(task.objective.constant_loss(task.y))
    run = initlab.make_run(
        network,
        initializer,
        task,
        optimizer=optimizer,
        steps=setting.steps,
        every=1,
        probes=(probes.loss,),
        batch_size=setting.batch_size or None,
        reductions=REDUCTIONS[setting.reduction](constant),
    )
    return _without_curve(run, constant)


def _without_curve(run: Run, constant_loss: float) -> Run:
    """The run without its curve: a million runs keep two numbers each, three with a reduction."""

    def measured(point: Point) -> History:
        history = run.function(point)
        loss = history.values["loss"]
        values = {
            "relative_loss": loss[-1:] / constant_loss,
            "loss_ratio": jnp.mean(loss[-LAST - 1 : -1])[None] / loss[:1],
        }
        # One dtype, so that maps of two are one sweep.
        values = {name: value.astype(jnp.float32) for name, value in values.items()}
        broke = history.first_nonfinite_step
        return History(jnp.zeros(1, jnp.int32), values, broke, (), history.reductions)

    kept = {**run.description, "steps": 0, "reduced_from_steps": run.description["steps"]}
    return dataclasses.replace(run, function=jax.jit(measured), description=kept)


def _multiplier(spec: ParamSpec, gain: float) -> float:
    """M of a weight m theta in the mean-field parametrization."""
    if spec.role in (Role.BIAS, Role.NORM_SCALE, Role.NORM_BIAS, Role.GATE):
        return 1.0
    return 1 / spec.fan_in if spec.role is Role.READOUT else gain * spec.fan_in**-0.5


def _make_network(setting: Setting, task: Task, activation: str, dtype: str, depth: int) -> Network:
    inputs, outputs = task.x.shape[1], task.objective.outputs(task.y)
    function = ACTIVATIONS[activation]
    if setting.network == "mlp":
        sizes = (inputs, *[setting.width] * depth, outputs)
        return networks.mlp(sizes, function, bias=setting.bias, dtype=np.dtype(dtype))
    return names.NETWORKS[setting.network](inputs, setting.width, depth, outputs, function)


def _make_task(setting: Setting, activation: str, depth: int) -> Task:
    if setting.task != "gaussian":
        task = names.TASKS[setting.task]()
        return tasks.take(task, setting.examples) if setting.examples else task
    examples = setting.examples
    if not examples:
        # As many as free dimensions: a linear network has those of its inputs alone.
        weights = (setting.inputs + (depth - 1) * setting.width + 1) * setting.width
        examples = setting.inputs if activation == "identity" else weights
    draw = np.random.default_rng(setting.data_seed)
    x = draw.standard_normal((examples, setting.inputs))
    return tasks.from_arrays(x, draw.standard_normal(examples))
