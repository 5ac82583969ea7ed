"""Measured signals beside predicted ones: differences in standard errors, and their probability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import checks, extras
from initlab.signals.recursions import Prediction

if TYPE_CHECKING:
    import xarray

__all__ = ["KINDS", "QUANTITIES", "compare", "joint_probability", "prediction_dataset"]

QUANTITIES = ("length", "decorrelation", "gradient")
"""Variables of `signal_run`'s results that are compared, in the order of `Prediction`'s fields:
mean square, cosine distance and mean squared gradient."""

KINDS = ("wide", "finite")
"""Predicted for infinite width, and with the first correction for the network's own."""


@checks.checked
def prediction_dataset(
    layers: Sequence[str] | np.ndarray,
    wide: Prediction | None = None,
    finite: Prediction | None = None,
    sample: tuple[np.ndarray, np.ndarray] | None = None,
) -> "xarray.Dataset":
    """Predictions as variables to merge with the results of a sweep over `signal_run`.

    Args:
      layers: names of the layers [L], `results["layer"].values`.
      wide: of `predict_mlp` or `predict_residual`.
      finite: of `predict_finite_width`.
      sample: of `sample_signals`.

    Returns:
      For each of `QUANTITIES`: `QUANTITY_predicted` over (kind, layer); `QUANTITY_law` over layer,
      the mean of the sample, and `QUANTITY_law_error`, its standard error. NaN where a prediction
      is absent.

    Raises:
      TypeError: if layers are no names, or a prediction or the sample not of real numbers.
      ValueError: if a prediction or the sample has other layers, or the sample one network only.

    >>> wide = Prediction(np.ones(2), np.zeros(2), np.ones(2))
    >>> dataset = prediction_dataset(["layer_1", "layer_2"], wide)
    >>> dataset["length_predicted"].sel(kind="wide").values.tolist()
    [1.0, 1.0]
    """
    with extras.needed("initlab.signals.prediction_dataset"):
        import xarray

    if np.ndim(layers) != 1:
        raise ValueError(f"layers must be names [L], got shape {np.shape(layers)}")
    absent = np.full(len(layers), np.nan)
    _check_prediction("wide", wide, len(layers))
    _check_prediction("finite", finite, len(layers))
    _check_sample(sample, len(layers))
    predictions = [each or Prediction(absent, absent, absent) for each in (wide, finite)]
    # The exact law is known of what is sent forward; a gradient has none.
    laws = dict(zip(QUANTITIES, sample or (), strict=False))
    columns = {}
    for name, *pair in zip(QUANTITIES, *predictions, strict=True):
        law = laws.get(name, np.stack([absent, absent]))
        columns[f"{name}_predicted"] = ("kind", "layer"), np.stack(pair)
        columns[f"{name}_law"] = "layer", law.mean(axis=0)
        columns[f"{name}_law_error"] = "layer", law.std(axis=0, ddof=1) / np.sqrt(len(law))
    coordinates = {"kind": np.asarray(KINDS, object), "layer": np.asarray(layers, object)}
    return xarray.Dataset(columns, coordinates)


def _check_prediction(name: str, prediction: Prediction | None, layers: int) -> None:
    for field, values in zip(Prediction._fields, prediction or (), strict=False):
        checks.check_reals(f"{name}.{field}", values)
        if np.shape(values) != (layers,):
            raise ValueError(
                f"{name}.{field} must have an entry for each of {layers} layers, "
                f"got shape {np.shape(values)}"
            )


def _check_sample(sample: Any, layers: int) -> None:
    if sample is None:
        return
    if len(sample) != 2:
        raise ValueError(
            f"sample must be a pair of arrays, of lengths and cosine distances, got {len(sample)}"
        )
    for position, values in enumerate(sample):
        checks.check_reals(f"sample[{position}]", values)
        shape = np.shape(values)
        if len(shape) != 2 or shape[0] < 2 or shape[1] != layers:
            raise ValueError(
                f"sample[{position}] must be [networks, {layers}], at least 2 networks, got {shape}"
            )


