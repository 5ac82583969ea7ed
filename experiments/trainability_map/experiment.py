"""Where do networks train, over what they start from and are trained with; how rough is the border?

    python -m experiments.trainability_map
    python -m experiments.trainability_map --x=learning_rate_1 --y=learning_rate_2 --zoom=4
    python -m experiments.trainability_map --published
    python -m experiments.trainability_map --dimensions

A map of P(train) over two axes (of sigma_w, sigma_b, learning_rate, offset and depth; of one layer
of an mlp as sigma_w_2), with theory's critical line or trainable depth where there is one. Of its
border P = 1/2 and of single seeds' borders: box-counting dimension and uncertainty exponent.
--center and --span choose the part that is mapped, in the axes' coordinates: log10 of a sigma_w,
sigma_b or learning rate, an offset or a depth as it is. --zoom=K adds K maps, each of half the span
around the boundary nearest to the middle of the one before. --reduction adds a map of when a loss
is first under half of the best constant's, or over ten of it, or of the least.

--published maps the settings of the notebook of Sohl-Dickstein 2024 (arXiv:2402.06184) instead, and
exits 1 if a share of converged runs is not the published one. --dimensions measures the dimensions
that the paper tabulates, of five settings, in chains of maps, each 8 times smaller than the last.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import xarray

import initlab
from experiments import harness, names
from experiments.harness import Settings, flags
from experiments.harness.command_line import FLAGS
from experiments.trainability_map import dimensions, maps, places, runs, tables
from experiments.trainability_map.figure import draw_dimensions, draw_maps

__all__ = ["EXPERIMENT"]

X = flags.define_text("x", "sigma_w", "Axis along a row: sigma_w, learning_rate_1, ...")
Y = flags.define_text("y", "learning_rate", "Axis along a column.")
CENTER = flags.define_pair(
    "center", None, "Coordinates x,y of the map's middle; else the axes' own."
)
SPAN = flags.define_pair(
    "span", None, "Its extent x,y in coordinates; else the axes' own.", least=1e-15
)
PIXELS = flags.define_pair(
    "pixels", (128,), "Pixels x,y; of depth its whole numbers.", least=2, most=2**15, whole=True
)
ZOOM = flags.define_count("zoom", 0, "Zooms of factor 2 after the first map.", least=0, most=60)
SEEDS = flags.define_count("seeds", 8, "Seeds of each pixel.")
STEPS = flags.define_count("steps", 200, "Optimizer steps.", least=runs.LAST, most=flags.MOST_STEPS)
NETWORK = flags.define_name("network", "mlp", names.NETWORKS, "Network")
ACTIVATIONS = flags.define_names("activation", ("tanh",), runs.ACTIVATIONS, "Hidden activations")
DTYPES = flags.define_names(
    "dtype", ("float32",), {"float32": 0, "float64": 0}, "Dtypes (float64: of an mlp alone)"
)
WIDTH = flags.define_count("width", 8, "Units of a hidden layer.")
TASK = flags.define_name("task", "gaussian", runs.TASKS, "Task")
INPUTS = flags.define_count("inputs", 8, "Entries of an input of the task gaussian.")
EXAMPLES = flags.define_count(
    "examples", 0, "Training examples; 0: all, of gaussian as many as weights.", least=0
)
DATA_SEED = flags.define_count("data_seed", 0, "Seed of the task gaussian.", least=0)
BATCH_SIZE = flags.define_count("batch_size", 0, "Examples in a minibatch; 0: all.", least=0)
BIAS = flags.define_switch("bias", "Whether there are biases; else they stay 0.")
PARAMETRIZATION = flags.define_name(
    "parametrization", "standard", runs.PARAMETRIZATIONS, "What sigmas and learning rates are of"
)
SIGMA_W = flags.define_scale("sigma_w", 1.0, "Std of weights times sqrt(fan_in), if no axis.")
SIGMA_B = flags.define_scale("sigma_b", 0.0, "Std of biases, if no axis.")
LEARNING_RATE = flags.define_scale("learning_rate", 1.0, "Learning rate, if no axis.")
OFFSET = flags.define_scale("offset", 0.0, "What is added to the first layer, if no axis.")
DEPTH = flags.define_count("depth", 1, "Hidden layers or blocks, if no axis.", most=1000)
CRITERION = flags.define_name(
    "criterion",
    "ratio",
    maps.CRITERIA,
    "Trained: by the last loss, or by the last 20 over the first",
)
REDUCTION = flags.define_name(
    "reduction", "none", runs.REDUCTIONS, "One number more of each run, made while it goes"
)
TRAINED_FRACTION = flags.define_trained_fraction()
PUBLISHED = flags.define_switch("published", "The published maps, with --seeds and --pixels.")
DIMENSIONS = flags.define_switch(
    "dimensions",
    "The table of dimensions, with --seeds (else 4), --pixels, --width, --steps (else 100) and "
    f"--zoom (else 5); its zooms are of factor {dimensions.SHRINK}.",
)
SMOKE = {"pixels": ["16"], "seeds": 2, "steps": 20}

SCAN = 16
"""Pixels along a side of the map in which --zoom first looks for a boundary."""

Pair = tuple[float, float]


class View(NamedTuple):
    """What is mapped: axes, their part in coordinates (x first), and what the runs share."""

    setting: runs.Setting
    axes: tuple[str, str]
    center: Pair
    span: Pair
    pixels: tuple[int, int]
    zoom: int
    seeds: int
    activations: list[str]
    dtypes: list[str]


def measure() -> xarray.Dataset:
    """A sweep over pixels and seeds for each zoom, and its maps."""
    if DIMENSIONS.value:
        return _measure_dimensions()
    view = _published_view() if PUBLISHED.value else _view()
    _check(view)
    center, span, pixels = view.center, view.span, view.pixels
    levels = [tuple(each / 2**level for each in span) for level in range(view.zoom + 1)]
    # Whether the last zoom's pixels differ is known before the first map is made.
    _place(view, center, levels[-1], pixels)
    if view.zoom:
        # In memory, so that a map without a boundary leaves nothing behind.
        scanned, placed = _map(view, center, span, (SCAN, SCAN), store=None)
        if maps.boundary_point(scanned, *placed) is None:
            raise ValueError(
                f"--zoom requires a map with a boundary, and at {SCAN} x {SCAN} pixels all of it "
                "trains, or nothing: choose another --center or a larger --span"
            )
    drawn = []
    for level, zoomed in enumerate(levels):
        results, placed = _map(view, center, zoomed, pixels, store=f"zoom_{level}")
        drawn.append(results)
        found = maps.boundary_point(results, *placed)
        if found is None and level < view.zoom:
            raise ValueError(
                f"the map of zoom {level} has no boundary left to zoom to; what is computed is "
                f"kept, and --zoom={level} draws it"
            )
        center = found or center
    attrs = {"x": view.axes[0], "y": view.axes[1], "seeds": view.seeds}
    return xarray.concat(drawn, "zoom").assign_attrs(attrs)


def _map(
    view: View, center: Pair, span: Pair, pixels: tuple[int, int], store: str | None
) -> tuple[xarray.Dataset, tuple[places.Place, places.Place]]:
    """One map, of a sweep that is kept under that name, or of one that is not kept."""
    x, y = _place(view, center, span, pixels)
    given = {each.name: each.value for each in (x, y)}
    depths = [int(each) for each in given.pop("depth", [view.setting.values["depth"]])]
    structure = {"activation": view.activations, "dtype": view.dtypes, "depth": depths}

    def describe(activation, dtype, depth):
        return runs.make_map_run(view.setting, tuple(given), activation, dtype, depth)

    # Rows first, so that a chunk of the sweep is a tile of whole rows.
    axes = {name: given[name] for name in (y.name, x.name) if name in given}
    axes |= {"seed": range(view.seeds)}
    if store is None:
        swept = initlab.sweep(describe, axes, structure=structure)
    else:
        swept = harness.sweep(describe, axes, structure=structure, name=store)
    if "depth" not in (x.name, y.name):
        swept = swept.squeeze("depth", drop=True)
    reduced = maps.reduce_runs(swept, x, y, CRITERION.value, TRAINED_FRACTION.value)
    curves = [
        maps.critical_curve(runs.ACTIVATIONS[name], x, y, view.setting.values)
        for name in view.activations
    ]
    return maps.with_curves(reduced, curves), (x, y)


def _place(
    view: View, center: Pair, span: Pair, pixels: tuple[int, int]
) -> tuple[places.Place, places.Place]:
    # Runs of two dtypes are given the same numbers: those that the coarser one has.
    coarsest = "float32" if "float32" in view.dtypes else "float64"
    x, y = (
        places.place_pixels(*along, coarsest)
        for along in zip(view.axes, center, span, pixels, strict=True)
    )
    return x, y


def _view() -> View:
    axes = (X.value, Y.value)
    layers = DEPTH.value + 1 if NETWORK.value == "mlp" and "depth" not in axes else 0
    places.check_names(axes, layers)
    kinds = [places.kind_of(name) for name in axes]
    center = CENTER.value or [kind.center for kind in kinds]
    span = SPAN.value or [kind.span for kind in kinds]
    setting = runs.Setting(
        network=NETWORK.value,
        width=WIDTH.value,
        task=TASK.value,
        inputs=INPUTS.value,
        examples=EXAMPLES.value,
        data_seed=DATA_SEED.value,
        batch_size=BATCH_SIZE.value,
        steps=STEPS.value,
        bias=BIAS.value,
        parametrization=PARAMETRIZATION.value,
        values={
            "sigma_w": SIGMA_W.value,
            "sigma_b": SIGMA_B.value,
            "learning_rate": LEARNING_RATE.value,
            "offset": OFFSET.value,
            "depth": DEPTH.value,
        },
        reduction=REDUCTION.value,
    )
    return View(
        setting,
        axes,
        _pair(float, center),
        _pair(float, span),
        _pair(int, PIXELS.value),
        ZOOM.value,
        SEEDS.value,
        ACTIVATIONS.value,
        DTYPES.value,
    )


def _published_view() -> View:
    """The maps of the notebook of Sohl-Dickstein 2024, over several seeds instead of one."""
    _check_alone("published", {"seeds", "pixels"})
    return View(
        tables.PUBLISHED_SETTING,
        ("learning_rate_1", "learning_rate_2"),
        (1.5, 1.5),
        (9.0, 9.0),
        _pair(int, PIXELS.value) if FLAGS["pixels"].present else (64, 64),
        0,
        SEEDS.value,
        list(tables.PUBLISHED),
        ["float32"],
    )


def _measure_dimensions() -> xarray.Dataset:
    _check_alone("dimensions", {"seeds", "pixels", "width", "steps", "zoom"})
    across, down = _pair(int, PIXELS.value)
    if across != down or across < 16:
        raise ValueError(
            f"--dimensions requires --pixels of one number of at least 16, got {across},{down}"
        )

    def chosen(flag: Any, otherwise: int) -> int:
        return flag.value if FLAGS[flag.name].present else otherwise

    return dimensions.measure(
        harness.fill,
        width=WIDTH.value,
        steps=chosen(STEPS, 100),
        pixels=across,
        maps_of_each=chosen(ZOOM, 5) + 1,
        seeds=chosen(SEEDS, 4),
    )


def _check_alone(name: str, others: set[str]) -> None:
    """Raises ValueError where a flag is given that the flag of this name sets."""
    given = {each.name for each in FLAGS.get_flags_for_module(__name__) if each.present}
    if strange := sorted(given - others - {name}):
        *some, last = (f"--{each}" for each in sorted(others))
        raise ValueError(
            f"--{name} sets all but {', '.join(some)} and {last}, got --{strange[0]} too"
        )


def _pair(kind: Callable[[Any], Any], given: Sequence[Any]) -> tuple[Any, Any]:
    """The numbers of x and y, of which one may be given for both."""
    return kind(given[0]), kind(given[-1])


def _check(view: View) -> None:
    if "sigma_b" in view.axes and not view.setting.bias:
        raise ValueError("an axis sigma_b requires --bias: without biases there is nothing to map")
    if "float64" in view.dtypes and view.setting.network != "mlp":
        raise ValueError(f"--dtype=float64 requires --network=mlp, got {view.setting.network}")
    if CRITERION.value == "ratio" and TRAINED_FRACTION.present:
        raise ValueError(
            "--trained_fraction requires --criterion=loss; --criterion=ratio compares a run's last "
            "losses with its first"
        )
    if view.zoom and "depth" in view.axes:
        raise ValueError("--zoom requires axes of real numbers, got depth, whose are whole")


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """The numbers of the table: of maps, or of dimensions."""
    if settings["dimensions"]:
        return dimensions.summarize(results)
    return tables.summarize(results, settings)


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The table."""
    return dimensions.show(summary) if settings["dimensions"] else tables.show(summary, settings)


def draw(results: xarray.Dataset, settings: Settings):
    """A row of maps for each zoom, activation and dtype; or a column for each case."""
    if settings["dimensions"]:
        return draw_dimensions(results)
    return draw_maps(results, maps.CRITERIA[settings["criterion"]], settings["reduction"])


def verdict(summary: dict[str, Any]) -> int:
    """1 if a published share or dimension is out."""
    return dimensions.verdict(summary) if "known" in summary else tables.verdict(summary)


EXPERIMENT = harness.Experiment(
    "trainability_map", measure, summarize, show, draw, SMOKE, verdict, float64=True
)
