"""What do other libraries start a layer from, and how deep does that carry?

    python -m experiments.framework_defaults

Draws dense, convolution, attention and embedding layers of PyTorch, Keras, flax, equinox and haiku
with their defaults: from the libraries themselves where they are installed, from their documented
formulas where not, and says which. Prints the variance of weights against fan, biases, and for a
network of such layers the slope chi1 and the depth that a signal reaches, by activation.
"""

import math

import numpy as np
import xarray

from experiments import harness, names
from experiments.framework_defaults import laws
from experiments.framework_defaults.figure import draw_defaults
from experiments.framework_defaults.layers import FRAMEWORKS, KINDS, library
from experiments.harness import Settings, flags
from initlab import report, theory

NAMES = flags.define_names("framework", tuple(FRAMEWORKS), FRAMEWORKS, "Libraries")
ACTIVATIONS = flags.define_names(
    "activation", ("tanh", "relu", "gelu"), names.ACTIVATIONS, "Activations"
)
SIZES = flags.define_numbers(
    "size", (64, 256), "Inputs and units, every pair; divisible by 4 heads.", whole=True
)
SEEDS = flags.define_count("seeds", 16, "Draws of each layer.")
FAR = 1000
"""The draws cannot tell deeper ones from those that any depth is for: chi1 is within 0.6 % of 1."""
SMOKE = {"framework": ["flax", "torch"], "size": ["32", "64"], "seeds": 2}


def measure() -> xarray.Dataset:
    """Draws every layer in every shape."""
    sizes = sorted(map(int, SIZES.value))
    if len(set(sizes)) < 2 or any(size % 4 for size in sizes):
        raise ValueError(f"--size must hold two sizes or more that 4 divides, got {sizes}")
    rows = []
    for name in NAMES.value:
        found = library(name)
        for kind, draw in found.draw.items():
            # An attention layer has as many features as inputs.
            shapes = [(i, o) for i in sizes for o in sizes if i == o or ":" not in kind]
            draws = {shape: [draw(*shape, seed) for seed in range(SEEDS.value)] for shape in shapes}
            fan, factor = laws.weight_law(draws)
            largest = draws[(sizes[-1], sizes[-1])]
            fan_in = largest[0].fan_in
            weights = np.concatenate([each.weight.ravel() for each in largest])
            rows.append(
                {
                    "framework": name,
                    "layer": kind,
                    "source": found.source,
                    "fan": fan,
                    "factor": factor,
                    "fan_in": fan_in,
                    "sigma_w2": fan_in * float(np.mean(np.square(weights, dtype=np.float64))),
                    "bias": laws.bias_law(largest),
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
    # An embedding is looked up, and not followed by another.
    repeats = results["layer"].values != KINDS[-1]
    sigma_w2 = results["sigma_w2"].values
    sigma_b2 = np.nan_to_num(results["bias"].values) / results["fan_in"].values
    functions = [names.ACTIVATIONS[name] for name in ACTIVATIONS.value]
    chi1 = [theory.fixed_point(each, sigma_w2, sigma_b2).chi1 for each in functions]
    depth = [theory.trainable_depth(each, sigma_w2, sigma_b2) for each in functions]
    for quantity, columns in (("chi1", chi1), ("depth", depth)):
        values = np.where(repeats[:, None], np.stack(columns, axis=1), math.nan)
        results[quantity] = (("row", "activation"), values)
    return results.assign_coords(activation=np.asarray(ACTIVATIONS.value, dtype=object))


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """A dict for each layer."""
    columns = ("framework", "layer", "source", "fan", "factor", "fan_in", "sigma_w2", "bias")
    return {
        "rows": [
            {name: results[name].values[row] for name in columns}
            | {
                quantity: {
                    str(name): float(results[quantity].sel(activation=name)[row])
                    for name in results["activation"].values
                }
                for quantity in ("chi1", "depth")
            }
            for row in range(results.sizes["row"])
        ]
    }


def show(summary: dict, settings: Settings) -> str:
    """The table."""
    rows = []
    for row in summary["rows"]:
        law = f"{row['factor']:.3f}" + ("" if row["fan"] == "1" else f" / {row['fan']}")
        bias = row["bias"]
        rows.append(
            {
                "framework": row["framework"],
                "layer": row["layer"],
                "weights: variance": law if row["fan"] != "none" else "follows no fan",
                "fan_in Var": f"{row['sigma_w2']:.3f}",
                "biases": "none" if math.isnan(bias) else f"{bias:.3f} / fan_in" if bias else "0",
            }
            | {f"chi1 {name}": _number(value, ".2f") for name, value in row["chi1"].items()}
            | {f"depth {name}": _depth(value) for name, value in row["depth"].items()}
            | {"from": row["source"]}
        )
    return (
        "What a layer starts from where nobody says otherwise. chi1: by which factor a layer "
        "multiplies the mean\nsquared gradient, and small differences of its inputs. depth: 6 "
        f"depth scales, beyond which no signal comes\nthrough a plain network of such layers; "
        f">{FAR}: critical, as far as the draws can tell.\n\n"
    ) + report.format_table(rows)


def draw(results: xarray.Dataset, settings: Settings):
    """Variances and depths, a line for each layer."""
    return draw_defaults(results, far=FAR)


def _number(value: float, digits: str) -> str:
    return "" if math.isnan(value) else f"{value:{digits}}"


def _depth(value: float) -> str:
    return f">{FAR}" if value > FAR else _number(value, ".0f")


EXPERIMENT = harness.Experiment("framework_defaults", measure, summarize, show, draw, SMOKE)
