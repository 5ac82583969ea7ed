"""What symmetry costs: identical units are one unit; a convex loss trains from any start."""

from collections.abc import Callable, Sequence

import jax
import optax
import xarray

import initlab
from experiments import harness
from initlab import probes
from initlab.initializers import by_role, choice, constant, normal
from initlab.training import Point, Run
from initlab.types import Activation, History, Initializer, Network, Task

__all__ = ["LOGISTIC_STARTS", "logistic_runs", "wide_and_narrow_runs"]

LOGISTIC_STARTS = {"zero": constant(0.0), "constant 0.5": constant(0.5), "random": normal(1.0)}


def logistic_runs(
    task: Task, seeds: int, steps: int, every: int, learning_rate: float
) -> xarray.Dataset:
    """Logistic regression from zero, constant and random weights: the loss is convex.

    Args:
      task: a binary task.
      seeds: how many draws of each start.
      steps: of full-batch gradient descent.
      every: steps between snapshots.
      learning_rate: of the steps.

    Returns:
      `loss` over (start, seed, step).
    """
    network = initlab.networks.mlp((task.x.shape[1], 1), initlab.activations.identity)
    run = initlab.make_run(
        network,
        lambda p: by_role(weight=choice(p["start"], tuple(LOGISTIC_STARTS.values()))),
        task,
        optimizer=lambda p: optax.sgd(p["learning_rate"]),
        steps=steps,
        every=every,
        probes=(probes.loss, probes.accuracy),
    )
    axes = {
        "start": range(len(LOGISTIC_STARTS)),
        "seed": range(seeds),
        "learning_rate": [learning_rate],
    }
    return harness.sweep(run, axes, name="logistic").squeeze("learning_rate", drop=True)


def wide_and_narrow_runs(
    task: Task,
    activation: Activation,
    width: int,
    constants: Sequence[float],
    *,
    steps: int,
    every: int,
    learning_rate: float,
) -> dict[str, History]:
    """One hidden layer of `width` identical units, its one-unit net, and a random start.

    Args:
      task: a binary task.
      activation: of the hidden layer.
      width: hidden units H.
      constants: weights of the symmetric starts.
      steps: of full-batch gradient descent.
      every: steps between snapshots.
      learning_rate: of the steps.

    Returns:
      For each constant c a History of "H units at c" and of "1 unit for H at c" (started at c and
      H c, at the rates of `_one_unit_rates`), and one of "H random units" (std 1).
    """
    inputs = task.x.shape[1]
    wide = initlab.networks.mlp((inputs, width, 1), activation)
    narrow = initlab.networks.mlp((inputs, 1, 1), activation)
    rates = _one_unit_rates(width)
    # After sgd and not before: what is scaled is the update, so each factor is a learning rate's.
    scale = optax.stateless(lambda updates, _: jax.tree.map(lambda u, r: u * r, updates, rates))
    sgd = optax.sgd(learning_rate)

    def run(
        network: Network,
        optimizer: optax.GradientTransformation,
        init: Callable[[Point], Initializer],
    ) -> Run:
        return initlab.make_run(
            network,
            init,
            task,
            optimizer=lambda p: optimizer,
            steps=steps,
            every=every,
            probes=(probes.loss, probes.accuracy),
        )

    same = run(wide, sgd, lambda p: by_role(weight=constant(p["constant"])))
    summed = run(
        narrow,
        optax.chain(sgd, scale),
        lambda p: by_role(weight=constant(p["constant"]), readout=constant(p["constant"] * width)),
    )
    histories = {}
    for value in constants:
        point = {"seed": 0, "constant": value}
        histories[f"{width} units at {value:g}"] = same(point)
        histories[f"1 unit for {width} at {value:g}"] = summed(point)
    random = run(wide, sgd, lambda p: by_role(weight=normal(1.0)))
    histories[f"{width} random units"] = random({"seed": 0})
    return histories


def _one_unit_rates(width: int) -> dict[str, dict[str, float]]:
    """Learning-rate factors that make a one-unit net the exact image of H identical units.

    With v = sum of the H equal outgoing weights w: dL/dw_in of one of H units is 1/H of dL/dw_in of
    the one unit, and v moves H times as far as one w.

    Args:
      width: H.

    Returns:
      A factor for each parameter of the one-unit net.
    """
    return {
        "layer_1": {"weight": 1.0 / width, "bias": 1.0 / width},
        "layer_2": {"weight": float(width), "bias": 1.0},
    }
