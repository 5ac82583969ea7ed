"""From training runs of many schemes to a ranking with intervals over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray

from initlab import report

__all__ = ["rank", "row"]


def row(results: xarray.Dataset, threshold: float) -> dict[str, Any]:
    """What training did to one scheme on one network.

    Args:
      results: `loss` over learning_rate, seed and step.
      threshold: a run trained if its loss ended under it; the steps are to it too.

    Returns:
      The best learning rate, and at it P(train) with Wilson's interval, quartiles over seeds of the
      final loss and of the steps to the threshold.
    """
    loss = results["loss"].transpose("learning_rate", "seed", "step").values
    final = loss[..., -1]
    trained = np.isfinite(final) & (final < threshold)
    best = int(report.best_rate(results["loss"].isel(step=-1), threshold))
    count, seeds = int(trained[best].sum()), trained.shape[1]
    steps = report.steps_to(loss[best], results["step"].values, threshold)
    return {
        "learning_rate": float(results["learning_rate"][best]),
        "trained": count,
        "p_train": count / seeds,
        "p_train_interval": report.wilson_interval(count, seeds),
        "loss": report.quartiles(final[best]),
        "steps": report.quartiles(steps),
    }


def rank(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Best first: by P(train), then by the median steps to the threshold, then by the median loss.

    Args:
      rows: as from `row`.

    Returns:
      The rows with `rank`, and `ties`: whether both the interval of P(train) and the quartiles of
      the steps reach those of the best. Of runs that never train none ties.
    """
    # Steps before loss: schemes that all train differ most in how soon.
    ordered = sorted(rows, key=lambda each: (-each["p_train"], each["steps"][1], each["loss"][1]))
    ranked = []
    for place, each in enumerate(ordered, start=1):
        first = ordered[0]
        ties = (
            first["trained"] > 0
            and _meet(each["p_train_interval"], first["p_train_interval"])
            and _meet(each["steps"][::2], first["steps"][::2])
        )
        ranked.append({**each, "rank": place, "ties": ties})
    return ranked


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
