"""Escapes from a symmetric start as rows, a table and a verdict."""

import jax.numpy as jnp
import numpy as np
import xarray

from experiments.harness import Settings
from initlab import report, symmetry

__all__ = ["show", "summarize", "verdict"]

AGREED = 0.15
"""Share of the predicted step by which a measured one may be off."""

FROM = 1e-8
"""Planted differences of at least this norm are far above rounding in float64."""


def summarize(results: xarray.Dataset, settings: Settings) -> dict:
    """A row for each run: when it lost its symmetry, and when that was predicted."""
    order_one = float(results.attrs["order_one"])
    rows = []
    axes = ("dtype", "arithmetic", "width", "constant", "perturbation")
    for place in np.ndindex(*(results.sizes[axis] for axis in axes)):
        run = results.isel(dict(zip(axes, place, strict=True)))
        planted = float(run["perturbation"])
        first = int(run["first_difference"])
        growth = _stored_growth(run["log_growth"])
        # A difference that nobody planted grows from the step at which it came.
        size, since = (planted, 0) if planted else (float(run["first_spread"]), max(first, 0))
        rows.append(
            {
                **{axis: run[axis].item() for axis in axes},
                "first_difference": first,
                "escape": int(run["escape"]),
                "predicted": int(symmetry.escape_step(growth, size, order_one, since=since)),
                "loss_start": float(run["loss"][0]),
                "loss_end": float(run["loss"][-1]),
            }
        )
    return {"rows": rows, "order_one": order_one, "steps": int(results["step"][-1])}


def show(summary: dict, settings: Settings) -> str:
    """Planted differences in float64; then what rounding alone does."""
    planted = [row for row in _checked(summary) if row["width"] == summary["rows"][0]["width"]]
    rounding = [row for row in summary["rows"] if row["perturbation"] == 0]
    agreed = [_is_agreed(row) for row in _checked(summary)]
    parts = [
        f"Units that start alike are said to have escaped when they are {summary['order_one']:g} "
        f"apart (Euclidean norm); {summary['steps']} steps.",
    ]
    if planted:
        parts += [
            "",
            "Differences planted, float64, the lab's layers, against the linearised update:",
            report.format_table([_line(row, with_ratio=True) for row in planted]),
            "",
            f"Over all widths, {sum(agreed)} of {len(agreed)} such runs escape within {AGREED:.0%} "
            "of the predicted step.",
        ]
    if rounding:
        parts += [
            "",
            "Nothing planted: what rounding alone does on this machine. `predicted` follows the "
            "first difference",
            "from the step at which it came.",
            report.format_table([_line(row, with_ratio=False) for row in rounding]),
        ]
    return "\n".join(parts)


def verdict(summary: dict) -> int:
    """1 if a planted difference escapes at another step than predicted."""
    return int(not all(map(_is_agreed, _checked(summary))))


def _stored_growth(log_growth: xarray.DataArray) -> symmetry.TransverseGrowth:
    """What `escape_step` reads of a growth; the rate, direction and end are not stored."""
    return symmetry.TransverseGrowth(
        jnp.asarray(log_growth.values), rate=jnp.full((), jnp.nan), direction={}, params={}
    )


def _checked(summary: dict) -> list[dict]:
    """The runs that the prediction is held to."""
    return [
        row
        for row in summary["rows"]
        if row["dtype"] == "float64"
        and row["arithmetic"] == "ordered"
        and row["perturbation"] >= FROM
    ]


def _is_agreed(row: dict) -> bool:
    """Whether the escape is within AGREED of the prediction; both may lie beyond the run's end."""
    if row["escape"] < 0 or row["predicted"] < 0:
        return row["escape"] == row["predicted"]
    # Early escapes take few steps: one step more or less is then beyond the share.
    return abs(row["escape"] - row["predicted"]) <= max(1, AGREED * row["predicted"])


def _line(row: dict, *, with_ratio: bool) -> dict[str, str]:
    line = {axis: f"{row[axis]:g}" for axis in ("width", "constant")}
    if with_ratio:
        line["planted"] = f"{row['perturbation']:g}"
    else:
        line = {"dtype": row["dtype"], "arithmetic": row["arithmetic"]} | line
        line["first differing bit"] = _step(row["first_difference"])
    line |= {"escape": _step(row["escape"]), "predicted": _step(row["predicted"])}
    if with_ratio:
        both = row["escape"] > 0 and row["predicted"] > 0
        line["measured / predicted"] = f"{row['escape'] / row['predicted']:.3f}" if both else ""
    return line | {"loss": f"{row['loss_start']:.4f} -> {row['loss_end']:.4f}"}


def _step(step: int) -> str:
    return "never" if step < 0 else str(step)
