"""The table of dimensions of Sohl-Dickstein 2024, on maps that a small machine can draw.

Of each of five settings and each seed a chain of maps, each SHRINK times smaller than the one
before, around the border nearest to its middle. The dimension is the median of box counting's
slopes over maps and box sizes together, as in that paper's notebook.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray

import initlab
from experiments.trainability_map import maps, places, runs
from experiments.trainability_map.known_sets import KNOWN
from experiments.trainability_map.tables import PUBLISHED_SETTING
from initlab import report

__all__ = ["CASES", "PAPER", "SHRINK", "find", "measure", "show", "slopes", "summarize", "verdict"]

AXES = ("learning_rate_1", "learning_rate_2")
CENTER, SPAN = (1.5, 1.5), (9.0, 9.0)
"""Of the first map, log10 of both rates: the notebook's."""

SHRINK = 8
"""How many times smaller each map is: those of three of the paper's zooms."""

LEAST_BOX = 4
"""Pixels along the smallest boxes: smaller ones miss what is finer than a pixel."""

DRAWN = 256
"""Pixels along a side that are kept for the picture, evenly chosen."""

SHAPES = 12
"""Maps of each known set."""

WIDEST = 0.5
"""Of an interval that agrees with anything: a wider one would agree with too much."""


class Case(NamedTuple):
    """A row of the paper's table.

    Attributes:
      activation: its name.
      examples: 0: as many as parameters (the identity: as inputs).
      batch_size: 0 is full batch.
      published: its dimension.
    """

    activation: str
    examples: int
    batch_size: int
    published: float


CASES = {
    "linear": Case("identity", 0, 0, 1.17),
    "relu": Case("relu", 0, 0, 1.20),
    "tanh, one example": Case("tanh", 1, 0, 1.41),
    "tanh, minibatches": Case("tanh", 0, 16, 1.55),
    "tanh": Case("tanh", 0, 0, 1.66),
}

PAPER = {"width": 16, "steps": 500, "pixels": 4096, "maps": 14}
"""What the paper's maps have at least; they are float64, of one seed, and around points that were
chosen by eye. Its 49 maps, each half as large as the one before, reach as far as 17 here; but that
many pixels of a map after the 14th are one number in float64 where rates are large."""


def measure(
    fill: Callable[[Sequence[Mapping[str, Any]], Callable[..., Any]], Sequence[Mapping[str, Any]]],
    *,
    width: int,
    steps: int,
    pixels: int,
    maps_of_each: int,
    seeds: int,
) -> xarray.Dataset:
    """The chains of maps, one map a cell.

    Args:
      fill: `(cells, find) -> found`, as `harness.fill`.
      width: units of the hidden layer.
      steps: of gradient descent.
      pixels: along a side.
      maps_of_each: of a chain.
      seeds: chains of each case.

    Returns:
      `count` [case, seed, map, size], boxes that hold a border, 0 where a chain has ended;
      `trained` [case, seed, map, y, x]; `known` [set, shape, size]; extents.

    Raises:
      ValueError: if pixels of the last map would be one number in float64.
    """
    spans = [SPAN[0] / SHRINK**number for number in range(maps_of_each)]
    places.place_pixels(AXES[0], CENTER[0], spans[-1], pixels, "float64")
    common = {"width": width, "steps": steps, "pixels": pixels}
    centers = {(name, seed): CENTER for name in CASES for seed in range(seeds)}
    found: dict[tuple[str, int], list[Mapping[str, Any]]] = {key: [] for key in centers}
    for span in spans:
        # A chain ends where a map has no border: rounding may leave none.
        going = [key for key, center in centers.items() if np.isfinite(center).all()]
        cells = [
            {"case": case, "seed": seed, "center": list(map(float, centers[case, seed]))}
            | {"span": span, "settings": list(CASES[case][:3])}
            | common
            for case, seed in going
        ]
        for key, each in zip(going, fill(cells, find), strict=True):
            found[key].append(each)
            centers[key] = tuple(each["border"].tolist())
    return _assemble(found, spans, seeds, pixels).assign_attrs(common | {"maps": maps_of_each})


