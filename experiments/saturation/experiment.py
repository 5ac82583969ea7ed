"""Why not 100 or 1000: how large weights saturate sigmoidal units, and what that costs.

    python -m experiments.saturation

One hidden layer on the flower data, over scales of the weights, for several activations and many
seeds: the saturated share of hidden units and of the sigmoid output, the size of the gradient, the
loss early and late.
"""

import optax
import xarray

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.saturation.figure import draw_saturation
from initlab import probes, report
from initlab.initializers import by_role, normal

__all__ = ["EXPERIMENT"]

HIDDEN = flags.define_count("hidden", 4, "Hidden units.")
NAMES = flags.define_names(
    "activation", ("tanh", "sigmoid", "relu"), names.ACTIVATIONS, "Hidden activations"
)
SCALES = flags.define_numbers(
    "scale",
    (0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1, 3.16, 10, 31.6, 100, 316, 1000),
    "Std of the weights.",
)
SEEDS = flags.define_count("seeds", 256, "Seeds for each scale.")
EARLY = flags.define_count(
    "early", 100, "Step of the early loss; divides --steps.", most=flags.MOST_STEPS
)
STEPS = flags.define_count("steps", 1000, "Gradient descent steps.", most=flags.MOST_STEPS)
LEARNING_RATE = flags.define_scale("learning_rate", 1.2, "Learning rate.")
SMOKE = {"seeds": 4, "steps": 20, "early": 10, "scale": ["0.01", "1", "1000"]}


def measure() -> xarray.Dataset:
    """A sweep over activations, scales and seeds."""
    task = initlab.tasks.flower()
    axes = {
        "scale": [float(scale) for scale in SCALES.value],
        "seed": range(SEEDS.value),
        "learning_rate": [LEARNING_RATE.value],
    }

    def describe(activation):
        return initlab.make_run(
            initlab.networks.mlp((2, HIDDEN.value, 1), activation),
            lambda p: by_role(weight=normal(p["scale"])),
            task,
            optimizer=lambda p: optax.sgd(p["learning_rate"]),
            steps=STEPS.value,
            every=EARLY.value,
            probes=(
                probes.loss,
                probes.saturation,
                probes.dead_units,
                probes.gradient_norm,
                probes.weight_norm,
            ),
        )

    activations = {name: names.ACTIVATIONS[name] for name in NAMES.value}
    results = harness.sweep(describe, axes, structure={"activation": activations})
    return results.squeeze("learning_rate")


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """For each activation and scale: means over seeds at the start, quartiles of the losses."""
    rows = []
    for activation in results["activation"].values:
        for scale in results["scale"].values:
            of = results.sel(activation=activation, scale=scale)
            start = of.isel(step=0)
            hidden = start.isel(layer=0)
            rows.append(
                {
                    "activation": str(activation),
                    "scale": float(scale),
                    "saturation_hidden": float(hidden["saturation"].mean()),
                    "saturation_output": float(start["saturation"].isel(layer=1).mean()),
                    "dead_units": float(hidden["dead_units"].mean()),
                    "gradient_norm_hidden": float(hidden["gradient_norm"].median()),
                    "gradient_over_weight": float(
                        (hidden["gradient_norm"] / hidden["weight_norm"]).median()
                    ),
                    "loss_start": report.quartiles(start["loss"].values),
                    "loss_early": report.quartiles(of["loss"].isel(step=1).values),
                    "loss_late": report.quartiles(of["loss"].isel(step=-1).values),
                    "diverged": int((of["first_nonfinite_step"] >= 0).sum()),
                }
            )
    return {
        "seeds": results.sizes["seed"],
        "early": int(results["step"][1]),
        "late": int(results["step"][-1]),
        "rows": rows,
    }


def show(summary: dict, settings: Settings) -> str:
    """The table."""
    rows = [
        {
            "activation": row["activation"],
            "scale": f"{row['scale']:g}",
            "saturated hidden": f"{row['saturation_hidden']:.1%}",
            "output": f"{row['saturation_output']:.1%}",
            "dead units": f"{row['dead_units']:.2f}",
            "gradient": f"{row['gradient_norm_hidden']:.2g}",
            "gradient/weight": f"{row['gradient_over_weight']:.2g}",
            f"loss at {summary['early']} [quartiles]": report.format_quartiles(row["loss_early"]),
            f"at {summary['late']}": report.format_quartiles(row["loss_late"]),
            "diverged": str(row["diverged"]),
        }
        for row in summary["rows"]
    ]
    return (
        f"Flower data, {settings['hidden']} hidden units, sigmoid output, "
        f"{summary['seeds']} seeds for each scale.\n"
        "Saturated: share of units x examples whose slope is under 1 % of the largest, "
        "at the start.\nGradient and gradient/weight: norms of the hidden layer at the start, "
        "median over seeds.\n\n"
    ) + report.format_table(rows)


def draw(results: xarray.Dataset, settings: Settings):
    """Saturation, gradient and losses against the scale."""
    return draw_saturation(results)


EXPERIMENT = harness.Experiment("saturation", measure, summarize, show, draw, SMOKE)
