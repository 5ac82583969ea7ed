"""What do other libraries start a layer from, and how deep does that carry?

    python -m experiments.framework_defaults

Draws dense, convolution, attention and embedding layers of PyTorch, Keras, flax, equinox and haiku
with their defaults: from the libraries themselves where they are installed, from their documented
formulas where not; the table names which. Prints the variance of weights against fan, biases, and
for a network of such layers the slope chi1 and the depth that a signal reaches, by activation.
"""

import math
from collections.abc import Sequence

import numpy as np
import xarray

from experiments import harness, names
from experiments.framework_defaults.figure import draw_defaults
from experiments.framework_defaults.layers import FRAMEWORKS, KINDS, Draw, library
from experiments.framework_defaults.tables import MAX_DEPTH, show, summarize
from experiments.harness import Settings, flags
from initlab import initializers, theory
from initlab.types import ParamSpec, Role

__all__ = ["EXPERIMENT"]

NAMES = flags.define_names("framework", tuple(FRAMEWORKS), FRAMEWORKS, "Libraries")
ACTIVATIONS = flags.define_names(
    "activation", ("tanh", "relu", "gelu"), names.ACTIVATIONS, "Activations"
)
SIZES = flags.define_numbers(
    "size", (64, 256), "Inputs and units, every pair; divisible by 4 heads.", whole=True
)
SEEDS = flags.define_count("seeds", 16, "Draws of each layer.")
SMOKE = {"framework": ["flax", "torch"], "activation": ["relu"], "size": ["32", "64"], "seeds": 1}


def measure() -> xarray.Dataset:
    """Draws every layer in every shape."""
    sizes = sorted(map(int, SIZES.value))
    if len(set(sizes)) < 2 or any(size % 4 for size in sizes):
        raise ValueError(f"--size must hold two sizes or more that 4 divides, got {sizes}")
    rows = []
    for name in harness.track(NAMES.value, "libraries"):
        found = library(name)
        for kind, draw in found.draw.items():
            # An attention layer has as many features as inputs.
            shapes = [(i, o) for i in sizes for o in sizes if i == o or ":" not in kind]
            draws = {shape: [draw(*shape, seed) for seed in range(SEEDS.value)] for shape in shapes}
            fan, factor = initializers.weight_law(
                [(_spec(each[0]), [one.weight for one in each]) for each in draws.values()]
            )
            # The largest shape has the most weights, and its variance the smallest error.
            largest = draws[sizes[-1], sizes[-1]]
            fan_in = largest[0].fan_in
            weights = np.concatenate([one.weight.ravel() for one in largest])
            rows.append(
                {
                    "framework": name,
                    "layer": kind,
                    "source": found.source,
                    "fan": fan,
                    "factor": factor,
                    "fan_in": fan_in,
                    "sigma_w2": fan_in * float(np.mean(np.square(weights, dtype=np.float64))),
                    "bias": _bias_law(largest),
                }
            )
    results = xarray.Dataset(
        {
            name: ("row", np.asarray([row[name] for row in rows], dtype=kind))
            for name, kind in (
                ("framework", object),
                ("layer", object),
                ("source", object),
                ("fan", object),
                ("factor", float),
                ("fan_in", float),
                ("sigma_w2", float),
                ("bias", float),
            )
        }
    )
    # An embedding is looked up, and not followed by another: a network of them has no depth.
    repeats = results["layer"].values != KINDS[-1]
    sigma_w2 = results["sigma_w2"].values
    sigma_b2 = np.nan_to_num(results["bias"].values) / results["fan_in"].values
    chi1, depth = [], []
    for name in harness.track(ACTIVATIONS.value, "activations"):
        activation = names.ACTIVATIONS[name]
        chi1.append(theory.fixed_point(activation, sigma_w2, sigma_b2).chi1)
        depth.append(theory.trainable_depth(activation, sigma_w2, sigma_b2))
    for quantity, columns in (("chi1", chi1), ("depth", depth)):
        values = np.where(repeats[:, None], np.stack(columns, axis=1), math.nan)
        results[quantity] = (("row", "activation"), values)
    return results.assign_coords(activation=np.asarray(ACTIVATIONS.value, dtype=object))


def _spec(draw: Draw) -> ParamSpec:
    return ParamSpec(draw.weight.shape, draw.fan_in, draw.fan_out)


def _bias_law(draws: Sequence[Draw]) -> float:
    """`fan_in Var b`; NaN for a layer without biases."""
    biases = [each.bias for each in draws if each.bias is not None]
    if not biases:
        return math.nan
    spec = ParamSpec(biases[0].shape, draws[0].fan_in, draws[0].fan_out, Role.BIAS)
    return initializers.bias_law(spec, biases)


def draw(results: xarray.Dataset, settings: Settings):
    """Variances and depths, a line for each layer."""
    return draw_defaults(results, max_depth=MAX_DEPTH)


EXPERIMENT = harness.Experiment("framework_defaults", measure, summarize, show, draw, SMOKE)
