"""The experiment's results as coordinate checks, and their table."""

from typing import Any

import xarray

from experiments.harness import Settings
from initlab.coordinates import CoordinateCheck

__all__ = ["checks", "show", "summarize", "verdict"]

AXES = ("width", "depth")
VARIABLES = ("start", "change", "own", "predicted_start", "predicted_change")


def checks(results: xarray.Dataset) -> dict[str, CoordinateCheck]:
    """Each case's check, as `coordinate_check` returned it.

    Args:
      results: of the experiment: the variables of `CoordinateCheck.to_dataset` under the axis'
        name, as "width start", over (axis + " case", ...) and "width layer"; attrs: tolerance.

    Returns:
      The checks by case, those by width first.
    """
    found = {}
    for axis in AXES:
        # Both axes share one dataset, where names must differ.
        names = {f"{axis} {name}": name for name in (*VARIABLES, "layer", "role")}
        of_axis = results[list(names)].rename(names).assign_attrs(results.attrs, axis=axis)
        for case in results[f"{axis} case"].values:
            # Roles that this case's network has not are NaN beside those of others.
            at = of_axis.sel({f"{axis} case": case}).dropna("role", how="all", subset=["own"])
            found[str(case)] = CoordinateCheck.from_dataset(at)
    return found


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """Each case's slopes, verdicts and distance from theory, and its table."""
    cases = {
        name: {
            "axis": check.axis,
            "verdict": check.verdict,
            "predicted_verdict": check.predicted_verdict,
            "disagreement": check.disagreement if check.predicted else None,
            "start": {layer: list(slope) for layer, slope in check.start_slopes.items()},
            "change": {
                layer: [list(slope) for slope in slopes]
                for layer, slopes in check.change_slopes.items()
            },
            "remedies": list(check.remedies),
            "table": str(check),
        }
        for name, check in checks(results).items()
    }
    # Written so that a disagreement of NaN, which is not within any tolerance, is wrong.
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
    """Every case's table under its name, with theory's verdict."""
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
