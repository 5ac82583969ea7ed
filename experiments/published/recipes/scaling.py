"""Over learning rates and widths: the share that trains, and how the first step scales."""

# The guide prints these functions as they are laid out here.
# fmt: off

from collections.abc import Mapping, Sequence

import jax
import numpy as np
import optax

import initlab
from initlab import initializers, networks, optimizers, probes, tasks
from initlab.coordinates import coordinate_check, of_network, scale_by_width
from initlab.initializers import by_role, lecun_normal
from initlab.objectives import softmax
from initlab.reductions import mean_of_last, value_at
from initlab.theory import Optimizer, Parametrization
from initlab.types import Array

__all__ = ["fractal", "mup"]


def fractal(seeds: int, pixels: int, names: Sequence[str]) -> Mapping[str, Array]:
    """The share of pairs of learning rates at which a mean-field network converges."""
    def describe(name, data):
        examples, gain = (8, 1.0) if name == "identity" else (72, 2**0.5)
        x, y = np.split(np.random.default_rng(data).standard_normal((examples, 9)), [8], axis=1)
        network = networks.mlp((8, 8, 1), getattr(jax.nn, name), bias=False)
        params = initlab.initialize(jax.random.key(data), network.specs, initializers.normal(1.0))
        factors = {"layer_1/*": gain / 8**0.5, "layer_2/*": 1 / 8}
        return initlab.make_run(networks.with_multipliers(network, factors), lambda p: params,
            tasks.from_arrays(x, y[:, 0]), optimizer=lambda p: optimizers.by_path(
                {f"layer_{n}/*": optax.sgd(p[f"rate_{n}"]) for n in (1, 2)}), steps=100, every=1,
            reductions={"first": value_at("loss", 0), "last": mean_of_last("loss", 20)},
            probes=[probes.loss], curves=False)

    axes = {"seed": [0]} | dict.fromkeys(("rate_1", "rate_2"), np.logspace(-3, 6, pixels))
    end = initlab.sweep(describe, axes, structure={"name": names, "data": range(seeds)})
    return {n: (end["last"] < end["first"]).sel(name=n).mean(tuple(axes)).values for n in names}


def mup(seeds: int, widths: Sequence[int],
        cases: Sequence[tuple[str, str]]) -> Mapping[str, Array]:
    """Powers of the width in what one step changes of each layer's output."""
    x, found = np.random.default_rng(0).standard_normal((8, 2)).astype(np.float32), {}
    starts = {"standard": by_role(lecun_normal()), "mup": initializers.mup()}
    descents = {"sgd": optax.sgd(1e-3), "adam": optax.adam(1e-5)}
    for rule, kind in cases:
        def make(width, rule=rule, kind=kind):
            network, base = (networks.mlp((2, n, n, 10), jax.nn.relu) for n in (width, widths[0]))
            by_width = scale_by_width(network.specs, base.specs,
                                      Parametrization(rule), Optimizer(kind))
            return of_network(network, starts[rule], optax.chain(descents[kind], by_width))

        check = coordinate_check(make, widths, x, lambda z: softmax.loss(z, np.arange(8)),
                                 steps=1, seeds=range(seeds))
        for number, layer in enumerate(check.layers):
            change = check.change[:, :, 0, number]
            found[f"{rule} {kind}, {layer}"] = np.polyfit(np.log(widths), np.log(change), 1)[0]
    return found
