"""From runs to maps: P(train), final loss and first non-finite step, some rows at a time."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray

from experiments.trainability_map.places import Place
from initlab import report, theory
from initlab.types import Activation

__all__ = [
    "CRITERIA",
    "boundary_point",
    "critical_curve",
    "has_trained",
    "nearest_border",
    "reduce_runs",
    "with_curves",
]

CRITERIA = {
    "loss": "last loss under a fraction of the best constant's",
    "ratio": "mean of the last 20 losses under the first",
}
"""When a run counts as trained, by the criterion's name."""

KEPT_SEEDS = 8
"""Seeds whose own maps are kept beside the mean over all."""

RUNS_AT_ONCE = 2**20
"""Runs whose numbers are read together: a map of any size is reduced in flat memory."""


def has_trained(runs: xarray.Dataset, criterion: str, trained_fraction: float) -> xarray.DataArray:
    """Which runs count as trained; one whose loss is not finite does not.

    Args:
      runs: `relative_loss` and `loss_ratio`.
      criterion: "loss": the last loss is under `trained_fraction` of the best constant's; "ratio":
        the mean of the last 20 is under the first.
      trained_fraction: of the criterion "loss".

    Returns:
      Booleans over the runs.
    """
    # NaN is not under anything.
    if criterion == "ratio":
        return runs["loss_ratio"] < 1
    return (runs["relative_loss"] > -np.inf) & (runs["relative_loss"] < trained_fraction)


def reduce_runs(
    runs: xarray.Dataset, x: Place, y: Place, criterion: str, trained_fraction: float
) -> xarray.Dataset:
    """The maps of a sweep.

    Args:
      runs: a sweep's results over activation, dtype, seed and the axes that x and y name.
      x: pixels along a row.
      y: pixels along a column.
      criterion: as for `has_trained`.
      trained_fraction: as for `has_trained`.

    Returns:
      Over (activation, dtype, y, x): `p_train`; `relative_loss`, the median over seeds, infinite
      where most diverged; `first_nonfinite_step`, the earliest of any seed, -1 where none broke;
      `reduced`, where runs have one, the median over seeds, infinite where most never come to it.
      `trained` over seed too, of the first 8 seeds. `x_coordinate` and `y_coordinate` of pixels.
    """
    dims = ("activation", "dtype", "y", "x", "seed")
    of_names = {x.name: "x", y.name: "y"}
    runs = runs.isel(step=0, drop=True).drop_vars("layer").rename_dims(of_names)
    runs = runs.drop_vars(list(of_names)).transpose(*dims)
    others = [runs.sizes[name] for name in dims if name != "y"]
    rows = max(1, RUNS_AT_ONCE // int(np.prod(others)))
    parts = [
        _reduce_rows(runs.isel(y=slice(first, first + rows)).load(), criterion, trained_fraction)
        for first in range(0, runs.sizes["y"], rows)
    ]
    maps = xarray.concat(parts, "y")
    return maps.assign(x_coordinate=("x", x.coordinate), y_coordinate=("y", y.coordinate))


def _reduce_rows(runs: xarray.Dataset, criterion: str, trained_fraction: float) -> xarray.Dataset:
    trained = has_trained(runs, criterion, trained_fraction)
    final = runs["relative_loss"].where(np.isfinite(runs["relative_loss"]), np.inf)
    median = _median_of_seeds(final.values)
    reduced = {}
    if "reduced" in runs:
        # A step of an event that did not occur is -1.
        number = runs["reduced"].where(runs["reduced"] >= 0, np.inf).values
        reduced = {"reduced": (trained.dims[:-1], _median_of_seeds(number).astype(np.float32))}
    broke = runs["first_nonfinite_step"]
    never = np.iinfo(np.int32).max
    earliest = broke.where(broke >= 0, never).min("seed")
    return xarray.Dataset(
        {
            "p_train": trained.mean("seed").astype(np.float32),
            "relative_loss": (trained.dims[:-1], median),
            "first_nonfinite_step": earliest.where(earliest < never, -1).astype(np.int32),
            "trained": trained.isel(seed=slice(KEPT_SEEDS)),
        }
        | reduced
    )


def _median_of_seeds(values: np.ndarray) -> np.ndarray:
    """Over the last axis. No interpolation: one infinite run does not spoil a median."""
    return np.quantile(values, 0.5, axis=-1, method="inverted_cdf")


def critical_curve(
    activation: Activation, x: Place, y: Place, values: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Theory's line over a map, in its coordinates; None where there is none.

    Over depth and sigma_w the trainable depth, 6 xi_c; over sigma_w and anything else the critical
    sigma_w, which changes with sigma_b alone. Both are of wide networks at the start, and say
    nothing of learning rates.

    Args:
      activation: of the hidden layers.
      x: pixels along a row.
      y: pixels along a column.
      values: sigma_b, where it is no axis.

    Returns:
      `(x coordinates, y coordinates)` of the curve's points; NaN where it does not exist.
    """
    places = {x.name: x, y.name: y}
    if "sigma_w" not in places:
        return None
    sigma_w, other = places.pop("sigma_w"), next(iter(places.values()))
    if other.name == "depth":
        # Finer than the pixels, since it is a curve of their whole range.
        along = np.linspace(sigma_w.coordinate[0], sigma_w.coordinate[-1], 400)
        beside = theory.trainable_depth(activation, 100**along, values["sigma_b"] ** 2)
    else:
        beside = np.linspace(other.coordinate[0], other.coordinate[-1], 100)
        sigma_b = 10**beside if other.name == "sigma_b" else np.full(100, values["sigma_b"])
        # Too large biases are beyond what is searched, and are no part of any map's middle.
        along = np.log10(theory.critical_sigma_w2(activation, np.minimum(sigma_b**2, 1e7))) / 2
    along, beside = np.asarray(along), np.asarray(beside)
    return (along, beside) if x.name == "sigma_w" else (beside, along)


def with_curves(
    maps: xarray.Dataset, curves: Sequence[tuple[np.ndarray, np.ndarray] | None]
) -> xarray.Dataset:
    """The maps with `curve_x` and `curve_y` over (activation, point), where there are any."""
    if not curves or curves[0] is None:
        return maps
    points = np.asarray(curves, float)
    dims = ("activation", "point")
    return maps.assign(curve_x=(dims, points[:, 0]), curve_y=(dims, points[:, 1]))


def boundary_point(maps: xarray.Dataset, x: Place, y: Place) -> tuple[float, float] | None:
    """Where P(train) = 1/2 nearest to the middle of the first map, in coordinates.

    Args:
      maps: as `reduce_runs` gives them.
      x: pixels along a row.
      y: pixels along a column.

    Returns:
      x and y; None where there is no boundary.
    """
    return nearest_border(maps["p_train"].values[0, 0] >= 0.5, x, y)


def nearest_border(trained: np.ndarray, x: Place, y: Place) -> tuple[float, float] | None:
    """Where neighbours differ nearest to the middle of a map, in coordinates.

    Args:
      trained: booleans [H, W].
      x: pixels along a row.
      y: pixels along a column.

    Returns:
      x and y; None where there is no boundary.
    """
    marked = report.boundary(trained)
    squares = np.argwhere(marked)
    if not squares.size:
        return None
    middle = (np.asarray(marked.shape) - 1) / 2
    row, column = squares[np.argmin(np.sum((squares - middle) ** 2, axis=1))]
    # The middle of the four pixels.
    across, along = x.coordinate[column : column + 2], y.coordinate[row : row + 2]
    return float(across.mean()), float(along.mean())
