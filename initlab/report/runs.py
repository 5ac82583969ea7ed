"""What a sweep's losses show: which runs trained, how soon, and at which learning rate."""

from typing import TYPE_CHECKING

import numpy as np

from initlab import checks, extras

if TYPE_CHECKING:
    import xarray

__all__ = ["best_rate", "best_rates", "steps_to", "trained"]


@checks.checked
def trained(results: "xarray.Dataset", constant_loss: float, fraction: float) -> "xarray.DataArray":
    """`final loss is finite and < fraction * constant_loss`.

    Args:
      results: a sweep's results with a `loss` over `step`.
      constant_loss: the loss of the best predictor that ignores the inputs.
      fraction: how far under it a run must end, in (0, 1].

    Returns:
      Booleans over the sweep's axes.
    """
    final = results["loss"].isel(step=-1)
    return (final > -np.inf) & (final < fraction * constant_loss)


@checks.checked
def best_rate(final: "xarray.DataArray", trained_under: float) -> "xarray.DataArray":
    """The learning rate that trains most seeds; of equal ones that of the least median loss.

    Args:
      final: final losses over "learning_rate", "seed" and what has a best rate of its own. One that
        is not finite counts as infinite.
      trained_under: a run trained if it ended under this loss.

    Returns:
      Indices of learning_rate, over the rest; of rates that are equal in both the first.

    >>> import xarray
    >>> dims = ("learning_rate", "seed")
    >>> best_rate(xarray.DataArray([[0.1, 9.0], [0.2, 0.2], [0.3, 0.3]], dims=dims), 1.0).item()
    1
    """
    counted = final.where(np.isfinite(final), np.inf).astype(float)
    count = (counted < trained_under).sum("seed")
    median = counted.quantile(0.5, "seed", method="inverted_cdf").drop_vars("quantile")
    # A median may be infinite where some seeds train: it still comes before rates that train fewer.
    ranked = median.clip(max=np.finfo(float).max)
    return ranked.where(count == count.max("learning_rate"), np.inf).argmin("learning_rate")


@checks.checked
def best_rates(
    results: "xarray.Dataset", constant_loss: float, fraction: float
) -> "xarray.Dataset":
    """Each cell at its `best_rate`, with the share of its seeds that trained.

    Args:
      results: `loss` over learning_rate, seed, step and what makes a cell.
      constant_loss: the loss of the best predictor that ignores the inputs.
      fraction: how far under it a run must end, in (0, 1].

    Returns:
      Over the cells: `trained` (number of seeds), `p_train`, `loss` (median over seeds, infinite
      where most diverged) and `learning_rate`.

    >>> import xarray
    >>> dims = ("learning_rate", "seed", "step")
    >>> loss = xarray.DataArray([[[0.9, 0.8], [0.9, 0.2]], [[0.9, 0.1], [0.9, 0.3]]], dims=dims)
    >>> results = xarray.Dataset({"loss": loss}, {"learning_rate": [0.01, 0.1]})
    >>> best = best_rates(results, constant_loss=0.7, fraction=0.5)
    >>> best["learning_rate"].item(), best["p_train"].item(), best["loss"].item()
    (0.1, 1.0, 0.1)
    """
    with extras.needed("initlab.report"):
        import xarray

    count = trained(results, constant_loss, fraction).sum("seed")
    final = results["loss"].isel(step=-1)
    best = best_rate(final, fraction * constant_loss)
    median = final.where(np.isfinite(final), np.inf).quantile(0.5, "seed", method="inverted_cdf")
    cells = xarray.Dataset({"trained": count, "loss": median.drop_vars("quantile")})
    chosen = cells.isel(learning_rate=best)
    share = chosen["trained"] / results.sizes["seed"]
    return chosen.assign(p_train=share).reset_coords("learning_rate")


@checks.checked
def steps_to(loss: np.ndarray, step: np.ndarray, threshold: float) -> np.ndarray:
    """The first step at which the loss was under the threshold; infinite where it never was.

    Args:
      loss: [..., S]; NaN is not under anything.
      step: the steps at which it was measured [S].
      threshold: in the units of the loss.

    Returns:
      Steps [...], as floats.

    Raises:
      ValueError: if loss and step are of different lengths.

    >>> steps_to(np.array([[2.0, 1.0, 0.1], [2.0, 2.0, np.nan]]), np.array([0, 5, 10]), 0.5)
    array([10., inf])
    """
    loss, step = np.asarray(loss), np.asarray(step)
    if step.ndim != 1 or loss.shape[-1:] != step.shape:
        raise ValueError(f"loss must be [..., {step.size}], as step is, got {loss.shape}")
    under = loss < threshold
    return np.where(under.any(axis=-1), step[under.argmax(axis=-1)], np.inf)
