"""The coordinate check's results, as checks again, and what the experiment says of them."""

from typing import Any

import numpy as np
import xarray

from experiments.harness import Settings
from initlab.coordinates import CoordinateCheck
from initlab.theory import Growth

__all__ = ["check_of", "datasets", "show", "summarize", "verdict"]

AXES = ("width", "depth")


def check_of(results: xarray.Dataset, axis: str, case: str) -> CoordinateCheck:
    """One case's check, as `coordinate_check` returned it.

    Args:
      results: of the experiment: the variables of `CoordinateCheck.to_dataset` under the axis'
        name, as "width start", over (axis + " case", ...).
      axis: "width" or "depth".
      case: its name.

    Returns:
      The check.
    """
    of = results.sel({f"{axis} case": case})
    layers = tuple(str(name) for name in of[f"{axis} layer"].values)
    growth = zip(
        layers,
        of[f"{axis} predicted_start"].values.tolist(),
        of[f"{axis} predicted_change"].values.tolist(),
        strict=True,
    )
    return CoordinateCheck(
        axis,
        tuple(of[axis].values.tolist()),
        layers,
        of[f"{axis} start"].values,
        of[f"{axis} change"].values,
        {name: Growth(start, change) for name, start, change in growth if np.isfinite(start)},
        results.attrs["tolerance"],
    )


def datasets(results: xarray.Dataset) -> dict[str, xarray.Dataset]:
    """`{case: check.to_dataset()}`, for the figure."""
    return {
        str(case): check_of(results, axis, str(case)).to_dataset()
        for axis in AXES
        for case in results[f"{axis} case"].values
    }


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """Each case's slopes, verdicts and distance from theory, and its table."""
    cases = {}
    for axis in AXES:
        for case in results[f"{axis} case"].values:
            check = check_of(results, axis, str(case))
            cases[str(case)] = {
                "axis": axis,
                "verdict": check.verdict,
                "predicted_verdict": check.predicted_verdict,
                "disagreement": check.disagreement if check.predicted else None,
                "start": {name: list(slope) for name, slope in check.start_slopes.items()},
                "change": {
                    name: [list(slope) for slope in slopes]
                    for name, slopes in check.change_slopes.items()
                },
                "table": str(check),
            }
    wrong = [
        name
        for name, case in cases.items()
        if case["predicted_verdict"] is not None
        and not (
            case["disagreement"] <= results.attrs["tolerance"]
            and case["verdict"] == case["predicted_verdict"]
        )
    ]
    return {"tolerance": results.attrs["tolerance"], "wrong": wrong, "cases": cases}


def show(summary: dict[str, Any], settings: Settings) -> str:
    """Every case's table under its name, with what theory says of the whole."""
    parts = []
    for name, case in summary["cases"].items():
        parts += [f"{name}: {case['table']}"]
        if case["predicted_verdict"] is not None:
            parts += [
                f"theory's verdict: {case['predicted_verdict']}; slopes are up to "
                f"{case['disagreement']:.3f} from it"
            ]
        parts += [""]
    known = sum(case["predicted_verdict"] is not None for case in summary["cases"].values())
    right = known - len(summary["wrong"])
    return "\n".join(
        [
            *parts,
            f"{right} of {known} cases that theory knows have its verdict, and slopes within "
            f"{summary['tolerance']:g} of it."
            + (f" Others: {', '.join(summary['wrong'])}." if summary["wrong"] else ""),
        ]
    )


def verdict(summary: dict[str, Any]) -> int:
    """1 if a case that theory knows has another verdict, or a slope out of the tolerance."""
    return int(bool(summary["wrong"]))
