"""Which parametrizations keep every layer learning as a network gets wider, or deeper?

    python -m experiments.coordinate_check

Two hidden relu layers at widths of 128 to 1024, and residual networks at growing depth, in pairs of
a parametrization and an optimizer: slopes of log size against log width or depth, beside those of
theory, and of what fails which role breaks and which power would mend it. Inputs are few and the
batch is small, so that the leading power of the width shows: what does not grow with it is of the
order of the number of inputs.
"""

import numpy as np
import optax
import xarray
from absl import logging

from experiments import harness
from experiments.coordinate_check import tables
from experiments.coordinate_check.cases import DEPTH_CASES, WIDTH_CASES
from experiments.harness import Settings, flags
from initlab import figures
from initlab.coordinates import coordinate_check

__all__ = ["EXPERIMENT"]

WIDTHS = flags.define_numbers("width", (128, 256, 512, 1024), "Hidden widths.", whole=True)
DEPTHS = flags.define_numbers(
    "depth", (16, 32, 64, 128), "Residual blocks.", whole=True, most=flags.MOST_LAYERS
)
WIDTH_NAMES = flags.define_names("width_case", tuple(WIDTH_CASES), WIDTH_CASES, "Cases by width")
DEPTH_NAMES = flags.define_names("depth_case", tuple(DEPTH_CASES), DEPTH_CASES, "Cases by depth")
SEEDS = flags.define_count("seeds", 16, "Seeds of each case.", least=2)
STEPS = flags.define_count("steps", 3, "Steps of the optimizer.", most=flags.MOST_STEPS)
INPUTS = flags.define_count("inputs", 2, "Inputs, standard normal.")
EXAMPLES = flags.define_count("examples", 8, "Examples in the batch.")
OUTPUTS = flags.define_count("outputs", 10, "Classes, drawn at random.", least=2)
TOLERANCE = flags.define_scale("tolerance", 0.15, "Slopes of up to so much count as flat.")
SMOKE = {
    "width": ["8", "16"],
    "depth": ["2", "4"],
    "width_case": ["muP SGD"],
    "depth_case": ["residual"],
    "seeds": 2,
    "steps": 1,
}


def measure() -> xarray.Dataset:
    """A check for each case."""
    # One batch for all cases: they differ in the network and its optimizer alone.
    stream = np.random.default_rng(0)
    batch = stream.normal(size=(EXAMPLES.value, INPUTS.value)).astype(np.float32)
    labels = stream.integers(0, OUTPUTS.value, EXAMPLES.value)

    def loss(logits):
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    parts = []
    for axis, sizes, chosen, table in (
        ("width", WIDTHS.value, WIDTH_NAMES.value, WIDTH_CASES),
        ("depth", DEPTHS.value, DEPTH_NAMES.value, DEPTH_CASES),
    ):
        sizes = [int(size) for size in sizes]
        checks = []
        for name in harness.track(chosen, f"cases by {axis}"):
            case = table[name]

            def make(size, case=case, base=sizes[0]):
                return case.make(size, base, INPUTS.value, OUTPUTS.value, case.learning_rate)

            check = coordinate_check(
                make,
                sizes,
                batch,
                loss,
                seeds=range(SEEDS.value),
                steps=STEPS.value,
                axis=axis,
                predicted=case.predicted,
                tolerance=TOLERANCE.value,
            )
            logging.info("%s: %s", name, check.verdict)
            checks.append(check.to_dataset())
        # Layers and variables by the axis' name: a network by width has other layers than one by
        # depth, and both go into one dataset.
        together = xarray.concat(checks, dim=f"{axis} case", combine_attrs="drop")
        together[f"{axis} case"] = np.asarray(chosen, dtype=object)
        together = together.rename(layer=f"{axis} layer", role=f"{axis} role")
        parts.append(together.rename({name: f"{axis} {name}" for name in together.data_vars}))
    return xarray.merge(parts).assign_attrs(tolerance=TOLERANCE.value)


def draw(results: xarray.Dataset, settings: Settings):
    """A row of panels for each case."""
    checks = tables.checks(results)
    return figures.draw_coordinates({name: check.to_dataset() for name, check in checks.items()})


EXPERIMENT = harness.Experiment(
    "coordinate_check",
    measure,
    tables.summarize,
    tables.show,
    draw,
    SMOKE,
    tables.verdict,
)
