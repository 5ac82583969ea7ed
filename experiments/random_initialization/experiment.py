"""The lecture in one picture: which starts break the symmetry, saturate, or train.

    python -m experiments.random_initialization

Trains one hidden layer on the flower data from zero weights, from random weights of several scales,
and from Glorot's and He's constants, with many seeds each, in one compiled program.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.random_initialization.figure import draw_starts
from initlab import probes, report
from initlab.initializers import by_role, choice, glorot_normal, he_normal, normal

__all__ = ["EXPERIMENT"]

HIDDEN = flags.define_count("hidden", 4, "Hidden units.")
ACTIVATION = flags.define_name("activation", "tanh", names.ACTIVATIONS, "Hidden activation")
SCALES = flags.define_numbers("scale", (0, 0.01, 0.1, 1, 10, 100, 1000), "Std of the weights.")
SEEDS = flags.define_count("seeds", 256, "Seeds for each start.")
STEPS = flags.define_count(
    "steps", 2000, "Gradient descent steps; a multiple of --every.", most=flags.MOST_STEPS
)
EVERY = flags.define_count("every", 100, "Steps between snapshots.", most=flags.MOST_STEPS)
LEARNING_RATE = flags.define_scale("learning_rate", 1.2, "Learning rate.")
flags.define_trained_fraction()
SMOKE = {"seeds": 8, "steps": 20, "every": 10, "scale": ["0", "0.01", "1000"]}
SCHEMES = {"Glorot": glorot_normal(), "He": he_normal()}
GRID = 80


def measure() -> xarray.Dataset:
    """Trains every start with every seed, then looks at the median run of each."""
    task = initlab.tasks.flower()
    network = initlab.networks.mlp((2, HIDDEN.value, 1), names.ACTIVATIONS[ACTIVATION.value])
    scales = [float(scale) for scale in SCALES.value]
    starts = (*map(normal, scales), *SCHEMES.values())

    def describe(*measured):
        return initlab.make_run(
            network,
            lambda p: by_role(weight=choice(p["start"], starts)),
            task,
            optimizer=lambda p: optax.sgd(p["learning_rate"]),
            steps=STEPS.value,
            every=EVERY.value,
            probes=measured,
        )

    run = describe(
        probes.loss, probes.accuracy, probes.distinct_units, probes.saturation, probes.gradient_norm
    )
    results = harness.sweep(
        run,
        {
            "start": range(len(starts)),
            "seed": range(SEEDS.value),
            # An axis of one value: a number in the program's input, not a constant of the program.
            "learning_rate": [LEARNING_RATE.value],
        },
    ).squeeze("learning_rate")
    # A sweep stores measurements and no params: the median runs are trained again for theirs.
    seed = _median_seed(results)
    typical = jax.jit(
        jax.vmap(describe(), in_axes=({"start": 0, "seed": 0, "learning_rate": None},))
    )
    params = typical(
        {"start": jnp.arange(len(starts)), "seed": seed, "learning_rate": LEARNING_RATE.value}
    ).params
    low, high = task.x.min(axis=0) - 0.5, task.x.max(axis=0) + 0.5
    grid_x, grid_y = np.linspace(low[0], high[0], GRID), np.linspace(low[1], high[1], GRID)
    plane = np.stack([axis.ravel() for axis in np.meshgrid(grid_x, grid_y)], axis=1)
    logits = jax.vmap(network.apply, in_axes=(0, None))(params, plane)
    boundary = task.objective.link(logits).reshape(len(starts), GRID, GRID)
    labels = ["zero" if scale == 0 else f"{scale:g}" for scale in scales]
    return results.assign_coords(
        start=np.asarray([*labels, *SCHEMES], dtype=object), grid_x=grid_x, grid_y=grid_y
    ).assign(
        boundary=(("start", "grid_y", "grid_x"), np.asarray(boundary)),
        typical_seed=("start", seed),
        points=(("example", "coordinate"), task.x),
        labels=("example", task.y),
    )


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """A row for each start; quartiles and shares are over seeds, diverged runs among them."""
    task = initlab.tasks.flower()
    constant_loss = task.objective.constant_loss(task.y)
    trained = report.trained(results, constant_loss, settings["trained_fraction"])
    rows = []
    for index, start in enumerate(results["start"].values):
        of = results.isel(start=index)
        first, last = (of.isel(layer=0, step=step) for step in (0, -1))
        gradient = (of["gradient_norm"].isel(step=0) ** 2).sum("layer") ** 0.5
        loss = of["loss"].isel(step=-1)
        count = int(trained.isel(start=index).sum())
        rows.append(
            {
                "start": str(start),
                "distinct_start": _range(first["distinct_units"]),
                "distinct_end": _range(last["distinct_units"]),
                "saturation": float(first["saturation"].mean()),
                "gradient_norm": float(gradient.median()),
                "loss": report.quartiles(loss.values),
                "accuracy": float(of["accuracy"].isel(step=-1).median()),
                "p_train": count / loss.size,
                "p_train_interval": report.wilson_interval(count, loss.size),
                "diverged": int((of["first_nonfinite_step"] >= 0).sum()),
            }
        )
    return {
        "seeds": results.sizes["seed"],
        "steps": int(results["step"][-1]),
        "trained_under": settings["trained_fraction"] * constant_loss,
        "starts": rows,
    }


def show(summary: dict, settings: Settings) -> str:
    """The table."""
    rows = [
        {
            "start": row["start"],
            "distinct units: start": _span(row["distinct_start"]),
            "end": _span(row["distinct_end"]),
            "saturated": f"{row['saturation']:.1%}",
            "gradient": f"{row['gradient_norm']:.2g}",
            "final loss [quartiles]": report.format_quartiles(row["loss"]),
            "accuracy": f"{row['accuracy']:.1%}",
            "P(train) [95 % interval]": report.format_share(
                row["p_train"], row["p_train_interval"]
            ),
        }
        for row in summary["starts"]
    ]
    head = (
        f"Flower data, {settings['hidden']} {settings['activation']} hidden units, "
        f"{summary['seeds']} seeds, {summary['steps']} steps of gradient descent.\n"
        "Distinct units and saturated share are the hidden layer's, the gradient norm is that of\n"
        f"all params; a run trained when its loss ended under {summary['trained_under']:.4f}.\n\n"
    )
    return head + report.format_table(rows)


def draw(results: xarray.Dataset, settings: Settings):
    """The learning curves and the boundaries."""
    summary = summarize(results, settings)
    return draw_starts(
        results,
        named=len(SCHEMES),
        trained_under=summary["trained_under"],
        shares=[row["p_train"] for row in summary["starts"]],
        title=f"One hidden layer of {settings['hidden']} {settings['activation']} units on the "
        "flower data: zero weights stay symmetric, large ones saturate",
    )


def _median_seed(results: xarray.Dataset) -> np.ndarray:
    """For each start the seed whose final loss is the median; diverged runs count as the worst."""
    final = results["loss"].isel(step=-1).transpose("start", "seed").values
    # argsort puts NaN last. A seed must be named, so of an even number the lower middle one.
    middle = np.argsort(final, axis=1, kind="stable")[:, (final.shape[1] - 1) // 2]
    return results["seed"].values[middle]


def _range(values: xarray.DataArray) -> list[int]:
    return [int(values.min()), int(values.max())]


def _span(ends: list[int]) -> str:
    return f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


EXPERIMENT = harness.Experiment(
    "random_initialization",
    measure,
    summarize,
    show,
    draw,
    SMOKE,
    judging=frozenset({"trained_fraction"}),
)
