"""When rounding, or a planted difference, breaks a symmetric start: predicted beside measured.

    python -m experiments.symmetry_escape

All weights of a net start at one constant, so that its hidden units are copies of each other: under
exact arithmetic indefinitely. The linearised update says how fast a difference between units grows,
and so when a difference of a given size has become of order one. Beside that prediction: real runs
in three dtypes, with the lab's layers and with the plain matrix product, with differences planted
and without.
"""

import jax
import jax.numpy as jnp
import numpy as np
import xarray
from absl import logging

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.symmetry_escape.figure import draw_escape
from experiments.symmetry_escape.runs import ARITHMETICS, escape_run, growth_of
from experiments.symmetry_escape.tables import show, summarize, verdict

__all__ = ["EXPERIMENT"]

DTYPES = {"bfloat16": jnp.bfloat16, "float32": jnp.float32, "float64": jnp.float64}
DTYPE = flags.define_names("dtype", tuple(DTYPES), DTYPES, "Dtypes of the runs")
ARITHMETIC = flags.define_names(
    "arithmetic", tuple(ARITHMETICS), ARITHMETICS, "The lab's layers, the plain product"
)
ACTIVATION = flags.define_name("activation", "tanh", names.ACTIVATIONS, "Hidden activation")
TASK = flags.define_name("task", "flower", names.BINARY_TASKS, "Data")
WIDTHS = flags.define_numbers("width", (2, 5, 16), "Hidden units.", whole=True)
CONSTANTS = flags.define_numbers("constant", (0.01, 0.1, 0.5), "All weights at the start.")
PERTURBATIONS = flags.define_numbers(
    "perturbation", (0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2), "Norm of the difference planted."
)
STEPS = flags.define_count("steps", 20000, "Gradient descent steps.", most=flags.MOST_STEPS)
EVERY = flags.define_count("every", 100, "Steps between snapshots.", most=flags.MOST_STEPS)
LEARNING_RATE = flags.define_scale("learning_rate", 1.2, "Learning rate.")
ORDER_ONE = flags.define_scale("order_one", 0.1, "Difference at which units have escaped.")
SMOKE = {
    "dtype": ["float32", "float64"],
    "arithmetic": ["ordered"],
    "width": ["5"],
    "constant": ["0.01"],
    "perturbation": ["0", "1e-8"],
    "steps": 400,
    "every": 10,
}


def measure() -> xarray.Dataset:
    """All runs, and the growth that the linearised update predicts."""
    if STEPS.value % EVERY.value:
        raise ValueError(f"--steps must be a multiple of --every {EVERY.value}, got {STEPS.value}")
    task = names.TASKS[TASK.value]()
    activation = names.ACTIVATIONS[ACTIVATION.value]
    widths = [int(width) for width in WIDTHS.value]
    constants, perturbations = (
        np.asarray([float(each) for each in flag.value]) for flag in (CONSTANTS, PERTURBATIONS)
    )
    rate = LEARNING_RATE.value
    shape = (len(DTYPE.value), len(ARITHMETIC.value), len(widths))
    found = []
    for dtype, arithmetic, width in harness.track(
        [(d, a, w) for d in DTYPE.value for a in ARITHMETIC.value for w in widths], "nets"
    ):
        network = ARITHMETICS[arithmetic](
            (task.x.shape[1], width, 1), activation, dtype=DTYPES[dtype]
        )
        run = escape_run(
            network,
            task,
            steps=STEPS.value,
            every=EVERY.value,
            order_one=ORDER_ONE.value,
        )
        over = jax.vmap(jax.vmap(run, (None, 0, None)), (0, None, None))
        found.append(jax.device_get(jax.jit(over)(constants, perturbations, rate)))
        logging.info("%s %s %d: escapes at %s", dtype, arithmetic, width, found[-1].escape)
    columns = {
        name: np.stack([np.asarray(getattr(each, name), float) for each in found])
        for name in found[0]._fields
    }
    dims = ("dtype", "arithmetic", "width", "constant", "perturbation", "step")
    return xarray.Dataset(
        {
            **{
                name: (dims[: values.ndim + 2], values.reshape(*shape, *values.shape[1:]))
                for name, values in columns.items()
            },
            "log_growth": (("width", "constant", "training_step"), _growth(task, activation)),
        },
        coords={
            "dtype": np.asarray(DTYPE.value, dtype=object),
            "arithmetic": np.asarray(ARITHMETIC.value, dtype=object),
            "width": widths,
            "constant": constants,
            "perturbation": perturbations,
            "step": np.arange(0, STEPS.value + 1, EVERY.value),
            "training_step": np.arange(STEPS.value + 1),
        },
        attrs={"order_one": ORDER_ONE.value},
    )


def _growth(task, activation) -> np.ndarray:
    constants = np.asarray([float(each) for each in CONSTANTS.value])
    grown = []
    for width in harness.track(WIDTHS.value, "predictions"):
        sizes = (task.x.shape[1], int(width), 1)
        network = initlab.networks.mlp(sizes, activation, dtype=jnp.float64)
        growth = jax.vmap(growth_of(network, task, steps=STEPS.value), (0, None))
        grown.append(jax.jit(growth)(constants, LEARNING_RATE.value).log_growth)
    return np.stack(grown)


def draw(results: xarray.Dataset, settings: Settings):
    """The difference between units against the step, measured and predicted."""
    return draw_escape(results)


EXPERIMENT = harness.Experiment(
    "symmetry_escape", measure, summarize, show, draw, SMOKE, verdict, float64=True
)
