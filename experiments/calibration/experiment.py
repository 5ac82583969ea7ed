"""Which refiners make deep networks train that fail from where they start?

    python -m experiments.calibration

Five deep networks whose starts fail the audit, each from its own start and after each refiner of
`initlab.calibration`: the audit's verdict over the seeds, and the loss after a fixed number of
gradient descent steps on a few digits, at the best of several learning rates.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray

import initlab
from experiments import harness
from experiments.calibration import tables
from experiments.calibration.figure import draw_calibration
from experiments.calibration.models import MODELS
from experiments.harness import Settings, flags
from initlab import calibration
from initlab.types import Params

__all__ = ["EXPERIMENT"]

MODEL_NAMES = flags.define_names("model", tuple(MODELS), MODELS, "Networks")


def _without_loss(refine: Callable[..., Params]) -> Callable[..., Params]:
    return lambda key, apply, params, batch, loss, init: refine(key, apply, params, batch)


def _with_loss(refine: Callable[..., Params]) -> Callable[..., Params]:
    return lambda key, apply, params, batch, loss, init: refine(
        key, apply, params, batch, loss=loss
    )


def _with_law(refine: Callable[..., Params]) -> Callable[..., Params]:
    return lambda key, apply, params, batch, loss, init: refine(
        key, apply, params, batch, init=init
    )


REFINERS = {
    "none": _without_loss(lambda key, apply, params, batch: params),
    "lsuv": _without_loss(calibration.lsuv),
    "layerwise_whitening": _without_loss(calibration.layerwise_whitening),
    "to_criticality": _without_loss(calibration.to_criticality),
    "to_theory": _with_law(calibration.to_theory),
    "metainit": _with_loss(calibration.metainit),
    "gradinit": _with_loss(calibration.gradinit),
}
"""`(key, apply, params, batch, loss, init) -> params` of each refiner, and of none."""

REFINER_NAMES = flags.define_names("refiner", tuple(REFINERS), REFINERS, "Refiners")
SEEDS = flags.define_count("seeds", 16, "Seeds of each network.", least=2)
STEPS = flags.define_count("steps", 300, "Steps of gradient descent.", most=flags.MOST_STEPS)
LEARNING_RATES = flags.define_numbers(
    "learning_rate", (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), "Learning rates."
)
WIDTH = flags.define_count("width", 32, "Units of each layer.", least=2)
EXAMPLES = flags.define_count("examples", 64, "Examples of the digits.", least=2)
FRACTION = flags.define_trained_fraction()
SMOKE = {
    "model": ["24 relu layers std 0.01"],
    "refiner": ["none", "lsuv"],
    "seeds": 2,
    "steps": 5,
    "examples": 8,
    "width": 8,
}


def measure() -> xarray.Dataset:
    """Refines, audits and trains every network from every start."""
    sizes = {
        "seeds": SEEDS.value,
        "steps": STEPS.value,
        "learning_rates": [float(rate) for rate in LEARNING_RATES.value],
        "width": WIDTH.value,
        "examples": EXAMPLES.value,
    }
    starts = [
        {"model": model, "refiner": refiner, **sizes}
        for model in MODEL_NAMES.value
        for refiner in REFINER_NAMES.value
    ]
    # Each start with everything that decides what it gives: it is kept under this, and found again.
    found = harness.fill(starts, _measure_start)
    shape = (len(MODEL_NAMES.value), len(REFINER_NAMES.value))
    losses = np.stack([each["loss"] for each in found])
    words = {
        name: np.asarray([each[name].item() for each in found], dtype=object).reshape(shape)
        for name in ("verdict", "failures")
    }
    task = initlab.tasks.take(initlab.tasks.digits(), EXAMPLES.value)
    return xarray.Dataset(
        {
            "loss": (
                ("model", "refiner", "learning_rate", "seed"),
                losses.reshape(*shape, *losses.shape[1:]),
            ),
            **{name: (("model", "refiner"), each) for name, each in words.items()},
        },
        coords={
            "model": np.asarray(MODEL_NAMES.value, dtype=object),
            "refiner": np.asarray(REFINER_NAMES.value, dtype=object),
            "learning_rate": sizes["learning_rates"],
        },
        attrs={"trained_under": FRACTION.value * task.objective.constant_loss(task.y)},
    )


def _measure_start(given: Mapping[str, Any]) -> dict[str, Any]:
    """The audit's verdict on one start, and its losses [rate, seed] after training."""
    digits = initlab.tasks.digits()
    task = initlab.tasks.take(digits, given["examples"])
    x, y = jnp.asarray(task.x, jnp.float32), jnp.asarray(task.y)
    # Of all digits: the few that are trained on may lack the last class.
    outputs = digits.objective.outputs(digits.y)
    keys = jax.vmap(jax.random.key)(jnp.arange(given["seeds"]))
    rates = jnp.asarray(given["learning_rates"], jnp.float32)
    model, refine = MODELS[given["model"]], REFINERS[given["refiner"]]

    def loss(logits):
        return task.loss(logits, y)

    def init(key):
        return model.init(key, x.shape[1], given["width"], outputs)

    def start(key):
        return refine(key, model.apply, init(key), x, loss, init)

    def train(params, rate):
        optimizer = optax.sgd(rate)

        def step(state, _):
            params, memory = state
            gradient = jax.grad(lambda params: loss(model.apply(params, x)))(params)
            updates, memory = optimizer.update(gradient, memory, params)
            return (optax.apply_updates(params, updates), memory), None

        state = params, optimizer.init(params)
        (params, _), _ = jax.lax.scan(step, state, length=given["steps"])
        return loss(model.apply(params, x))

    over_rates = jax.vmap(jax.vmap(train, (0, None)), (None, 0))
    # The audit draws and refines the starts itself, from the same keys as the training below.
    report = initlab.audit(model.apply, None, x, loss=loss, keys=keys, init=start)
    failures = [each.code for each in report.findings if each.severity == "fail"]
    losses = jax.jit(over_rates)(jax.jit(jax.vmap(start))(keys), rates)
    return {
        "loss": np.asarray(losses, float),
        "verdict": report.verdict,
        "failures": ", ".join(dict.fromkeys(failures)),
    }


def draw(results: xarray.Dataset, settings: Settings):
    """The losses of every start at its best rate."""
    return draw_calibration(tables.at_best_rates(results))


EXPERIMENT = harness.Experiment("calibration", measure, tables.summarize, tables.show, draw, SMOKE)
