"""Training itself: condensation, lazy training, what gradient flow conserves, escape times."""

# The guide prints these functions as they are laid out here.
# fmt: off

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab import networks, probes, reductions, tasks
from initlab.initializers import by_role, he_normal, normal, zeros
from initlab.types import Array

__all__ = ["condensation", "conservation", "escape_times", "lazy_training"]


def condensation(seeds: int, width: int, steps: int) -> Mapping[str, Array]:
    """Orientations of a relu layer's units from starts of std m^-2 and m^-1/2, and the loss."""
    x = np.linspace(-1, 1, 100)
    y = sum(sign * np.maximum(slope * (x + shift), 0) for sign, slope, shift in
            ((-1, 1, 0), (1, 2, 0.3), (-1, 1.5, -0.4), (1, 0.5, -0.8)))
    run = initlab.make_run(networks.mlp((1, width, 1), jax.nn.relu, bias=(True, False)),
                           lambda p: by_role(normal(p["std"]), bias=normal(p["std"])),
                           tasks.from_arrays(x[:, None], y), steps=steps, every=steps,
                           optimizer=lambda p: optax.sgd(0.1), probes=[
                               probes.loss, probes.orientations(cosine=0.999, least_norm=0.1)])
    axes = {"std": [width**-2.0, width**-0.5], "seed": range(seeds)}
    end = initlab.sweep(run, axes).isel(step=-1)
    small, ordinary = end["orientations"].isel(layer=0).values
    return {"m^-2: orientations": small, "m^-2: loss": end["loss"].values[0],
            "m^-1/2: orientations": ordinary}


def lazy_training(seeds: int, width: int, steps: int) -> Mapping[str, Array]:
    """The exponent of the output's scale alpha in how far the parameters move."""
    data, alphas = np.random.default_rng(0), [8.0, 30.0, 100.0, 300.0]
    network = networks.mlp((2, width, 1), jnp.tanh)
    run = initlab.make_run(
        lambda p: networks.with_multipliers(network, {"layer_2/*": p["alpha"]}),
        lambda p: by_role(he_normal(), readout=zeros()),
        tasks.from_arrays(data.standard_normal((16, 2)), data.standard_normal(16)),
        optimizer=lambda p: optax.sgd(0.05 / p["alpha"] ** 2), steps=steps, every=steps,
        probes=[probes.movement])
    results = initlab.sweep(run, {"alpha": alphas, "seed": range(seeds)})
    moved = results["total_movement"].isel(step=-1).values
    return {"exponent of alpha": np.polyfit(np.log(alphas), np.log(moved), 1)[0]}


def conservation(seeds: int, width: int, steps: int) -> Mapping[str, Array]:
    """How the drift of what gradient flow conserves changes where the rate is doubled."""
    data, rates = np.random.default_rng(0), [0.002, 0.001]
    run = initlab.make_run(
        networks.mlp((2, width, 1), jax.nn.relu), lambda p: by_role(he_normal()),
        tasks.from_arrays(data.standard_normal((16, 2)), data.standard_normal(16)),
        optimizer=lambda p: optax.sgd(p["rate"]), steps=steps, every=steps // 2,
        probes=[probes.imbalance])
    results = initlab.sweep(run, {"seed": range(seeds), "rate": rates})
    drift = results["imbalance_drift"].sel(layer="layer_1")
    # One physical time: twice the rate, half the steps.
    fast, slow = drift.isel(rate=0, step=1), drift.isel(rate=1, step=2)
    return {"drift at twice the rate": fast.values / slow.values}


def escape_times(seeds: int, epsilons: Mapping[str, Sequence[float]],
                 steps: int) -> Mapping[str, Array]:
    """The exponent of epsilon in the time to leave a start of r layers of constants ~ epsilon."""
    x, found = np.random.default_rng(0).standard_normal((16, 2)), {}
    half = reductions.first_below("loss", 0.5 * np.mean(x.sum(axis=1) ** 2))
    for r, sizes in epsilons.items():
        def constants(p, r=int(r)):
            return lambda key, spec: jnp.full(
                spec.shape, jax.random.uniform(key, minval=0.8, maxval=1.2) / spec.fan_in
                * (p["epsilon"] if spec.path[:7] <= f"layer_{r}" else 1.0))

        run = initlab.make_run(networks.mlp((2, 3, 3, 3, 1), jnp.tanh, bias=False), constants,
                               tasks.from_arrays(x, x.sum(axis=1)), steps=steps, every=10,
                               optimizer=lambda p: optax.sgd(0.02), probes=[probes.loss],
                               curves=False, stop="escape", reductions={"escape": half})
        times = initlab.sweep(run, {"epsilon": sizes, "seed": range(seeds)})
        found[f"r = {r}"] = np.polyfit(np.log(sizes), np.log(times["escape"].values), 1)[0]
    return found
