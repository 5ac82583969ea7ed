"""Which refiners make deep networks train that fail from where they start?

    python -m experiments.calibration

Five deep networks whose starts fail the audit, each from its own start and after each refiner of
`initlab.calibration`: what the audit says of most seeds, and the loss after a fixed number of
gradient descent steps on a few digits, at the best of several learning rates.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray
from absl import logging

import initlab
from experiments import calibration_tables, harness, names
from experiments.failing_models import MODELS
from initlab import calibration, figures

MODEL_NAMES = names.define_names("model", tuple(MODELS), MODELS, "Networks")
REFINERS = {
    "none": lambda key, apply, params, batch, loss: params,
    "lsuv": lambda key, apply, params, batch, loss: calibration.lsuv(key, apply, params, batch),
    "layerwise_whitening": lambda key, apply, params, batch, loss: calibration.layerwise_whitening(
        key, apply, params, batch
    ),
    "to_criticality": lambda key, apply, params, batch, loss: calibration.to_criticality(
        key, apply, params, batch
    ),
    "metainit": lambda key, apply, params, batch, loss: calibration.metainit(
        key, apply, params, batch, loss=loss
    ),
    "gradinit": lambda key, apply, params, batch, loss: calibration.gradinit(
        key, apply, params, batch, loss=loss
    ),
}
REFINER_NAMES = names.define_names("refiner", tuple(REFINERS), REFINERS, "Refiners")
SEEDS = names.define_count("seeds", 16, "Seeds of each network.", least=2)
STEPS = names.define_count("steps", 300, "Steps of gradient descent.")
LEARNING_RATES = names.define_numbers(
    "learning_rate", (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), "Learning rates."
)
WIDTH = names.define_count("width", 32, "Units of each layer.", least=2)
EXAMPLES = names.define_count("examples", 64, "Examples of the digits.", least=2)
FRACTION = names.define_trained_fraction()
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
    digits = initlab.tasks.digits()
    task = names.take_examples(digits, EXAMPLES.value)
    x, y = jnp.asarray(task.x, jnp.float32), jnp.asarray(task.y)
    outputs = digits.objective.outputs(digits.y)
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS.value))
    rates = jnp.asarray([float(rate) for rate in LEARNING_RATES.value], jnp.float32)

    def loss(logits):
        return task.loss(logits, y)

    shape = (len(MODEL_NAMES.value), len(REFINER_NAMES.value))
    final = np.full((*shape, len(rates), len(keys)), np.nan)
    verdicts = np.full(shape, "", dtype=object)
    failures = np.full(shape, "", dtype=object)
    for place in np.ndindex(shape):
        name, refiner = MODEL_NAMES.value[place[0]], REFINER_NAMES.value[place[1]]
        model, refine = MODELS[name], REFINERS[refiner]

        def start(key, model=model, refine=refine):
            params = model.init(key, x.shape[1], WIDTH.value, outputs)
            return refine(key, model.apply, params, x, loss)

        def train(params, rate, model=model):
            optimizer = optax.sgd(rate)

            def step(state, _):
                params, memory = state
                gradient = jax.grad(lambda params: loss(model.apply(params, x)))(params)
                updates, memory = optimizer.update(gradient, memory, params)
                return (optax.apply_updates(params, updates), memory), None

            state = params, optimizer.init(params)
            (params, _), _ = jax.lax.scan(step, state, length=STEPS.value)
            return loss(model.apply(params, x))

        starts = jax.jit(jax.vmap(start))(keys)
        over_rates = jax.vmap(jax.vmap(train, (0, None)), (None, 0))
        final[place] = jax.jit(over_rates)(starts, rates)
        report = initlab.audit(model.apply, None, x, loss=loss, keys=keys, init=start)
        verdicts[place] = report.verdict
        found = [each.code for each in report.findings if each.severity == "fail"]
        failures[place] = ", ".join(dict.fromkeys(found))
        logging.info("%s, %s: %s", name, refiner, report.verdict)
    return xarray.Dataset(
        {
            "loss": (("model", "refiner", "learning_rate", "seed"), final),
            "verdict": (("model", "refiner"), verdicts),
            "failures": (("model", "refiner"), failures),
        },
        coords={
            "model": np.asarray(MODEL_NAMES.value, dtype=object),
            "refiner": np.asarray(REFINER_NAMES.value, dtype=object),
            "learning_rate": np.asarray(rates, float),
        },
        attrs={"trained_under": FRACTION.value * task.objective.constant_loss(task.y)},
    )


def show(summary: dict) -> str:
    """The table, with what was trained and how."""
    return (
        f"{EXAMPLES.value} digits, {WIDTH.value} units, {summary['seeds']} seeds, {STEPS.value} "
        f"steps of gradient descent at the best of the rates {', '.join(LEARNING_RATES.value)}.\n"
        f"A run trained if its loss ended under {summary['trained_under']:.4f}.\n\n"
    ) + calibration_tables.show(summary)


def draw(results: xarray.Dataset):
    """The losses of every start at its best rate."""
    return figures.draw_calibration(calibration_tables.at_best_rates(results))


if __name__ == "__main__":
    harness.launch(
        harness.Experiment("calibration", measure, calibration_tables.summarize, show, draw, SMOKE)
    )
