"""An experiment of milliseconds with cells and results: what the harness does with any."""

import numpy as np
import xarray
from matplotlib.figure import Figure

from experiments import harness
from experiments.harness import flags

SIZE = flags.define_count("size", 3, "Numbers of a cell.")
SCALES = flags.define_numbers("scale", (1, 2, 4), "What they are multiplied by; 666 raises.")
flags.define_trained_fraction()


class Picture(Figure):
    """A figure of no bytes: drawing takes longer than all else."""

    def savefig(self, fname, **settings):
        fname.write_text(settings["format"])


def find(cell):
    if cell["scale"] == 666:
        raise KeyError("a fault of the program's own")
    if cell["scale"] == 130:
        raise KeyboardInterrupt
    draws = np.random.default_rng(0).normal(size=cell["size"])
    return {"loss": draws * cell["scale"], "word": np.asarray("fine")}


def measure():
    scales = [float(scale) for scale in SCALES.value]
    found = harness.fill([{"scale": scale, "size": SIZE.value} for scale in scales], find)
    return xarray.Dataset(
        {"loss": (("scale", "number"), np.stack([each["loss"] for each in found]))},
        coords={"scale": scales},
        attrs={"note": "a store has attributes"},
    )


def summarize(results, settings):
    kept = results["loss"].values
    return {
        "losses": kept,
        "scales": results["scale"].values,
        "size": settings["size"],
        "under": settings["trained_fraction"],
    }


EXPERIMENT = harness.Experiment(
    "toy",
    measure,
    summarize,
    lambda summary, settings: f"{settings['size']} numbers: {summary['losses'][0][0]:.6f}",
    lambda results, settings: Picture(),
    {"size": 2},
    judging=frozenset({"trained_fraction"}),
)