def find(cell: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """One map: box counts of its border, the border nearest to the middle, and what is drawn."""
    activation, examples, batch_size = cell["settings"]
    setting = dataclasses.replace(
        PUBLISHED_SETTING,
        width=cell["width"],
        inputs=cell["width"],
        steps=cell["steps"],
        examples=examples,
        batch_size=batch_size,
        # The notebook draws start and data from one seed.
        data_seed=cell["seed"],
    )
    x, y = (
        places.place_pixels(name, center, cell["span"], cell["pixels"], "float64")
        for name, center in zip(AXES, cell["center"], strict=True)
    )
    run = runs.make_map_run(setting, AXES, activation, "float64", 1)
    axes = {y.name: y.value, x.name: x.value, "seed": [cell["seed"]]}
    swept = initlab.sweep(run, axes, progress=False)
    trained = swept["loss_ratio"].values[:, :, 0, 0] < 1
    marked = report.boundary(trained)
    border = maps.nearest_border(trained, x, y)
    return {
        "count": _count(marked) if border else np.zeros(_sizes(cell["pixels"]).size, np.int64),
        "border": np.asarray(border or (np.nan, np.nan)),
        "center": np.asarray(cell["center"]),
        "trained": _thinned(trained),
    }


def _thinned(trained: np.ndarray) -> np.ndarray:
    every = -(-len(trained) // DRAWN)
    return trained[::every, ::every]


def _sizes(pixels: int) -> np.ndarray:
    return report.box_dimension(np.eye(pixels - 1, dtype=bool)).sizes


def _count(marked: np.ndarray) -> np.ndarray:
    return report.box_dimension(marked).values[0]


def _assemble(
    found: Mapping[tuple[str, int], Sequence[Mapping[str, np.ndarray]]],
    spans: Sequence[float],
    seeds: int,
    pixels: int,
) -> xarray.Dataset:
    first = next(iter(found.values()))[0]
    shape = (len(CASES), seeds, len(spans))
    dims = ("case", "seed", "map")
    ends = {"count": ("size",), "trained": ("y", "x"), "center": ("axis",)}
    arrays = {name: np.zeros(shape + first[name].shape, first[name].dtype) for name in ends}
    for (case, seed), chain in found.items():
        for number, each in enumerate(chain):
            for name, array in arrays.items():
                array[list(CASES).index(case), seed, number] = each[name]
    known = [
        [_count(report.boundary(draw(pixels, number))) for number in range(SHAPES)]
        for draw, _ in KNOWN.values()
    ]
    return xarray.Dataset(
        {name: ((*dims, *ends[name]), array) for name, array in arrays.items()}
        | {"known": (("set", "shape", "size"), np.asarray(known))},
        {
            "case": np.asarray(list(CASES), dtype=object),
            "set": np.asarray(list(KNOWN), dtype=object),
            "span": ("map", list(spans)),
            "size": _sizes(pixels),
        },
    )


def slopes(count: np.ndarray, size: np.ndarray) -> np.ndarray:
    """`-d log2 N(s) / d log2 s` between neighbouring sizes of at least LEAST_BOX [..., K].

    Args:
      count: boxes that hold a border [..., sizes]; 0 where there is none, whose slopes are NaN.
      size: of the boxes in pixels, each twice the one before.

    Returns:
      The slopes; those of a map of fewer than 32 pixels are of all its sizes.

    >>> slopes(np.array([64, 32, 16, 4]), np.array([1, 2, 4, 8])).tolist()
    [2.0]
    """
    kept = size >= LEAST_BOX if np.sum(size >= LEAST_BOX) > 1 else size > 0
    counted = np.where(count > 0, count, np.nan)[..., kept]
    return -np.diff(np.log2(counted), axis=-1)


def summarize(results: xarray.Dataset) -> dict[str, Any]:
    """A row for each case, and what the estimator makes of sets whose dimension is known.

    An interval is 95 %, of a bootstrap over seeds and, within each, over maps that have a border,
    widened by the largest error on known sets on both sides. None is what no map has.
    """
    size = results["size"].values
    known = {
        str(name): {
            "dimension": float(KNOWN[str(name)][1]),
            "measured": float(np.median(slopes(results["known"].sel(set=name).values, size))),
        }
        for name in results["set"].values
    }
    bias = max(abs(each["measured"] - each["dimension"]) for each in known.values())
    here = {name: int(results.attrs[name]) for name in PAPER}
    differ = [name for name, least in PAPER.items() if here[name] < least]
    rows = []
    for name in results["case"].values:
        of = results["count"].sel(case=name).transpose("seed", "map", "size").values
        found = slopes(of, size)
        value, (low, high) = _median(found), _interval(found)
        row = {
            "case": str(name),
            "published": CASES[str(name)].published,
            "dimension": [_finite(each) for each in (value, low - bias, high + bias)],
            "sampling": [_finite(low), _finite(high)],
            "maps": int((of[..., 0] > 0).sum()),
            "by_map": [_finite(_median(found[:, [number]])) for number in range(of.shape[1])],
        }
        rows.append(row | {"verdict": _judge(row, differ)})
    order = sorted(rows, key=lambda row: (row["dimension"][0] is None, row["dimension"][0] or 0))
    return {
        "rows": rows,
        "known": known,
        "bias": bias,
        "here": here | {"seeds": int(results.sizes["seed"])},
        "differ": differ,
        "order": [row["case"] for row in order],
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _median(found: np.ndarray) -> float:
    """Of slopes that are NaN where there is no border; NaN if all are."""
    return float(np.nanmedian(found)) if np.isfinite(found).any() else np.nan


def _interval(found: np.ndarray) -> tuple[float, float]:
    """Of the median of slopes [seed, map, K], NaN of maps without a border; NaN if none has one."""
    # What has no border says nothing of borders: a sample of such maps alone has no median.
    found = found[np.isfinite(found).any(axis=(1, 2))]
    bordered = np.any(np.isfinite(found), axis=2)
    seeds, count, _ = found.shape
    if not seeds:
        return np.nan, np.nan
    draw = np.random.default_rng(0)
    seed = draw.integers(seeds, size=(1000, seeds, 1))
    number = draw.integers(bordered.sum(axis=1)[seed], size=(1000, seeds, count))
    # Maps that have a border come first.
    order = np.argsort(~bordered, axis=1, stable=True)
    medians = np.nanmedian(found[seed, order[seed, number]], axis=(1, 2, 3))
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def _judge(row: Mapping[str, Any], differ: Sequence[str]) -> str:
    _, low, high = row["dimension"]
    if low is None or high is None:
        return "not comparable"
    if low <= row["published"] <= high:
        return "agrees" if high - low <= WIDEST else "not comparable"
    # Another number from other settings refutes nothing: which of them makes it is not known.
    return "not comparable" if differ else "disagrees"


def show(summary: Mapping[str, Any]) -> str:
    """The table."""
    here = summary["here"]
    rows = [
        {
            "case": row["case"],
            "published": f"{row['published']:.2f}",
            "measured": "{} [{}, {}]".format(*map(_rounded, row["dimension"])),
            "over seeds and maps": "[{}, {}]".format(*map(_rounded, row["sampling"])),
            "maps": str(row["maps"]),
            "map by map": " ".join(map(_rounded, row["by_map"])),
            "verdict": row["verdict"],
        }
        for row in summary["rows"]
    ]
    known = "; ".join(
        f"{name} {each['measured']:.2f} ({each['dimension']:.2f})"
        for name, each in summary["known"].items()
    )
    text = (
        f"Here: width {here['width']}, {here['steps']} steps, {here['pixels']} x {here['pixels']} "
        f"pixels, float64, {here['seeds']} seeds, {here['maps']} maps of each, {SHRINK} times "
        "smaller\neach, around the border nearest to the middle. The paper: width 16, 500 or 1,000 "
        "steps, 4096 x 4096\npixels, float64, one seed, some 50 maps, 2 times smaller each, around "
        "points chosen by eye.\nDimension: median of box counting's slopes, boxes of "
        f"{LEAST_BOX} pixels and more. Of known sets, as many pixels:\n{known}; intervals are "
        f"widened by the largest error, {summary['bias']:.2f}.\n\n"
        f"{report.format_table(rows)}\n\n"
        f"From least to largest: {', '.join(summary['order'])}."
    )
    text += f"\nAn interval wider than {WIDEST:g} is not comparable: it would agree with too much."
    if summary["differ"]:
        text += (
            f"\nWith less {', '.join(summary['differ'])} than the paper's, another number refutes "
            "nothing and is not comparable either."
        )
    return text


def _rounded(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def verdict(summary: Mapping[str, Any]) -> int:
    """1 if a case disagrees."""
    return int(any(row["verdict"] == "disagrees" for row in summary["rows"]))
