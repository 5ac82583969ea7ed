"""From draws to the law that they follow: the variance of weights and biases against the fans.

For initializers that are known by their draws alone: another library's, or one of your own.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from initlab import checks
from initlab.initializers.fans import fan_avg, fan_in, fan_out
from initlab.types import Array, ParamSpec

__all__ = ["VarianceLaw", "bias_law", "weight_law"]


def _no_fan(spec: ParamSpec) -> float:
    del spec
    return 1.0


FANS = {"1": _no_fan, "fan_in": fan_in, "fan_out": fan_out, "fan_avg": fan_avg}
"""`spec -> fan` by the fan's name; "1" is a variance that depends on none."""

# A Gaussian's variance over n draws has a relative standard error of sqrt(2 / n): 0.6 % for 16
# draws of a 64 x 64 weight, and less for any distribution with lighter tails. 5 % is far beyond
# that, and far below the factor of 2 or more by which fans of usual widths differ.
SAME = 0.05
"""Factors that differ from a common one by less count as equal."""


class VarianceLaw(NamedTuple):
    """`Var w = factor / fan`.

    Attributes:
      fan: "1" for a variance that depends on no fan, "fan_in", "fan_out" or "fan_avg"; "width"
        where every spec has equal fans, so that those three are one; "none" where no fan fits.
      factor: the geometric mean over the specs of `Var w * fan`, under the fan that fits best.
    """

    fan: str
    factor: float


@checks.checked
def weight_law(draws: Sequence[tuple[ParamSpec, Sequence[Array]]]) -> VarianceLaw:
    """`Var w = factor / fan`: the fan under which specs of several sizes agree best, its factor.

    Variances are taken about 0, the mean of weights that no axis distinguishes. The fans can be
    distinguished only if fan_in and fan_out vary by more than the error of a variance: draw square
    and oblong weights of at least a thousand entries each.

    Args:
      draws: `(spec, arrays)` of each size: fans are the spec's, and the arrays' shapes may be
        another library's.

    Returns:
      The law. Draws that are all 0 have the law ("1", 0).

    Raises:
      ValueError: if there are no draws, for one of the specs or at all.

    >>> from initlab.initializers import he_normal
    >>> import jax
    >>> specs = [ParamSpec((i, o), i, o) for i, o in ((64, 64), (64, 256), (256, 64))]
    >>> keys = jax.random.split(jax.random.key(0), 4)
    >>> law = weight_law([(spec, [he_normal()(key, spec) for key in keys]) for spec in specs])
    >>> law.fan, round(law.factor, 1)
    ('fan_in', 2.0)
    """
    if not draws:
        raise ValueError("draws must hold at least one spec, got none")
    specs = [spec for spec, _ in draws]
    variances = [_variance(spec, arrays) for spec, arrays in draws]
    if not all(variances):
        # Their logarithm is not finite: one law has all of them, or nothing has.
        return VarianceLaw("none" if any(variances) else "1", 0.0)
    spreads: dict[str, float] = {}
    factors: dict[str, float] = {}
    for name, fan in FANS.items():
        # Logarithms: a ratio of factors means the same at any variance, and under the right fan it
        # is 1 up to the error of the draws.
        logs = [
            math.log(variance * fan(spec)) for variance, spec in zip(variances, specs, strict=True)
        ]
        spreads[name], factors[name] = max(logs) - min(logs), math.exp(sum(logs) / len(logs))
    best = min(spreads, key=spreads.__getitem__)
    if spreads[best] > math.log1p(2 * SAME):
        return VarianceLaw("none", factors[best])
    if best != "1" and all(spec.fan_in == spec.fan_out for spec in specs):
        return VarianceLaw("width", factors[best])
    return VarianceLaw(best, factors[best])


@checks.checked
def bias_law(spec: ParamSpec, arrays: Sequence[Array]) -> float:
    """`fan_in Var b`: the factor of `Var b = factor / fan_in`, of the biases of one layer.

    Args:
      spec: the biases', whose fan_in is that of their layer's weights.
      arrays: draws.

    Returns:
      The factor; 0 for zeros.

    Raises:
      ValueError: if there are no draws.

    >>> bias_law(ParamSpec((4,), 16, 4), [np.array([0.25, -0.25, 0.25, -0.25])])
    1.0
    """
    return spec.fan_in * _variance(spec, arrays)


def _variance(spec: ParamSpec, arrays: Sequence[Array]) -> float:
    """The mean square over all draws, in float64."""
    if not len(arrays):
        raise ValueError(f"arrays must have at least one draw, got none for {spec}")
    for number, array in enumerate(arrays):
        if np.shape(array) != tuple(spec.shape):
            raise ValueError(
                f"arrays[{number}] must have the spec's shape {spec.shape}, got {np.shape(array)}"
            )
    return float(np.mean([np.mean(np.square(array, dtype=np.float64)) for array in arrays]))
