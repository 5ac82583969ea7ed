"""What symmetry costs: a wide net from identical units is its one-unit net; a convex net pays nothing."""

from collections.abc import Mapping
from typing import Any

import jax
import optax
import xarray

import initlab
from initlab import probes
from initlab.initializers import by_role, choice, constant, normal
from initlab.types import Activation, Task

__all__ = ["LOGISTIC_STARTS", "logistic_runs", "one_unit_rates", "wide_and_narrow_runs"]

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
    return initlab.sweep(run, axes).squeeze("learning_rate", drop=True)


def wide_and_narrow_runs(
    task: Task, activation: Activation, width: int, steps: int, every: int, point: Mapping[str, Any]
) -> dict[str, Any]:
    """One hidden layer of `width` units, from constant weights; its one-unit net; a random start.

    Args:
      task: a binary task.
      activation: of the hidden layer.
      width: hidden units H.
      steps: of full-batch gradient descent.
      every: steps between snapshots.
      point: `constant` (the weights c of the symmetric start), `scale` (std of the random start),
        `learning_rate` and `seed`.

    Returns:
      Traces: "symmetric" (H units that start identical), "one unit" (started at c and H c, at the
      rates of `one_unit_rates`), "random" (H units).
    """
    inputs = task.x.shape[1]
    wide = initlab.networks.mlp((inputs, width, 1), activation)
    narrow = initlab.networks.mlp((inputs, 1, 1), activation)
    shared = {"steps": steps, "every": every}
    measured = (probes.loss, probes.accuracy, probes.distinct_units)

    def sgd(p: Any) -> optax.GradientTransformation:
        return optax.sgd(p["learning_rate"])

    def one_unit_sgd(p: Any) -> optax.GradientTransformation:
        rates = one_unit_rates(width)
        scale = optax.stateless(lambda updates, _: jax.tree.map(lambda u, r: u * r, updates, rates))
        return optax.chain(sgd(p), scale)

    starts = {
        "symmetric": (wide, lambda p: by_role(weight=constant(p["constant"])), sgd),
        "one unit": (
            narrow,
            lambda p: by_role(
                weight=constant(p["constant"]), readout=constant(p["constant"] * width)
            ),
            one_unit_sgd,
        ),
        "random": (wide, lambda p: by_role(weight=normal(p["scale"])), sgd),
    }
    return {
        name: initlab.make_run(network, init, task, optimizer=optimizer, probes=measured, **shared)(
            {key: point[key] for key in ("seed", "learning_rate", _weight_name(name))}
        )
        for name, (network, init, optimizer) in starts.items()
    }


def one_unit_rates(width: int) -> dict[str, dict[str, float]]:
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


def _weight_name(start: str) -> str:
    return "scale" if start == "random" else "constant"