@checks.checked
def compare(results: "xarray.Dataset") -> "xarray.Dataset":
    """`off = (mean over seeds - predicted) / standard error`, of every quantity and layer.

    Args:
      results: of each of `QUANTITIES` the measurement over (..., seed, layer), at least two seeds,
        and the variables of `prediction_dataset` over (..., kind, layer) and (..., layer).

    Returns:
      The same, with `QUANTITY_error`, the standard error of the mean; `QUANTITY_off` over (...,
      kind, layer): 0 where the two are equal, infinite where only the error is 0; and
      `QUANTITY_law_off`, in units of both errors together.

    >>> import xarray
    >>> measured = {name: (("seed", "layer"), [[1.0], [3.0]]) for name in QUANTITIES}
    >>> predicted = prediction_dataset(["z"], Prediction(*np.full((3, 1), 1.0)))
    >>> results = compare(xarray.Dataset(measured).merge(predicted))
    >>> results["length_off"].sel(kind="wide").values.tolist()
    [1.0]
    """
    with extras.needed("initlab.signals.compare"):
        import xarray

    added = {}
    for name in QUANTITIES:
        measured, predicted = results[name], results[f"{name}_predicted"]
        error = measured.std("seed", ddof=1) / np.sqrt(measured.sizes["seed"])
        gap = measured.mean("seed") - predicted
        # The last layer's gradient is 1 by definition: no gap, over no error.
        with np.errstate(divide="ignore", invalid="ignore"):
            off = xarray.where(gap == 0, 0.0, gap / error)
        both = np.hypot(error, results[f"{name}_law_error"])
        law_off = (measured.mean("seed") - results[f"{name}_law"]) / both
        added |= {
            f"{name}_error": error,
            f"{name}_off": off.transpose(*predicted.dims),
            f"{name}_law_off": law_off.transpose(*results[f"{name}_law"].dims),
        }
    return results.assign(added)


@checks.checked
def joint_probability(measured: np.ndarray, predicted: np.ndarray) -> float:
    """Hotelling's p: how often chance puts all layers' means together as far from the prediction.

    `T^2 = n d^T S^-1 d`, and `(n - p) / (p (n - 1)) T^2` is of F(p, n - p). Layers of one network
    are correlated, so that a mean that is off by chance is off at many of them: 50 layers are not
    50 tests.

    Args:
      measured: [n seeds, p layers].
      predicted: [p].

    Returns:
      The probability; NaN unless there are more than twice as many seeds as layers.

    Source: Hotelling 1931, The generalization of Student's ratio.

    >>> stream = np.random.default_rng(0)
    >>> shared = stream.normal(size=(99, 1)) + 0.1 * stream.normal(size=(99, 3))
    >>> joint_probability(shared, np.full(3, 0.1)) > 0.05 > joint_probability(shared, np.arange(3))
    True
    """
    from scipy.special import fdtrc

    for name, value in (("measured", measured), ("predicted", predicted)):
        checks.check_reals(name, value)
    measured, predicted = np.asarray(measured, np.float64), np.asarray(predicted, np.float64)
    if measured.ndim != 2 or not measured.size:
        raise ValueError(f"measured must have shape [seeds, layers], got {measured.shape}")
    seeds, layers = measured.shape
    if predicted.shape != (layers,):
        raise ValueError(
            f"predicted must have shape [{layers}], the layers of measured, got {predicted.shape}"
        )
    gap = measured.mean(axis=0) - predicted
    if seeds <= 2 * layers or not np.isfinite(measured).all() or not np.isfinite(gap).all():
        return float("nan")
    # In standard deviations: mean squares and distances of many layers differ by powers of ten,
    # and T^2 does not depend on the units.
    spread = measured.std(axis=0, ddof=1)
    if not spread.all():
        return float("nan")
    correlations = np.atleast_2d(np.corrcoef(measured, rowvar=False))
    scaled = gap / spread
    distance = seeds * scaled @ np.linalg.solve(correlations, scaled)
    ratio = (seeds - layers) / (layers * (seeds - 1)) * distance
    return float(fdtrc(layers, seeds - layers, ratio))
