"""Deep networks: what shrinks, what trains, how deep, and what one batch mends."""

# The guide prints these functions as they are laid out here.
# fmt: off

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

import initlab
from initlab import calibration, networks, probes, signals, tasks, theory
from initlab.initializers import by_role, glorot_normal, he_normal, normal, ntk
from initlab.types import Array

__all__ = ["depth_maps", "he_arithmetic", "lsuv"]


def he_arithmetic(seeds: int, width: int, depth: int, steps: int) -> Mapping[str, Array]:
    """What a relu layer keeps of a signal's standard deviation, and the accuracy on digits."""
    starts = {"Xavier": by_role(glorot_normal()), "He": by_role(he_normal())}

    def signal(start):
        network = networks.mlp((*[width] * (depth + 2), 1), jax.nn.relu)
        return signals.signal_run(network, lambda p: start, width, length=1.0, correlation=0.0)

    def training(start):
        return initlab.make_run(networks.mlp((64, *[64] * depth, 10), jax.nn.relu),
                                lambda p: start, tasks.digits(), batch_size=64,
                                optimizer=lambda p: optax.sgd(0.003, momentum=0.9),
                                steps=steps, every=steps, probes=[probes.accuracy])

    size, end = (initlab.sweep(run, {"seed": range(seeds)}, structure={"start": starts})
                 .isel(step=-1) for run in (signal, training))
    kept = (size["length"].isel(layer=depth) / size["length"].isel(layer=0)) ** (0.5 / depth)
    return {f"{s}: std kept by a layer": kept.sel(start=s).values for s in starts} | {
        f"{s}: accuracy": end["accuracy"].sel(start=s).values for s in starts}


def depth_maps(seeds: int, width: int, sigma_w2: Sequence[float], depths: Sequence[int],
               steps: int) -> Mapping[str, Array]:
    """The deepest tanh network that trains, beside theory's depth scale xi_c, over sigma_w2."""
    def describe(depth):
        return initlab.make_run(networks.mlp((64, *[width] * depth, 10), jnp.tanh),
                                lambda p: ntk(p["sigma_w2"], 0.05), tasks.digits(), batch_size=32,
                                optimizer=lambda p: optax.sgd(0.01), steps=steps, every=steps,
                                probes=[probes.accuracy])

    results = initlab.sweep(describe, {"seed": range(seeds), "sigma_w2": sigma_w2},
                            structure={"depth": list(depths)}).isel(step=-1)
    deepest = results["depth"].where(results["accuracy"] > 0.5, 1).max("depth").values
    xi_c = theory.fixed_point(jnp.tanh, np.asarray(sigma_w2), 0.05).xi_c
    return {"largest depth / xi_c": (deepest / xi_c).max(axis=1),
            "power of xi_c": np.polyfit(np.log(xi_c), np.log(deepest.T), 1)[0]}


def lsuv(seeds: int, width: int, depth: int, steps: int,
         names: Sequence[str]) -> Mapping[str, Array]:
    """The accuracy on digits of deep networks that start from N(0, .01^2), and from LSUV."""
    task = tasks.digits()

    def describe(name, start):
        network = networks.mlp((64, *[width] * depth, 10), getattr(jax.nn, name))

        def init(p):
            key = jax.random.key(p["seed"])
            small = initlab.initialize(key, network.specs, by_role(normal(0.01)))
            refined = calibration.lsuv(key, network.apply, small, task.x[:128])
            return refined if start == "LSUV" else small

        return initlab.make_run(network, init, task, optimizer=lambda p: optax.sgd(0.003, 0.9),
                                steps=steps, every=steps, batch_size=64, probes=[probes.accuracy])

    structure = {"name": list(names), "start": ["N(0, .01^2)", "LSUV"]}
    end = initlab.sweep(describe, {"seed": range(seeds)}, structure=structure)
    return {f"{n}, {s}": end["accuracy"].sel(name=n, start=s).isel(step=-1).values
            for n in structure["name"] for s in structure["start"]}
