"""Does the best learning rate stay, when a network gets wider or deeper?

    python -m experiments.transfer
    python -m experiments.transfer --width=64,256,1024,4096 --steps=500 --seeds=16

Trains networks of several sizes at learning rates an octave apart, from several seeds: an mlp on
digits over width, a residual mlp over depth, and a small decoder over width on licence texts and
docstrings of the installed packages. At the smallest size all parametrizations are one network. Of
each seed the best rate is the vertex of a parabola; the power of the size by which it moves is set
beside what is published of it. A claim that is not found here is refuted at these sizes, and not
elsewhere.
"""

import numpy as np
import xarray

from experiments import harness
from experiments.harness import Settings, flags
from experiments.transfer import tables
from experiments.transfer.cases import CASES, HEADS, Case, make_transfer_run
from experiments.transfer.figure import draw_transfer

__all__ = ["EXPERIMENT"]

NAMES = flags.define_names("case", tuple(CASES), CASES, "Cases")
WIDTHS = flags.define_numbers("width", (64, 256, 1024), "Widths of the mlps on digits.", whole=True)
DEPTHS = flags.define_numbers(
    "depth", (2, 8, 32), "Blocks of the residual mlps.", whole=True, most=flags.MOST_LAYERS
)
TEXT_WIDTHS = flags.define_numbers(
    "text_width", (16, 32, 64), "Widths of the decoders on text, even.", whole=True
)
SEEDS = flags.define_count(
    "seeds", 6, "Seeds of each rate and size; some cases take 2 or 4 times as many.", least=2
)
STEPS = flags.define_count("steps", 60, "Steps of the optimizer.", most=flags.MOST_STEPS)
BATCH_SIZE = flags.define_count("batch_size", 64, "Examples in a minibatch.", most=1024)
OCTAVES = flags.define_count(
    "octaves", 4, "Octaves of rates on each side of a case's middle one.", most=20
)
flags.define_scale("tolerance", 0.15, "Powers of up to so much count as staying.")
SMOKE = {
    "case": ["muP Adam"],
    "width": ["4", "8"],
    "depth": ["1", "2"],
    "text_width": ["4", "8"],
    "seeds": 2,
    "steps": 2,
    "octaves": 3,
}


def measure() -> xarray.Dataset:
    """A sweep over sizes, rates and seeds for each case."""
    steps, batch_size = STEPS.value, BATCH_SIZE.value
    rates = 2.0 ** np.arange(-OCTAVES.value, OCTAVES.value + 1)
    # Of all cases before the first one is trained.
    sizes_of = {name: _sizes(CASES[name]) for name in NAMES.value}
    parts = []
    for name in harness.track(NAMES.value, "cases"):
        case, sizes = CASES[name], sizes_of[name]

        def make(size, case=case, base=sizes[0]):
            return make_transfer_run(case, size, base, steps, batch_size)

        swept = harness.sweep(
            make,
            {"learning_rate": rates, "seed": range(case.repeats * SEEDS.value)},
            structure={"size": sizes},
            name=name.replace(" ", "_").replace("/", "_"),
        )
        loss = swept["loss"].isel(step=-1).load()
        # All cases share one dimension of sizes and one of seeds: NaN is what a case has not.
        parts.append(loss.where(np.isfinite(loss), np.inf).drop_vars("step"))
    together = xarray.concat(parts, dim="case", join="outer", combine_attrs="drop")
    together["case"] = np.asarray(NAMES.value, dtype=object)
    return xarray.Dataset({"loss": together}).sortby("size")


def _sizes(case: Case) -> list[int]:
    over = TEXT_WIDTHS if case.task == "text" else WIDTHS if case.axis == "width" else DEPTHS
    sizes = sorted(int(size) for size in over.value)
    if len(sizes) < 2:
        raise ValueError(f"--{over.name} must name at least two sizes, got {sizes}")
    if case.task == "text" and (odd := [size for size in sizes if size % HEADS]):
        raise ValueError(f"--{over.name} must be divisible by {HEADS} heads, got {odd[0]}")
    return sizes


def draw(results: xarray.Dataset, settings: Settings):
    """A panel for each case: loss against rate, a curve for each size."""
    summary = tables.summarize(results, settings)
    verdicts = {row["case"]: row for row in summary["rows"]}
    return draw_transfer(results, tables.movements(results), verdicts)


EXPERIMENT = harness.Experiment(
    "transfer",
    measure,
    tables.summarize,
    tables.show,
    draw,
    SMOKE,
    judging=frozenset({"tolerance"}),
)
