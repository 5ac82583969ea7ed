"""The cases: how a network of one size is parametrized, and the run that trains it at a rate."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

import initlab
from experiments.transfer import text
from initlab import checks, networks, optimizers, probes, tasks, theory
from initlab import initializers as init
from initlab.theory import Optimizer, Parametrization
from initlab.training import Run
from initlab.types import Network, ParamSpec, Role, Task

__all__ = ["CASES", "HEADS", "Case", "make_transfer_run"]


class Case(NamedTuple):
    """One curve family: networks of several sizes, trained at several rates.

    Attributes:
      task: "digits" or "text".
      axis: what grows: "width" or "depth".
      make: `(task, size) -> network`.
      parametrization: which.
      optimizer: which.
      rate: the learning rate in the middle of those that are tried, at the base size.
      claim: what is published of its best rate over the axis: that it "moves", or "stays".
      source: where.
      alpha: of CompleteP.
      shaped: whether an update of Muon has its factor sqrt(max(1, fan_out / fan_in)).
      repeats: how many times as many seeds as asked it takes: more where its interval would
        otherwise reach .15, the tolerance at the defaults.
    """

    task: str
    axis: str
    make: Callable[[Task, int], Network]
    parametrization: Parametrization
    optimizer: Optimizer
    rate: float
    claim: str
    source: str
    alpha: float = 1.0
    shaped: bool = True
    repeats: int = 1


def _mlp(hidden: int) -> Callable[[Task, int], Network]:
    def make(task: Task, width: int) -> Network:
        sizes = (task.x.shape[1], *[width] * hidden, task.objective.outputs(task.y))
        return networks.mlp(sizes, jax.nn.relu)

    return make


def _residual(task: Task, depth: int) -> Network:
    sizes = (task.x.shape[1], 32, task.objective.outputs(task.y))
    return networks.residual_mlp(sizes, depth, jax.nn.relu, layer_norm=True, scanned=True)


HEADS, BASE_WIDTH = 2, 16


def _decoder(scale: Callable[[float], float]) -> Callable[[Task, int], Network]:
    """Two blocks of two heads, whose features grow with the width; scale is of the scores."""

    def make(task: Task, width: int) -> Network:
        return networks.transformer(
            (text.CHARACTERS, width, text.CHARACTERS),
            2,
            jax.nn.gelu,
            heads=HEADS,
            length=task.x.shape[1],
            last_only=True,
            scanned=True,
            attention_scale=scale(width / HEADS),
        )

    return make


def _over_features(features: float) -> float:
    """1/d, equal to 1/sqrt(d) at the base width."""
    return math.sqrt(BASE_WIDTH / HEADS) / features


MUP = "arXiv:2203.03466"
COMPLETE = "arXiv:2505.01618"

CASES = {
    "standard Adam": Case(
        "digits", "width", _mlp(2), Parametrization.STANDARD, Optimizer.ADAM, 2**-8, "moves", MUP
    ),
    "muP Adam": Case(
        "digits", "width", _mlp(2), Parametrization.MUP, Optimizer.ADAM, 2**-6, "stays", MUP
    ),
    "CompleteP 1": Case(
        "digits",
        "depth",
        _residual,
        Parametrization.COMPLETE_P,
        Optimizer.ADAM,
        2**-6,
        "stays",
        COMPLETE,
        repeats=2,
    ),
    "CompleteP 1/2": Case(
        "digits",
        "depth",
        _residual,
        Parametrization.COMPLETE_P,
        Optimizer.ADAM,
        2**-6,
        "moves",
        COMPLETE,
        alpha=0.5,
        repeats=2,
    ),
    "no depth rule": Case(
        "digits", "depth", _residual, Parametrization.MUP, Optimizer.ADAM, 2**-7, "moves", COMPLETE
    ),
    "Muon": Case(
        "digits",
        "width",
        _mlp(1),
        Parametrization.MUP,
        Optimizer.MUON,
        2**-4,
        "stays",
        "arXiv:2310.17813",
        repeats=4,
    ),
    "Muon without its factor": Case(
        "digits",
        "width",
        _mlp(1),
        Parametrization.MUP,
        Optimizer.MUON,
        2**-3,
        "moves",
        "arXiv:2310.17813",
        shaped=False,
        repeats=2,
    ),
    "decoder standard Adam": Case(
        "text",
        "width",
        _decoder(lambda features: features**-0.5),
        Parametrization.STANDARD,
        Optimizer.ADAM,
        2**-7,
        "moves",
        MUP,
    ),
    "decoder muP Adam": Case(
        "text",
        "width",
        _decoder(_over_features),
        Parametrization.MUP,
        Optimizer.ADAM,
        2**-6,
        "stays",
        MUP,
    ),
}
"""By name; of one axis and task all have the same network at the base size, the smallest one."""


def make_transfer_run(case: Case, size: int, base: int, steps: int, batch_size: int) -> Run:
    """A run at one size, whose point is `learning_rate`, over the case's own, and `seed`.

    Args:
      case: which.
      size: of the network, along the case's axis.
      base: the size at which the case's rate and start are those of all parametrizations.
      steps: of the optimizer.
      batch_size: examples in a minibatch.

    Returns:
      A run with snapshots before the first and after the last step.
    """
    task = tasks.digits() if case.task == "digits" else text.next_characters()
    network, small = (case.make(task, each) for each in (size, base))
    way = theory.scaling(
        network.specs, small.specs, case.parametrization, case.optimizer, alpha=case.alpha
    )
    start = init.parametrized(init.by_role(init.lecun_normal(), embedding=init.normal(1.0)), way)
    unshaped = {} if case.shaped else _without_shape(network)

    def optimizer(point: initlab.training.Point) -> optax.GradientTransformation:
        rate = case.rate * point["learning_rate"]
        # What Muon leaves to Adam keeps a rate that is right: the matrices' alone is asked for.
        others = {"adam_rate": 2**-6} if case.optimizer is Optimizer.MUON else {}
        return optax.chain(
            optimizers.parametrized(way, rate, **others), optimizers.scale_leaves(unshaped)
        )

    return initlab.make_run(
        networks.with_multipliers(network, way.multipliers),
        lambda point: start,
        task,
        optimizer=optimizer,
        steps=steps,
        every=steps,
        probes=(probes.loss,),
        batch_size=batch_size,
    )


def _without_shape(network: Network) -> dict[str, float]:
    """Of each matrix that Muon takes the inverse of what it multiplies its update by."""
    specs: dict[str, ParamSpec] = checks.leaves_by_path("network.specs", network.specs)
    return {
        path: max(1.0, spec.fan_out / spec.fan_in) ** -0.5
        for path, spec in specs.items()
        if spec.role in (Role.INPUT, Role.WEIGHT)
    }
