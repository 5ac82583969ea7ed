"""Which role of the parameters makes a coordinate check fail, and which power would mend it."""

from collections.abc import Sequence

import numpy as np

from initlab.coordinates.slopes import Slope, fit_exponential, fit_slope

__all__ = ["find_remedies"]


def find_remedies(
    axis: str,
    sizes: Sequence[int],
    layers: Sequence[str],
    start: np.ndarray,
    roles: Sequence[str],
    own: np.ndarray,
    tolerance: float,
) -> tuple[str, ...]:
    """What breaks, in the order of the forward pass: a sentence for each start and each role.

    A role breaks where its update alone makes some layer's change grow, or none keep up; its rate
    times the inverse of the largest power holds that layer, and all that follow from it. What grows
    exponentially with depth is no power of it, and none is named.

    Args:
      axis: "width" or "depth".
      sizes: along it [W].
      layers: names of the layers [L], the output last.
      start: sizes of the layers' starts [W, S, L].
      roles: names of the roles [R].
      own: changes by the first update of a role's parameters alone [W, S, R, L].
      tolerance: of slopes that count as flat.

    Returns:
      The sentences; none where nothing breaks, or the seeds cannot tell.
    """
    return (
        *_starts(axis, sizes, layers, start, tolerance),
        *(
            sentence
            for number, role in enumerate(roles)
            if (sentence := _of_role(axis, sizes, role, own[:, :, number], layers, tolerance))
        ),
    )


def _starts(
    axis: str, sizes: Sequence[int], layers: Sequence[str], start: np.ndarray, tolerance: float
) -> list[str]:
    *hidden, output = layers
    found = []
    before = Slope(0.0, 0.0, 0.0)
    for at, name in enumerate(layers):
        rate = _exponential(axis, sizes, start[:, :, at])
        # An output may start the smaller, the deeper the network.
        if rate is not None and (rate.value > 0 or name in hidden):
            adds = f", and residual branches times {axis}^-0.50 where a stream adds them up"
            found.append(
                f"{name} starts as exp({rate.value:+.2g} {axis}), which no power of {axis} holds; "
                f"variances at their critical point would (theory.critical_variances)"
                f"{adds if rate.value > 0 else ''}"
            )
            # All layers that follow take what has grown: the first one is to be mended first.
            return found
        slope = fit_slope(sizes, start[:, :, at])
        # Of what it takes, whose own slope the seeds may not tell.
        power = slope.value - before.value
        certain = tolerance + (before.high - before.low) / 2
        grows = slope.low > tolerance and power > certain
        shrinks = slope.high < -tolerance and power < -certain
        if grows or (shrinks and name in hidden):
            what = "branches" if axis == "depth" and name != output else "standard deviations"
            found.append(
                f"{name} starts as {axis}^{power:+.2f} of what it takes; {what} times "
                f"{axis}^{-power:+.2f} there would hold it"
            )
        # What has no slope, as an output of zeros, hands none on.
        before = slope if np.isfinite(slope.value) else before
    return found


def _of_role(
    axis: str,
    sizes: Sequence[int],
    role: str,
    changes: np.ndarray,
    layers: Sequence[str],
    tolerance: float,
) -> str:
    """A sentence on one role's changes [W, S, L]; empty where its update is held."""
    slopes = {name: fit_slope(sizes, changes[:, :, at]) for at, name in enumerate(layers)}
    # Layers before its own do not move at all.
    moved = {name: slope for name, slope in slopes.items() if np.isfinite(slope.value)}
    if not moved:
        return ""
    name = max(moved, key=lambda name: moved[name].value)
    value, low, high = moved[name]
    if low > tolerance:
        does, would = f"moves {name} as", "hold it"
    elif high < -tolerance:
        does, would = f"moves no layer by more than {name}, as", "let it learn"
    else:
        return ""
    rate = _exponential(axis, sizes, changes[:, :, list(layers).index(name)])
    if rate is not None:
        return (
            f"{role}: its update {does} exp({rate.value:+.2g} {axis}); no learning rate that is a "
            f"power of {axis} would {would}"
        )
    return (
        f"{role}: its update {does} {axis}^{value:+.2f} [{low:+.2f}, {high:+.2f}]; a learning "
        f"rate times {axis}^{-value:+.2f} would {would}"
    )


def _exponential(axis: str, sizes: Sequence[int], measured: np.ndarray) -> Slope | None:
    # Each layer multiplies what it takes; units of one layer add up, which makes powers.
    return fit_exponential(sizes, measured) if axis == "depth" else None
